#include "shard/quantization_config.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "engine/base/format_text.h"
#include "engine/text/tokenizer/regex.h"
#include "shard/config_fields.h"

namespace colonnade::shard {
namespace {

constexpr int kMaxGroup = 1 << 24;
constexpr std::size_t kMaxGroups = 1024;
constexpr std::size_t kMaxTargets = 1 << 16;

Error unsupported(std::string_view where, std::string_view layout) {
  return {ErrorCode::kUnsupported,
          text(where, ": quantization_config: weights stored as ", layout,
               " are not supported; supported are plain, sparse-bitmask, sparse-24-bitmask, int-quantized, float-quantized, naive-quantized, "
               "pack-quantized, fp8 and mxfp4")};
}

template <std::size_t n>
bool contains(const std::array<std::string_view, n>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

/// Whether a release ("0.18.0", "0.14.1.a2") is 0.18 or later.
bool is_from_018(const std::string& version) {
  int major = 0, minor = 0;
  const char* end = version.data() + version.size();
  const auto [dot, error] = std::from_chars(version.data(), end, major);
  if (error != std::errc() || dot == end || *dot != '.') return false;
  std::from_chars(dot + 1, end, minor);
  return major > 0 || minor >= 18;
}

/// Python's re.match: from the start of the path.
bool matches_pattern(const std::string& pattern, std::string_view module) {
  const auto regex = engine::Regex::compile(pattern, engine::RegexDialect::kOniguruma);
  if (!regex.ok()) return false;
  std::vector<engine::RegexMatch> matches;
  regex->find_all(module, matches);
  return !matches.empty() && matches.front().begin == 0;
}

}  // namespace

struct QuantizationConfigReader {
  QuantizationConfig out;

  /// [rows, columns]; some writers have "128x128".
  static Status read_block(const ConfigFields& fields, const char* name, QuantizationScheme& scheme) {
    const Json* block = fields.find(name);
    if (block == nullptr) return {};
    const auto fits = [](const Json& n) { return n.is_number_unsigned() && n.get<std::uint64_t>() > 0 && n.get<std::uint64_t>() <= kMaxGroup; };
    if (!block->is_array() || block->size() != 2 || !fits((*block)[0]) || !fits((*block)[1]))
      return fields.invalid(name, text("a list of two integers from 1 to ", kMaxGroup));
    scheme.block_rows = (*block)[0].get<std::uint64_t>();
    scheme.block_cols = (*block)[1].get<std::uint64_t>();
    return {};
  }

  Status read_group(const ConfigFields& group) {
    const Json* weights = group.find("weights");
    if (weights == nullptr) return {};  // only activations
    if (!weights->is_object()) return group.invalid("weights", "an object");
    const ConfigFields fields(*weights, group.where() + ": weights");
    QuantizationScheme scheme;
    COLONNADE_ASSIGN(scheme.bits, fields.positive("num_bits", 8, 64));
    COLONNADE_ASSIGN(const std::string strategy, fields.string("strategy", ""));
    if (const Json* size = fields.find("group_size"); size != nullptr && *size != -1) {
      COLONNADE_ASSIGN(const int n, fields.positive("group_size", {}, kMaxGroup));
      if (strategy == "group" || strategy.empty()) scheme.group_size = static_cast<std::uint64_t>(n);
    }
    COLONNADE_TRY(read_block(fields, "block_structure", scheme));
    out.schemes_.push_back(scheme);
    const Json* targets = group.find("targets");
    if (targets == nullptr || !targets->is_array()) return group.invalid("targets", "a list of modules");
    for (const Json& target : *targets) {
      if (!target.is_string() || out.targets_.size() == kMaxTargets) return group.invalid("targets", text("at most ", kMaxTargets, " names"));
      out.targets_.push_back({target.get<std::string>(), out.schemes_.size() - 1});
    }
    return {};
  }

  Status read_compressed_tensors(const ConfigFields& fields, std::string_view where) {
    constexpr std::array<std::string_view, 8> kFormats{"dense", "sparse-bitmask", "sparse-24-bitmask", "int-quantized", "float-quantized",
                                                       "naive-quantized", "pack-quantized", "mixed-precision"};
    constexpr std::array<std::string_view, 3> kSparseFormats{"dense", "sparse-bitmask", "sparse-24-bitmask"};
    COLONNADE_ASSIGN(const std::string format, fields.string("format", "dense"));
    if (!contains(kFormats, format)) return unsupported(where, format);
    COLONNADE_ASSIGN(const std::string version, fields.string("version", ""));
    out.packs_across_words_ = is_from_018(version);
    if (const Json* sparsity = fields.find("sparsity_config")) {
      if (!sparsity->is_object()) return fields.invalid("sparsity_config", "an object");
      COLONNADE_ASSIGN(const std::string layout, ConfigFields(*sparsity, fields.where()).string("format", "dense"));
      if (!contains(kSparseFormats, layout)) return unsupported(where, layout);
    }
    const Json* groups = fields.find("config_groups");
    if (groups == nullptr) return {};
    if (!groups->is_object() || groups->size() > kMaxGroups) return fields.invalid("config_groups", text("an object of at most ", kMaxGroups, " groups"));
    for (const auto& [name, group] : groups->items()) {
      if (!group.is_object()) return fields.invalid("config_groups", "an object of objects");
      COLONNADE_TRY(read_group(ConfigFields(group, text(fields.where(), ": ", name.substr(0, 60)))));
    }
    return {};
  }

  /// One scheme for all modules.
  Status read_fp8(const ConfigFields& fields, std::string_view where) {
    COLONNADE_ASSIGN(const std::string kind, fields.string("fmt", "e4m3"));
    if (!contains(std::array<std::string_view, 1>{"e4m3"}, kind)) return unsupported(where, "fp8 " + kind);
    QuantizationScheme scheme;
    COLONNADE_TRY(read_block(fields, "weight_block_size", scheme));
    out.schemes_.push_back(scheme);
    out.targets_.push_back({"Linear", 1});
    return {};
  }
};

Result<QuantizationConfig> QuantizationConfig::parse(std::string_view config, std::string_view where) {
  COLONNADE_ASSIGN(const Json json, parse_json(config, where));
  if (!json.is_object()) return Error{ErrorCode::kInvalidArgument, text(where, ": expected a JSON object")};
  const ConfigFields fields(json, std::string(where));
  // compression_config is the older name.
  const char* name = fields.has("quantization_config") ? "quantization_config" : "compression_config";
  const Json* object = fields.find(name);
  if (object == nullptr) return QuantizationConfig();
  if (!object->is_object()) return fields.invalid(name, "an object");
  const ConfigFields quantization(*object, text(where, ": ", name));
  COLONNADE_ASSIGN(const std::string method, quantization.string("quant_method", "unnamed"));
  QuantizationConfigReader reader;
  if (method == "compressed-tensors") COLONNADE_TRY(reader.read_compressed_tensors(quantization, where));
  else if (method == "fp8") COLONNADE_TRY(reader.read_fp8(quantization, where));
  else if (method != "mxfp4") return unsupported(where, method);
  return std::move(reader.out);
}

const QuantizationScheme& QuantizationConfig::scheme_of(std::string_view module) const {
  const Target* best = nullptr;
  for (const Target& target : targets_) {
    if (target.text == module) return schemes_[target.scheme];
    const bool is_pattern = target.text.starts_with("re:");
    if (is_pattern && (best == nullptr || !best->text.starts_with("re:")) && matches_pattern(target.text.substr(3), module)) best = &target;
    // Which class a module is of is not known here; what is quantised is Linear in all but strange models.
    if (!is_pattern && target.text.find('.') == std::string::npos && (best == nullptr || (!best->text.starts_with("re:") && target.text == "Linear"))) best = &target;
  }
  return schemes_[best == nullptr ? 0 : best->scheme];
}

}  // namespace colonnade::shard
