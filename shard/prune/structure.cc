#include "shard/prune/structure.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/base/format_text.h"
#include "engine/formats/zeros.h"

namespace colonnade::shard {
namespace {

constexpr const char* kBlocks = "1x4";
static_assert(engine::kBlockWeights == 4 && kMaxGroupColumns % engine::kBlockWeights == 0);

bool read_number(std::string_view text, std::size_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::size_t count_zeros(std::size_t count, double sparsity) {
  const auto zeros = static_cast<std::size_t>(std::llround(sparsity * static_cast<double>(count)));
  return std::min(zeros, count);
}

std::size_t Structure::kept_of(std::size_t columns, double sparsity) const {
  if (kept == 0) return columns - count_zeros(columns, sparsity);
  // A shorter group at the end keeps its share.
  return (kept * columns + group - 1) / group;
}

Result<Structure> parse_structure(std::string_view text) {
  if (text == "unstructured") return Structure{};
  if (text == kBlocks) return Structure{.unit = engine::kBlockWeights};
  const auto colon = text.find(':');
  Structure structure;
  const auto invalid = [&] {
    return Error{ErrorCode::kInvalidArgument,
                 colonnade::text("structure: expected unstructured, 1x4, n:M or N:M with 0 < N < M <= ", kMaxGroupColumns, ", found ", text)};
  };
  if (colon == std::string_view::npos || !read_number(text.substr(colon + 1), structure.group)) return invalid();
  const std::string_view kept = text.substr(0, colon);
  if (kept != "n" && (!read_number(kept, structure.kept) || structure.kept == 0)) return invalid();
  if (structure.group < 2 || structure.group > kMaxGroupColumns || structure.kept >= structure.group) return invalid();
  return structure;
}

std::string structure_text(const Structure& structure) {
  if (structure.any()) return structure.unit == 1 ? "unstructured" : kBlocks;
  return structure.kept == 0 ? text("n:", structure.group) : text(structure.kept, ":", structure.group);
}

void keep_largest(std::span<const float> scores, std::size_t zeros, std::span<float> scratch, std::uint8_t* keep) {
  std::fill_n(keep, scores.size(), std::uint8_t{1});
  if (zeros == 0) return;
  std::copy(scores.begin(), scores.end(), scratch.begin());
  const auto at = scratch.begin() + static_cast<std::ptrdiff_t>(zeros - 1);
  std::nth_element(scratch.begin(), at, scratch.begin() + static_cast<std::ptrdiff_t>(scores.size()));
  const float threshold = *at;
  std::size_t below = 0;
  for (const float score : scores) below += score < threshold;
  std::size_t ties = zeros - below;  // that go
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] > threshold) continue;
    if (scores[i] == threshold && ties == 0) continue;
    if (scores[i] == threshold) --ties;
    keep[i] = 0;
  }
}

}  // namespace colonnade::shard
