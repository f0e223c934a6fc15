// gap-int4: a byte for each weight that is left, its value and its distance from the one before in its row; for matrices of
// which a tenth or a fifth is left. One bf16 scale per row and kWideGroup columns.
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

/// The entries with those of value 0 that distances above kLargestGap take.
PermuteRows with_stops(const PermuteRows& rows) {
  PermuteRows all;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::size_t at = 0;
    for (const PermuteEntry& entry : rows[r]) {
      for (; entry.column - at > kLargestGap; all[r].push_back({static_cast<std::uint16_t>(at), 0})) at += kLargestGap;
      all[r].push_back(entry);
      at = entry.column;
    }
  }
  return all;
}

class GapInt4Format final : public Format {
 public:
  FormatId id() const override { return FormatId::kGapInt4; }
  const char* name() const override { return "gap-int4"; }
  ActivationKind activations() const override { return ActivationKind::kWide; }

  double expected_strip_bytes(std::size_t cols, const Zeros& zeros) const override {
    double steps = 0;
    for (std::size_t begin = 0; begin < cols; begin += kWideGroup)
      steps += expected_steps(static_cast<double>(std::min(kWideGroup, cols - begin)), zeros.density);
    const auto whole = static_cast<std::size_t>(std::lround(steps));
    return static_cast<double>(gap_steps_offset(n_wide_groups(cols), whole) + whole * kPermuteStep);
  }

  void encode_strip(const float* weights, std::size_t stride, int n_rows, std::size_t cols,
                    std::vector<std::byte>& out) const override {
    std::vector<GapGroup> groups(n_wide_groups(cols));
    std::vector<PermuteSchedule> schedules;
    std::size_t n_steps = 0;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const PermuteRows rows = quantize_group(weights, stride, n_rows, g, cols, true, groups[g].lanes);
      schedules.push_back(schedule_group(with_stops(rows), {kGapWindow, 64}));
      n_steps += schedules.back().steps.size();
    }

    const std::size_t begin = out.size(), at_steps = gap_steps_offset(groups.size(), n_steps);
    out.resize(begin + at_steps + n_steps * kPermuteStep);
    std::byte* const strip = out.data() + begin;
    const PermuteHeader header{static_cast<std::uint32_t>(n_steps), static_cast<std::uint32_t>(kGapWindow), 0};
    std::memcpy(strip, &header, sizeof(header));
    std::byte* base = strip + sizeof(header) + groups.size() * sizeof(GapGroup);
    std::byte* step = strip + at_steps;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      GapGroup& group = groups[g];
      const PermuteSchedule& schedule = schedules[g];
      std::copy(schedule.donor.begin(), schedule.donor.end(), group.lanes.donor);
      group.lanes.kept = schedule.kept;
      group.lanes.n_own = static_cast<std::uint16_t>(schedule.n_own);
      group.lanes.n_shared = static_cast<std::uint16_t>(schedule.steps.size() - schedule.n_own);
      std::array<std::size_t, kStripRows> at{};
      std::array<bool, kStripRows> moves{};  // a shared lane begins where its first entry is
      for (std::size_t i = 0; i < schedule.steps.size(); ++i, step += kPermuteStep) {
        const PermuteStep& from = schedule.steps[i];
        *base++ = static_cast<std::byte>(from.base);
        if (i == schedule.n_own) moves.fill(true);
        for (std::size_t lane = 0; lane < kStripRows; ++lane) {
          for (std::size_t e = lane * kPermuteEntries; e < lane * kPermuteEntries + from.n_entries[lane]; ++e) {
            const std::size_t column = from.base * kPermuteBaseUnit + from.indices[e];
            if (moves[lane]) {
              group.start[lane] = static_cast<std::uint8_t>(column);
              at[lane] = column;
              moves[lane] = false;
            }
            step[e] = static_cast<std::byte>((static_cast<unsigned>(from.values[e]) & 15u) << 4 | (column - at[lane]));
            at[lane] = column;
          }
        }
      }
      std::memcpy(strip + sizeof(header) + g * sizeof(group), &group, sizeof(group));
    }
  }

  void decode_row(const std::byte* strip, int row, std::size_t cols, float* out) const override {
    std::fill_n(out, cols, 0.0f);
    const auto r = static_cast<std::size_t>(row);
    const std::size_t groups = n_wide_groups(cols);
    Steps steps{permute_bases<GapGroup>(strip, groups), strip + gap_steps_offset(groups, permute_header(strip).n_steps)};
    for (std::size_t g = 0; g < groups; ++g) {
      const GapGroup group = permute_group<GapGroup>(strip, g);
      const PermuteGroup& lanes = group.lanes;
      const std::size_t first = g * kWideGroup;
      const Target target{out + first, std::min(kWideGroup, cols - first), bf16_to_f32(lanes.scales[r])};
      add_lane(steps, lanes.n_own, r, 0, target);
      steps.skip(lanes.n_own);
      if ((lanes.kept >> r & 1u) != 0) add_lane(steps, lanes.n_shared, r, group.start[r], target);
      if (const std::size_t donor = lanes.donor[r]; donor < kStripRows)
        add_lane(steps, lanes.n_shared, donor, group.start[donor], target);
      steps.skip(lanes.n_shared);
    }
  }

  bool strip_is_valid(const std::byte* strip, std::size_t bytes, int n_rows, std::size_t cols) const override {
    const std::size_t groups = n_wide_groups(cols);
    if (n_rows < 1 || n_rows > kStripRows || bytes < gap_steps_offset(groups, 0)) return false;
    const PermuteHeader header = permute_header(strip);
    const std::size_t steps = header.n_steps;
    if (header.window != kGapWindow || bytes < gap_steps_offset(groups, steps) ||
        (bytes - gap_steps_offset(groups, steps)) / kPermuteStep < steps)
      return false;
    std::size_t sum = 0;
    for (std::size_t g = 0; g < groups; ++g) {
      const GapGroup group = permute_group<GapGroup>(strip, g);
      sum += std::size_t{group.lanes.n_own} + group.lanes.n_shared;
      if (!lanes_are_valid(group.lanes)) return false;
    }
    return sum == steps && bases_are_valid(permute_bases<GapGroup>(strip, groups), steps, kGapWindow);
  }

 private:
  struct Steps {
    const std::byte* bases;
    const std::byte* bytes;
    void skip(std::size_t count) {
      bases += count;
      bytes += count * kPermuteStep;
    }
  };
  struct Target {
    float* out;
    std::size_t cols;
    float scale;
  };

  static void add_lane(const Steps& steps, std::size_t count, std::size_t lane, std::size_t at, const Target& target) {
    for (std::size_t step = 0; step < count; ++step) {
      const std::size_t base = std::to_integer<std::size_t>(steps.bases[step]) * kPermuteBaseUnit;
      for (std::size_t i = 0; i < kPermuteEntries; ++i) {
        const auto byte = std::to_integer<unsigned>(steps.bytes[step * kPermuteStep + lane * kPermuteEntries + i]);
        at += byte & 15u;
        const std::size_t column = base + (at - base) % kGapWindow;
        if (column < target.cols) target.out[column] += static_cast<float>(static_cast<std::int8_t>(byte & 0xf0u) / 16) * target.scale;
      }
    }
  }

  /// Steps of a group of `cols` columns at a density, from counts of random masks (see docs/formats.md).
  static double expected_steps(double cols, double density) {
    const double far = std::pow(1.0 - density, static_cast<double>(kLargestGap));
    const double entries = cols * kStripRows * density * (density > 0 ? 1.0 / (1.0 - far) : 0.0);
    const double padding = 1.08 + 0.4 / std::max(1.0, entries / kPermuteStep) + 0.002 / std::max(density, 0.01);
    return std::max(entries > 0 ? 1.0 : 0.0, entries / kPermuteStep * padding);
  }
};

}  // namespace

const Format& gap_int4_format() {
  static const GapInt4Format format;
  return format;
}

}  // namespace colonnade::engine
