#include "engine/text/tokenizer/post_processor.h"

#include <string>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/tokenizer/json_fields.h"

namespace colonnade::engine {
namespace {

/// Ids to put before and after those of the text.
class Surrounding final : public PostProcessor {
 public:
  Surrounding(std::vector<std::int32_t> before, std::vector<std::int32_t> after)
      : before_(std::move(before)), after_(std::move(after)) {}

  std::vector<std::int32_t> apply(std::vector<std::int32_t> ids) const override {
    ids.insert(ids.begin(), before_.begin(), before_.end());
    ids.insert(ids.end(), after_.begin(), after_.end());
    return ids;
  }

 private:
  std::vector<std::int32_t> before_;
  std::vector<std::int32_t> after_;
};

Status append_special(const Json& part, const std::string& name, std::vector<std::int32_t>& ids) {
  const std::string place = "post_processor.special_tokens";
  const Json& list = member_or_null(member_or_null(member_or_null(part, "special_tokens"), name), "ids");
  if (!list.is_array()) return wrong_field(text(place, "[\"", name, "\"].ids"), "a list", list);
  for (const Json& id : list) {
    COLONNADE_ASSIGN(ids.emplace_back(), index_value(id, text(place, "[\"", name, "\"].ids")));
  }
  return {};
}

Status append_template(const Json& part, PostProcessorSteps& steps) {
  const Json& items = member_or_null(part, "single");
  if (!items.is_array()) return wrong_field("post_processor.single", "a list", items);
  std::vector<std::int32_t> before;
  std::vector<std::int32_t> after;
  int texts = 0;
  for (const Json& item : items) {
    if (const Json& special = member_or_null(item, "SpecialToken"); !special.is_null()) {
      COLONNADE_ASSIGN(const std::string name, string_member(special, "id", "post_processor.single SpecialToken"));
      COLONNADE_TRY(append_special(part, name, texts == 0 ? before : after));
    } else if (member_or_null(item, "Sequence").is_object()) {
      ++texts;
    } else {
      return wrong_field("post_processor.single", "made of SpecialToken and Sequence", item);
    }
  }
  if (texts != 1) return wrong_field("post_processor.single", "with exactly one Sequence", items);
  steps.push_back(make_surrounding(std::move(before), std::move(after)));
  return {};
}

/// ["[CLS]", 101]
Result<std::int32_t> read_token(const Json& part, const char* name, std::string_view place) {
  const Json& token = member_or_null(part, name);
  if (!token.is_array() || token.size() != 2) return wrong_field(text(place, ".", name), "a token and its id", token);
  return index_value(token[1], text(place, ".", name));
}

Status append_steps(const Json& part, PostProcessorSteps& steps) {
  COLONNADE_ASSIGN(const std::string type, part_type(part, "post_processor"));
  if (type == "Sequence") {
    const Json& list = member_or_null(part, "processors");
    if (!list.is_array()) return wrong_field("post_processor.processors", "a list", list);
    for (const Json& one : list) COLONNADE_TRY(append_steps(one, steps));
    return {};
  }
  if (type == "TemplateProcessing") return append_template(part, steps);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    COLONNADE_ASSIGN(const std::int32_t before, read_token(part, "cls", "post_processor " + type));
    COLONNADE_ASSIGN(const std::int32_t after, read_token(part, "sep", "post_processor " + type));
    steps.push_back(make_surrounding({before}, {after}));
    return {};
  }
  if (type == "ByteLevel") return {};  // it only moves offsets
  return unsupported_part("post_processor", type,
                          "BertProcessing, ByteLevel, RobertaProcessing, Sequence, TemplateProcessing");
}

}  // namespace

std::unique_ptr<PostProcessor> make_surrounding(std::vector<std::int32_t> before, std::vector<std::int32_t> after) {
  return std::make_unique<Surrounding>(std::move(before), std::move(after));
}

Result<PostProcessorSteps> make_post_processor(const Json& part) {
  PostProcessorSteps steps;
  if (!part.is_null()) COLONNADE_TRY(append_steps(part, steps));
  return steps;
}

}  // namespace colonnade::engine
