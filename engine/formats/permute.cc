// permute-int8 and permute-int4: (value, index) pairs for matrices of which at most about a fifth is left. One bf16
// scale per row and kWideGroup columns.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/formats/bf16.h"
#include "engine/formats/builtin_formats.h"
#include "engine/formats/permute_layout.h"
#include "engine/formats/permute_rows.h"
#include "engine/formats/permute_schedule.h"

namespace colonnade::engine {
namespace {

/// Windows from the first column on, or from the last one: whichever takes fewer steps. The order of entries is free.
PermuteSchedule schedule_either_way(const PermuteRows& rows, const PermuteWindows& windows) {
  PermuteSchedule forward = schedule_group(rows, windows);
  PermuteRows mirrored;
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (auto entry = rows[r].rbegin(); entry != rows[r].rend(); ++entry)
      mirrored[r].push_back({static_cast<std::uint16_t>(kWideGroup - 1 - entry->column), entry->value});
  PermuteSchedule backward = schedule_group(mirrored, windows);
  if (backward.steps.size() >= forward.steps.size()) return forward;
  for (PermuteStep& step : backward.steps) {
    step.base = static_cast<std::uint8_t>((kWideGroup - windows.columns) / kPermuteBaseUnit - step.base);
    for (std::uint8_t& index : step.indices) index = static_cast<std::uint8_t>(windows.columns - 1 - index);
  }
  return backward;
}

class PermuteFormat final : public Format {
 public:
  explicit PermuteFormat(bool int4) : int4_(int4) {}
  FormatId id() const override { return int4_ ? FormatId::kPermuteInt4 : FormatId::kPermuteInt8; }
  const char* name() const override { return int4_ ? "permute-int4" : "permute-int8"; }
  ActivationKind activations() const override { return ActivationKind::kWide; }

  double expected_strip_bytes(std::size_t cols, const Zeros& zeros) const override {
    double steps = 0;
    for (std::size_t begin = 0; begin < cols; begin += kWideGroup)
      steps += expected_steps(static_cast<double>(std::min(kWideGroup, cols - begin)), zeros.density);
    const auto whole = static_cast<std::size_t>(std::lround(steps));
    return static_cast<double>(permute_steps_offset(n_wide_groups(cols), whole) + permute_steps_bytes(whole, int4_));
  }

  void encode_strip(const float* weights, std::size_t stride, int n_rows, std::size_t cols,
                    std::vector<std::byte>& out) const override {
    std::vector<PermuteGroup> groups(n_wide_groups(cols));
    std::vector<PermuteRows> rows;
    for (std::size_t g = 0; g < groups.size(); ++g)
      rows.push_back(quantize_group(weights, stride, n_rows, g, cols, int4_, groups[g]));
    std::vector<PermuteSchedule> best;
    std::size_t best_window = 0, least = 0;
    // From fast to dense. Balanced patterns (n of 64) fill the first; most random ones take the last. Windows begin with
    // cache lines, because loads that cross lines cost twice.
    constexpr PermuteWindows kChoices[] = {{64, 64}, {128, 64}, {256, 64}};
    for (const PermuteWindows& windows : kChoices) {
      std::vector<PermuteSchedule> schedules;
      std::size_t steps = 0;
      for (const PermuteRows& group : rows) {
        schedules.push_back(schedule_either_way(group, windows));
        steps += schedules.back().steps.size();
      }
      // What is denser costs instructions or loads in every step: it must be worth them.
      if (best_window != 0 && static_cast<double>(steps) > 0.965 * static_cast<double>(least)) continue;
      best = std::move(schedules);
      best_window = windows.columns;
      least = steps;
    }
    write(groups, best, best_window, least, out);
  }

  void decode_row(const std::byte* strip, int row, std::size_t cols, float* out) const override {
    std::fill_n(out, cols, 0.0f);
    const auto r = static_cast<std::size_t>(row);
    for_lanes_of_row(strip, r, cols, [&](std::size_t step, std::size_t lane, std::size_t g, const PermuteGroup& group) {
      decode_lane(strip, step, lane, g, bf16_to_f32(group.scales[r]), cols, out);
    });
  }

  bool strip_is_valid(const std::byte* strip, std::size_t bytes, int n_rows, std::size_t cols) const override {
    const std::size_t groups = n_wide_groups(cols);
    if (n_rows < 1 || n_rows > kStripRows || bytes < permute_steps_offset(groups, 0)) return false;
    const PermuteHeader header = permute_header(strip);
    const std::size_t steps = header.n_steps, window = header.window;
    if (std::find(std::begin(kPermuteWindows), std::end(kPermuteWindows), window) == std::end(kPermuteWindows)) return false;
    if (bytes < permute_steps_offset(groups, steps) ||
        bytes - permute_steps_offset(groups, steps) < permute_steps_bytes(steps, int4_))
      return false;
    std::size_t sum = 0;
    for (std::size_t g = 0; g < groups; ++g) {
      const PermuteGroup group = permute_group<PermuteGroup>(strip, g);
      sum += std::size_t{group.n_own} + group.n_shared;
      if (!lanes_are_valid(group)) return false;
    }
    return sum == steps && bases_are_valid(permute_bases<PermuteGroup>(strip, groups), steps, window);
  }

 private:
  /// Steps of a group of `cols` columns at a density, from counts of random masks (see docs/formats.md).
  static double expected_steps(double cols, double density) {
    const double entries = cols * kStripRows * density;
    // Free places: part of the last step, and what sparse windows leave.
    const double padding = 1.03 + 0.35 / std::max(1.0, entries / kPermuteStep) + 0.006 / std::max(density, 0.01);
    return std::max(entries > 0 ? 1.0 : 0.0, entries / kPermuteStep * padding);
  }

  void write(const std::vector<PermuteGroup>& quantized, const std::vector<PermuteSchedule>& schedules, std::size_t window,
             std::size_t n_steps, std::vector<std::byte>& out) const {
    const std::size_t begin = out.size();
    const std::size_t at_steps = permute_steps_offset(quantized.size(), n_steps);
    out.resize(begin + at_steps + permute_steps_bytes(n_steps, int4_));
    std::byte* const strip = out.data() + begin;
    const PermuteHeader header{static_cast<std::uint32_t>(n_steps), static_cast<std::uint32_t>(window), 0};
    std::memcpy(strip, &header, sizeof(header));
    std::size_t step = 0;
    for (std::size_t g = 0; g < quantized.size(); ++g) {
      PermuteGroup group = quantized[g];
      const PermuteSchedule& schedule = schedules[g];
      std::copy(schedule.donor.begin(), schedule.donor.end(), group.donor);
      group.kept = schedule.kept;
      group.n_own = static_cast<std::uint16_t>(schedule.n_own);
      group.n_shared = static_cast<std::uint16_t>(schedule.steps.size() - schedule.n_own);
      std::memcpy(strip + sizeof(header) + g * sizeof(group), &group, sizeof(group));
      for (const PermuteStep& from : schedule.steps) write_step(from, step++, strip, quantized.size(), at_steps);
    }
  }

  void write_step(const PermuteStep& from, std::size_t step, std::byte* strip, std::size_t groups,
                  std::size_t at_steps) const {
    strip[sizeof(PermuteHeader) + groups * sizeof(PermuteGroup) + step] = static_cast<std::byte>(from.base);
    std::memcpy(strip + at_steps + permute_indices_at(step, int4_), from.indices.data(), kPermuteStep);
    std::byte* const values = strip + at_steps + permute_values_at(step, int4_);
    for (std::size_t i = 0; i < kPermuteStep; ++i) {
      if (!int4_) {
        values[i] = static_cast<std::byte>(from.values[i]);
      } else {
        const unsigned nibble = static_cast<unsigned>(from.values[i]) & 15u;
        values[i] |= static_cast<std::byte>(step % 2 == 0 ? nibble << 4 : nibble);
      }
    }
  }

  void decode_lane(const std::byte* strip, std::size_t step, std::size_t lane, std::size_t g, float scale,
                   std::size_t cols, float* out) const {
    const PermuteHeader header = permute_header(strip);
    const std::size_t groups = n_wide_groups(cols);
    const std::byte* steps = strip + permute_steps_offset(groups, header.n_steps);
    const std::size_t base = std::to_integer<std::size_t>(permute_bases<PermuteGroup>(strip, groups)[step]) * kPermuteBaseUnit;
    for (std::size_t i = lane * kPermuteEntries; i < (lane + 1) * kPermuteEntries; ++i) {
      const auto index = std::to_integer<std::size_t>(steps[permute_indices_at(step, int4_) + i]) & (header.window - 1);
      const auto byte = std::to_integer<unsigned>(steps[permute_values_at(step, int4_) + i]);
      int value = static_cast<std::int8_t>(byte);
      if (int4_) value = static_cast<std::int8_t>(step % 2 == 0 ? byte & 0xf0u : byte << 4) / 16;
      const std::size_t col = g * kWideGroup + base + index;
      if (col < cols) out[col] += static_cast<float>(value) * scale;
    }
  }

  const bool int4_;
};

}  // namespace

const Format& permute_int8_format() {
  static const PermuteFormat format(false);
  return format;
}

const Format& permute_int4_format() {
  static const PermuteFormat format(true);
  return format;
}

}  // namespace colonnade::engine
