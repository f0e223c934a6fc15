// quad-int8 and quad-int4: weights that are left in blocks of one row and four neighbouring columns, for matrices of which at
// most about a third of such blocks is left. One bf16 scale per row and kWideGroup columns.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/formats/bf16.h"
#include "engine/formats/builtin_formats.h"
#include "engine/formats/lane_shares.h"
#include "engine/formats/permute_layout.h"
#include "engine/formats/permute_rows.h"

namespace colonnade::engine {
namespace {

struct Quad {
  std::uint8_t index;  // within the group
  std::array<std::int8_t, kQuadColumns> values;
};
using QuadRows = std::array<std::vector<Quad>, kStripRows>;

QuadRows quads_of(const PermuteRows& rows) {
  QuadRows quads;
  for (std::size_t r = 0; r < kStripRows; ++r) {
    for (const PermuteEntry& entry : rows[r]) {
      const auto index = static_cast<std::uint8_t>(entry.column / kQuadColumns);
      if (quads[r].empty() || quads[r].back().index != index) quads[r].push_back({index, {}});
      quads[r].back().values[entry.column % kQuadColumns] = entry.value;
    }
  }
  return quads;
}

/// Which quads of a group each lane takes, with the fewest steps.
struct QuadSchedule {
  LaneShares shares;
  std::size_t n_own = 0, n_shared = 0;
  std::size_t n_steps() const { return n_own + n_shared; }
};

QuadSchedule schedule(const QuadRows& rows) {
  std::array<std::size_t, kStripRows> counts;
  for (std::size_t r = 0; r < kStripRows; ++r) counts[r] = rows[r].size();
  const auto largest = [](const std::array<LaneShares::Part, kStripRows>& parts) {
    std::size_t most = 0;
    for (const LaneShares::Part& part : parts) most = std::max(most, part.size());
    return most;
  };
  QuadSchedule best;
  const std::size_t most = *std::max_element(counts.begin(), counts.end());
  for (std::size_t tried = 0; tried <= most; ++tried) {
    const std::size_t quota = most - tried;  // of equally many steps, the most own ones
    const LaneShares shares = share_lanes(counts, quota);
    const QuadSchedule found{shares, largest(shares.own), largest(shares.shared)};
    if (tried == 0 || found.n_steps() < best.n_steps()) best = found;
  }
  return best;
}

class QuadFormat final : public Format {
 public:
  explicit QuadFormat(bool int4) : int4_(int4) {}
  FormatId id() const override { return int4_ ? FormatId::kQuadInt4 : FormatId::kQuadInt8; }
  const char* name() const override { return int4_ ? "quad-int4" : "quad-int8"; }
  ActivationKind activations() const override { return ActivationKind::kWide; }

  double expected_strip_bytes(std::size_t cols, const Zeros& zeros) const override {
    double steps = 0;
    for (std::size_t begin = 0; begin < cols; begin += kWideGroup)
      steps += expected_steps(static_cast<double>(std::min(kWideGroup, cols - begin)), zeros.block_density);
    const auto whole = static_cast<std::size_t>(std::lround(steps));
    return static_cast<double>(quad_values_offset(n_wide_groups(cols), whole) + quad_values_bytes(whole, int4_));
  }

  void encode_strip(const float* weights, std::size_t stride, int n_rows, std::size_t cols,
                    std::vector<std::byte>& out) const override {
    std::vector<PermuteGroup> groups(n_wide_groups(cols));
    std::vector<QuadRows> rows;
    std::vector<QuadSchedule> schedules;
    std::size_t n_steps = 0;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      rows.push_back(quads_of(quantize_group(weights, stride, n_rows, g, cols, int4_, groups[g])));
      schedules.push_back(schedule(rows.back()));
      const LaneShares& shares = schedules.back().shares;
      std::copy(shares.donor.begin(), shares.donor.end(), groups[g].donor);
      groups[g].kept = shares.kept;
      groups[g].n_own = static_cast<std::uint16_t>(schedules.back().n_own);
      groups[g].n_shared = static_cast<std::uint16_t>(schedules.back().n_shared);
      n_steps += schedules.back().n_steps();
    }
    const std::size_t begin = out.size();
    out.resize(begin + quad_values_offset(groups.size(), n_steps) + quad_values_bytes(n_steps, int4_));
    std::byte* const strip = out.data() + begin;
    const PermuteHeader header{static_cast<std::uint32_t>(n_steps), static_cast<std::uint32_t>(kWideGroup), 0};
    std::memcpy(strip, &header, sizeof(header));
    std::memcpy(strip + sizeof(header), groups.data(), groups.size() * sizeof(PermuteGroup));
    const Places places(strip, groups.size());
    std::size_t step = 0;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      write(rows[g], schedules[g].shares.own, strip, places, step);
      write(rows[g], schedules[g].shares.shared, strip, places, step + schedules[g].n_own);
      step += schedules[g].n_steps();
    }
  }

  void decode_row(const std::byte* strip, int row, std::size_t cols, float* out) const override {
    std::fill_n(out, cols, 0.0f);
    const auto r = static_cast<std::size_t>(row);
    const Places places(strip, n_wide_groups(cols));
    for_lanes_of_row(strip, r, cols, [&](std::size_t step, std::size_t lane, std::size_t g, const PermuteGroup& group) {
      const std::size_t first = g * kWideGroup;
      add(places, step, lane, {out + first, std::min(kWideGroup, cols - first), bf16_to_f32(group.scales[r])});
    });
  }

  bool strip_is_valid(const std::byte* strip, std::size_t bytes, int n_rows, std::size_t cols) const override {
    const std::size_t groups = n_wide_groups(cols);
    if (n_rows < 1 || n_rows > kStripRows || bytes < quad_values_offset(groups, 0)) return false;
    const PermuteHeader header = permute_header(strip);
    const std::size_t steps = header.n_steps;
    if (header.window != kWideGroup || bytes < quad_values_offset(groups, steps) ||
        bytes - quad_values_offset(groups, steps) < quad_values_bytes(steps, int4_))
      return false;
    std::size_t sum = 0;
    const std::byte* const quads = strip + quads_offset(groups);
    for (std::size_t g = 0; g < groups; ++g) {
      const PermuteGroup group = permute_group<PermuteGroup>(strip, g);
      const std::size_t first = sum;
      sum += std::size_t{group.n_own} + group.n_shared;
      if (sum > steps || !lanes_are_valid(group)) return false;
      const std::size_t count = padded_cols(std::min(kWideGroup, cols - g * kWideGroup), kQuadColumns) / kQuadColumns;
      if (!std::all_of(quads + first * kStripRows, quads + sum * kStripRows,
                       [&](std::byte quad) { return std::to_integer<std::size_t>(quad) < count; }))
        return false;
    }
    return sum == steps;
  }

 private:
  /// Where a strip's quads and values lie.
  struct Places {
    std::size_t quads, values;
    const std::byte* strip;
    Places(const std::byte* at, std::size_t n_groups)
        : quads(quads_offset(n_groups)), values(quad_values_offset(n_groups, permute_header(at).n_steps)), strip(at) {}
  };
  struct Target {
    float* out;
    std::size_t cols;
    float scale;
  };

  /// Steps of a group of `cols` columns of which so many quads are left, from counts of random masks (see docs/formats.md).
  static double expected_steps(double cols, double density) {
    const double quads = cols / static_cast<double>(kQuadColumns) * density;  // of a row
    // What sharing out in pairs leaves uneven, of random masks from 3 to 50 %: a part of the deviation of a row, and of a step.
    const double uneven = 0.45 * std::sqrt(quads * (1.0 - density)) + (density < 1.0 ? 0.4 : 0.0);
    return quads > 0 ? quads + uneven : 0.0;
  }

  void write(const QuadRows& rows, const std::array<LaneShares::Part, kStripRows>& lanes, std::byte* strip, const Places& places,
             std::size_t first_step) const {
    for (std::size_t l = 0; l < kStripRows; ++l) {
      for (std::size_t i = 0; i < lanes[l].size(); ++i) {
        const Quad& quad = rows[lanes[l].row][lanes[l].begin + i];
        const std::size_t step = first_step + i;
        strip[places.quads + step * kStripRows + l] = static_cast<std::byte>(quad.index);
        std::byte* const to = strip + places.values + quad_values_at(step, int4_) + l * kQuadColumns;
        for (std::size_t c = 0; c < kQuadColumns; ++c) {
          const auto byte = static_cast<unsigned>(quad.values[c]) & 0xffu;
          to[c] |= static_cast<std::byte>(!int4_ ? byte : step % 2 == 0 ? byte << 4 & 0xf0u : byte & 15u);
        }
      }
    }
  }

  void add(const Places& places, std::size_t step, std::size_t lane, const Target& target) const {
    const auto quad = std::to_integer<std::size_t>(places.strip[places.quads + step * kStripRows + lane]) & (kWideQuads - 1);
    const std::byte* const values = places.strip + places.values + quad_values_at(step, int4_) + lane * kQuadColumns;
    for (std::size_t c = 0; c < kQuadColumns; ++c) {
      const auto byte = std::to_integer<unsigned>(values[c]);
      int value = static_cast<std::int8_t>(byte);
      if (int4_) value = static_cast<std::int8_t>(step % 2 == 0 ? byte & 0xf0u : byte << 4) / 16;
      const std::size_t column = quad * kQuadColumns + c;
      if (column < target.cols) target.out[column] += static_cast<float>(value) * target.scale;
    }
  }

  const bool int4_;
};

}  // namespace

const Format& quad_int8_format() {
  static const QuadFormat format(false);
  return format;
}

const Format& quad_int4_format() {
  static const QuadFormat format(true);
  return format;
}

}  // namespace colonnade::engine
