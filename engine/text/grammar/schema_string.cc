// Strings: lengths, patterns and formats.
#include <algorithm>
#include <string>

#include "engine/base/format_text.h"
#include "engine/text/grammar/regex.h"
#include "engine/text/grammar/schema_compiler.h"

namespace colonnade::engine {
namespace {

struct Format {
  const char* name;
  std::string pattern;
};

/// As regular expressions; where a format allows rare forms, only the usual ones are written.
const std::vector<Format>& formats() {
  static const std::vector<Format> all = [] {
    // No 29th of February: not every year has one.
    const std::string date =
        R"([1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])))";
    const std::string zone = "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
    const std::string time = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?" + zone;
    const std::string byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    const std::string ipv4 = byte + "(\\." + byte + "){3}";
    const std::string group = "[0-9a-fA-F]{1,4}";
    std::string ipv6 = "(" + group + ":){7}" + group + "|::|::" + group + "(:" + group + "){0,6}";
    // n groups, "::", then at most 6 - n more.
    for (int n = 1; n <= 6; ++n)
      ipv6 += "|" + group + "(:" + group + "){" + std::to_string(n - 1) + "}::(" +
              (n < 6 ? group + "(:" + group + "){0," + std::to_string(5 - n) + "}" : group) + ")?";
    const std::string label = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
    const std::string hostname = label + "(\\." + label + "){0,3}";
    const std::string email = "[a-zA-Z0-9_+-]+(\\.[a-zA-Z0-9_+-]+)*@" + label + "(\\." + label + "){1,3}";
    const std::string uuid = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
    const std::string duration =
        "P([0-9]{1,9}W|([0-9]{1,9}Y([0-9]{1,9}M([0-9]{1,9}D)?)?|[0-9]{1,9}M([0-9]{1,9}D)?|[0-9]{1,9}D)(T@)?|T@)";
    const std::string times = "([0-9]{1,9}H([0-9]{1,9}M([0-9]{1,9}S)?)?|[0-9]{1,9}M([0-9]{1,9}S)?|[0-9]{1,9}S)";
    std::string whole_duration = duration;
    for (std::size_t at = whole_duration.find('@'); at != std::string::npos; at = whole_duration.find('@', at + times.size()))
      whole_duration.replace(at, 1, times);
    const std::string path = "([a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})";
    const std::string uri = "[a-zA-Z][a-zA-Z0-9+.-]{0,15}://" + hostname + "(:[1-9][0-9]{0,3})?(/" + path + "*)*(\\?(" + path + "|[/?])*)?(#(" + path + "|[/?])*)?";
    return std::vector<Format>{{"date-time", date + "T" + time}, {"date", date}, {"time", time}, {"duration", whole_duration},
                               {"uuid", uuid}, {"ipv4", ipv4}, {"ipv6", ipv6}, {"hostname", hostname}, {"email", email}, {"uri", uri}};
  }();
  return all;
}

}  // namespace

Result<GrammarExpr> SchemaCompiler::string(const OrderedJson& schema, const std::string& pointer) {
  COLONNADE_ASSIGN(const int least, count(schema, "minLength", 0, pointer));
  COLONNADE_ASSIGN(const int most, count(schema, "maxLength", kUnbounded, pointer));
  if (most != kUnbounded && most < least) return b_.never();
  std::string pattern;
  const char* keyword = "pattern";
  if (const auto format = schema.find("format"); format != schema.end()) {
    if (!format->is_string()) return schema_error(ErrorCode::kInvalidArgument, pointer, "format", "must be a string");
    COLONNADE_TRY(refuse(schema, {"pattern"}, pointer, "is not supported beside \"format\""));
    const auto& name = format->get_ref<const std::string&>();
    const auto found = std::find_if(formats().begin(), formats().end(), [&](const Format& known) { return name == known.name; });
    if (found == formats().end()) {
      std::string known;
      for (const Format& one : formats()) known += text(known.empty() ? "" : ", ", one.name);
      return schema_error(ErrorCode::kUnsupported, pointer, "format", text("must be one of ", known, "; found \"", name.substr(0, 60), "\""));
    }
    pattern = "^(" + found->pattern + ")$";
    keyword = "format";
  } else if (const auto given = schema.find("pattern"); given != schema.end()) {
    if (!given->is_string()) return schema_error(ErrorCode::kInvalidArgument, pointer, "pattern", "must be a string");
    pattern = given->get<std::string>();
  } else {
    if (least == 0 && most == kUnbounded) return json_.string();
    return json_.quoted(b_.repeat(json_.string_char(), least, most));
  }
  const auto content = add_regex(b_, pattern, [&](const std::vector<CharRange>& ranges) { return json_.string_char(ranges); }, least, most);
  if (!content.ok()) return schema_error(content.error().code, pointer, keyword, content.error().message);
  const bool long_enough = content->min_length >= least;
  const bool short_enough = most == kUnbounded || (content->max_length != kUnbounded && content->max_length <= most);
  if (!long_enough || !short_enough)
    return schema_error(ErrorCode::kUnsupported, pointer, long_enough ? "maxLength" : "minLength",
                        text("is not supported beside a \"", keyword, "\" that does not keep to it by itself"));
  return json_.quoted(content->expr);
}

}  // namespace colonnade::engine
