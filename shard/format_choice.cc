#include "shard/format_choice.h"

#include <algorithm>
#include <limits>

#include "engine/base/check.h"
#include "engine/kernels/kernels.h"

namespace colonnade::shard {

using engine::FormatId;

FormatId values_of(FormatId format) {
  const engine::Format* found = engine::find_format(format);
  COLONNADE_CHECK(found != nullptr, "the values of a format that is not registered");
  const std::string_view name = found->name();
  const std::size_t dash = name.rfind('-');
  if (dash == std::string_view::npos) return format;
  const engine::Format* dense = engine::find_format(name.substr(dash + 1));
  return dense == nullptr ? format : dense->id();
}

std::vector<std::string> value_names() {
  std::vector<std::string> names;
  for (const engine::Format* format : engine::all_formats())
    if (values_of(format->id()) == format->id()) names.emplace_back(format->name());
  return names;
}

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const engine::Format* format : engine::all_formats()) names.emplace_back(format->name());
  return names;
}

FormatRules format_rules(FormatId values) {
  const auto kernels = engine::choose_kernels("auto");
  return {.values = values, .head_values = values, .isa = kernels.ok() ? (*kernels)->name : "scalar"};
}

std::vector<FormatId> candidate_formats(const FormatRules& rules, bool is_head) {
  if (rules.forced && !is_head) return {*rules.forced};
  std::vector<FormatId> candidates;
  for (const engine::Format* format : engine::all_formats())
    if (values_of(format->id()) == (is_head ? rules.head_values : rules.values)) candidates.push_back(format->id());
  return candidates;
}

namespace {
constexpr int kPromptTokens = 64;  // more cost no less each
/// An encoder's weights are read for so many tokens at least. It settles what is nearly equal: of 50 % zeros, dense int8 is a
/// few percent faster than its bitmask, for 8 bits in place of 5.
constexpr int kEncodedTokens = 32;
}

std::vector<FormatOffer> compare_formats(const FormatRules& rules, std::span<const FormatId> candidates, std::uint32_t rows,
                                         std::uint32_t cols, std::span<const double> strip_bytes) {
  COLONNADE_CHECK(candidates.size() == strip_bytes.size(), "bytes of a strip for each candidate");
  const FormatCosts& costs = rules.costs != nullptr ? *rules.costs : built_in_costs();
  const double n_strips = (rows + engine::kStripRows - 1) / engine::kStripRows;
  // Rows of an incomplete strip cost as much as others.
  const double weights = n_strips * engine::kStripRows * cols;
  std::vector<FormatOffer> offers;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const double bytes = strip_bytes[i] * n_strips;
    const char* name = engine::find_format(candidates[i])->name();
    const double seconds = costs.pass_seconds(rules.isa, name, 1, weights, bytes).value_or(std::numeric_limits<double>::infinity());
    const auto prompt = costs.pass_seconds(rules.isa, name, kPromptTokens, weights, bytes);
    offers.push_back({candidates[i], bytes, seconds, prompt ? *prompt / kPromptTokens : seconds});
  }
  std::stable_sort(offers.begin(), offers.end(), [&](const FormatOffer& a, const FormatOffer& b) {
    const auto time_of = [&](const FormatOffer& offer) { return offer.prompt_seconds + offer.seconds / (rules.prompts_only ? kEncodedTokens : 1); };
    return time_of(a) != time_of(b) ? time_of(a) < time_of(b) : a.bytes < b.bytes;
  });
  return offers;
}

std::vector<double> sampled_strip_bytes(std::span<const FormatId> candidates, const float* weights, std::size_t n_strips,
                                        std::uint32_t cols) {
  std::vector<double> bytes;
  std::vector<std::byte> packed;
  for (const FormatId id : candidates) {
    packed.clear();
    const engine::Format* format = engine::find_format(id);
    for (std::size_t s = 0; s < n_strips; ++s)
      format->encode_strip(weights + s * engine::kStripRows * cols, cols, engine::kStripRows, cols, packed);
    bytes.push_back(static_cast<double>(packed.size()) / static_cast<double>(n_strips));
  }
  return bytes;
}

std::vector<double> expected_strip_bytes(std::span<const FormatId> candidates, std::uint32_t cols,
                                         const engine::Zeros& zeros) {
  std::vector<double> bytes;
  for (const FormatId id : candidates) bytes.push_back(engine::find_format(id)->expected_strip_bytes(cols, zeros));
  return bytes;
}

}  // namespace colonnade::shard
