#include "shard/prune/grid.h"

#include <cmath>

#include "engine/base/format_text.h"
#include "engine/formats/bf16.h"
#include "engine/formats/strip_layout.h"

namespace colonnade::shard {
namespace {

constexpr float kLargestInt8 = 127.0f;
/// Below this density pack chooses gaps and index-permute, whose scales are for engine::kWideGroup columns.
constexpr double kPermuteDensity = 0.27;

/// Rounds to even, for |x| < 2^22.
float round_even(float x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23
  return (x + kMagic) - kMagic;
}

float steps_of(float value, float inverse, float lowest, float highest) {
  return round_even(std::min(std::max(value * inverse, lowest), highest));
}

/// The smallest power of two of which 127 reach `largest`.
float int8_scale(float largest) {
  int exponent = 0;
  std::frexp(largest / kLargestInt8, &exponent);
  const float above = std::ldexp(1.0f, exponent);
  return largest <= kLargestInt8 * above * 0.5f ? above * 0.5f : above;
}

/// Values of a column run in one row, and what errors cost.
struct Sample {
  std::vector<float> values, costs;
  float extreme = 0;  // the largest in size, with its sign

  double loss(float scale) const {
    const float inverse = 1.0f / scale;
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float lost = values[i] - steps_of(values[i], inverse, -8.0f, 7.0f) * scale;
      sum += static_cast<double>(costs[i] * lost * lost);
    }
    return sum;
  }
};

/// Of all scales of five significant bits (times -8 … 7 they need eight, as many as bf16 has) around those that make the
/// largest weight -8 or 7.
float int4_scale(const Sample& sample) {
  if (sample.extreme == 0) return 0;
  int exponent = 0;
  const float start = std::fabs(sample.extreme) / 9.0f;
  std::frexp(start, &exponent);
  float best = 0;
  double least = 0;
  for (float unit = std::ldexp(1.0f, exponent - 5), scale = std::ceil(start / unit) * unit; scale <= start * 1.9f; scale += unit) {
    if (scale >= std::ldexp(1.0f, exponent)) {  // the next power of two: five bits are coarser
      ++exponent;
      unit *= 2;
    }
    for (const float signed_scale : {std::copysign(scale, -sample.extreme), std::copysign(scale, sample.extreme)}) {
      const double loss = sample.loss(signed_scale);
      if (best != 0 && !(loss < least)) continue;
      best = signed_scale;
      least = loss;
    }
  }
  return best;
}

}  // namespace

Result<PrunedValues> parse_pruned_values(std::string_view text) {
  for (const PrunedValues values : {PrunedValues::kBf16, PrunedValues::kInt8, PrunedValues::kInt4})
    if (text == pruned_values_name(values)) return values;
  return Error{ErrorCode::kInvalidArgument, colonnade::text("values: expected bf16, int8 or int4, found ", text)};
}

const char* pruned_values_name(PrunedValues values) {
  return values == PrunedValues::kBf16 ? "bf16" : values == PrunedValues::kInt8 ? "int8" : "int4";
}

ColumnRuns column_runs(PrunedValues values, std::span<const std::size_t> pieces, std::size_t cols, double density) {
  const std::size_t width = values != PrunedValues::kInt4 ? cols
                            : density < kPermuteDensity   ? engine::kWideGroup
                                                          : engine::kInt4BlockColumns;
  ColumnRuns runs;
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    const std::size_t end = p + 1 < pieces.size() ? pieces[p + 1] : cols;
    for (std::size_t at = pieces[p]; at < end; at += width) runs.push_back(at);
  }
  runs.push_back(cols);
  return runs;
}

void Grid::choose(PrunedValues values, const ColumnRuns& runs, std::span<const float> importance, RowGroup& group) {
  values_ = values;
  run_of_.resize(group.cols);
  scales_.assign((runs.size() - 1) * kRowGroup, 0.0f);
  for (std::size_t run = 0; run + 1 < runs.size(); ++run) {
    for (std::size_t col = runs[run]; col < runs[run + 1]; ++col) run_of_[col] = static_cast<std::uint32_t>(run);
    if (values != PrunedValues::kBf16) choose_run(runs, run, importance, group);
  }
}

void Grid::choose_run(const ColumnRuns& runs, std::size_t run, std::span<const float> importance, RowGroup& group) {
  Sample sample;
  for (std::size_t r = 0; r < group.n_rows; ++r) {
    sample.values.clear();
    sample.costs.clear();
    sample.extreme = 0;
    for (std::size_t col = runs[run]; col < runs[run + 1]; ++col) {
      const float value = group.values(col)[r];
      if (group.keep(col)[r] == 0) continue;
      sample.values.push_back(value);
      sample.costs.push_back(importance.empty() ? 1.0f : importance[col]);
      if (std::fabs(value) > std::fabs(sample.extreme)) sample.extreme = value;
    }
    float& scale = scales_[run * kRowGroup + r];
    if (sample.extreme == 0) continue;
    scale = values_ == PrunedValues::kInt8 ? int8_scale(std::fabs(sample.extreme)) : int4_scale(sample);
    if (!std::isnormal(scale) || !std::isnormal(1.0f / scale)) scale = 0;
  }
}

void Grid::round(std::size_t col, const float* in, const std::uint8_t* keep, float* out) const {
  if (values_ == PrunedValues::kBf16) {
    for (std::size_t r = 0; r < kRowGroup; ++r)
      out[r] = keep[r] != 0 ? engine::bf16_to_f32(engine::f32_to_bf16(in[r])) : 0.0f;
    return;
  }
  const bool int8 = values_ == PrunedValues::kInt8;
  const float lowest = int8 ? -kLargestInt8 : -8.0f, highest = int8 ? kLargestInt8 : 7.0f;
  const float* const scales = scales_.data() + run_of_[col] * kRowGroup;
  for (std::size_t r = 0; r < kRowGroup; ++r) {
    const bool counts = keep[r] != 0 && scales[r] != 0;
    out[r] = counts ? steps_of(in[r], 1.0f / scales[r], lowest, highest) * scales[r] : 0.0f;
  }
}

void Grid::round_all(RowGroup& group) const {
  for (std::size_t col = 0; col < group.cols; ++col) round(col, group.values(col), group.keep(col), group.values(col));
}

}  // namespace colonnade::shard
