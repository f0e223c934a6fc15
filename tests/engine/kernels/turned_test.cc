// Turned activations give the bits that rows give.
#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>

#include "engine/formats/permute_layout.h"
#include "tests/engine/kernels/fixtures.h"

using colonnade::AlignedBuffer;
using namespace colonnade::engine;
using namespace colonnade::tests;

namespace {

constexpr FormatId kWideFormats[] = {FormatId::kPermuteInt8, FormatId::kPermuteInt4, FormatId::kGapInt4, FormatId::kQuadInt8, FormatId::kQuadInt4};
constexpr std::size_t kBlock = kTurnedTokens;

std::vector<const KernelTable*> all_tables() {
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  return tables;
}

/// (n_tokens, rows of whole strips), as the scalar table multiplies rows.
std::vector<float> by_rows(const KernelTable& table, const PackedMatrix& matrix, const Activations& activations, int n_tokens, float before) {
  const std::size_t width = std::size_t{matrix.view.n_strips()} * kStripRows;
  std::vector<float> out(static_cast<std::size_t>(n_tokens) * width, before);
  const auto format = static_cast<std::size_t>(matrix.view.format);
  const StripsFunction function = before == 0.0f ? table.strips[format] : table.add_strips[format];
  function(matrix.view, 0, matrix.view.n_strips(), activations, n_tokens, out.data(), width);
  return out;
}

AlignedBuffer<TurnedGroup> turned(const KernelTable& table, const Activations& activations, int n_tokens, std::size_t n_groups, bool quads) {
  AlignedBuffer<TurnedGroup> groups(n_groups);
  for (std::size_t g = 0; g < n_groups; ++g) table.turn(activations, n_tokens, g, quads, groups[g]);
  for (std::size_t g = 0; g < n_groups; ++g) CHECK(groups[g].quads == quads);
  return groups;
}

/// What a token has in a column.
std::uint8_t byte_of(const TurnedGroup& group, std::size_t column, std::size_t token) {
  if (!group.quads) return group.lines[column][turned_byte(static_cast<int>(token))];
  return group.lines[column / 4 * 4 + token / 16][token % 16 * 4 + column % 4];
}

std::vector<float> by_turning(const KernelTable& table, const PackedMatrix& matrix, const Activations& activations, int n_tokens, float before,
                              bool quads) {
  const std::size_t n_strips = matrix.view.n_strips(), width = n_strips * kStripRows;
  const auto groups = turned(table, activations, n_tokens, (matrix.view.cols + kWideGroup - 1) / kWideGroup, quads);
  AlignedBuffer<float> columns(width * kBlock);
  std::fill_n(columns.data(), width * kBlock, before == 0.0f ? -5.0f : before);  // what is written does not depend on it
  const auto format = static_cast<std::size_t>(matrix.view.format);
  // In two parts, as cores share strips out.
  const auto middle = static_cast<std::uint32_t>(n_strips / 3);
  const TurnedFunction function = before == 0.0f ? table.turned[format] : table.add_turned[format];
  const auto all = static_cast<std::uint32_t>(n_strips);
  const StripRange parts[] = {{&matrix.view, 0, middle}, {&matrix.view, middle, all - 1}, {&matrix.view, all - 1, all}};
  function(std::span(parts, 1), groups.data(), groups.data(), n_tokens, columns.data());
  function(std::span(parts + 1, 2), groups.data(), nullptr, n_tokens, columns.data() + middle * kStripRows * kBlock);
  std::size_t left = 0;  // in the half that nobody needs
  if (before == 0.0f && n_tokens <= kTurnedTokens / 2)
    for (std::size_t i = 0; i < width * kBlock; ++i) left += i % kBlock >= kBlock / 2 && columns[i] != 0.0f ? 1 : 0;
  CHECK(left == 0);
  std::vector<float> out(static_cast<std::size_t>(n_tokens) * width);
  table.turn_back(columns.data(), width, n_tokens, out.data(), width);
  return out;
}

}  // namespace

TEST_CASE("turned: products have the bits of rows") {
  unsigned seed = 1;
  for (const KernelTable* table : all_tables()) {
    for (const FormatId format : kWideFormats) {
      for (const std::uint32_t cols : {1u, 60u, 500u, 512u, 513u, 1100u}) {
        // Full density takes more steps than are unpacked at once.
        for (const double density : {0.05, 0.3, 1.0, 0.0}) {
          const std::uint32_t rows = density == 0.05 ? 16 * 35 + 3 : 40;
          if (density == 0.05 && cols != 513 && cols != 500) continue;
          const PackedMatrix matrix(format, rows, cols, ++seed, density);
          const Inputs inputs(kBlock, cols, seed);
          for (const int n_tokens : {1, 32, 33, 64}) {
            CAPTURE(table->name, find_format(format)->name(), cols, density, n_tokens);
            const auto want = by_rows(scalar_table(), matrix, inputs.activations(), n_tokens, 0.0f);
            for (const bool quads : {false, true}) {
              if (quads && !has_quads(format)) continue;
              CHECK(same_bits(by_turning(*table, matrix, inputs.activations(), n_tokens, 0.0f, quads), want));
              if (cols > kWideGroup) continue;
              const auto added = by_rows(scalar_table(), matrix, inputs.activations(), n_tokens, 0.75f);
              CHECK(same_bits(by_turning(*table, matrix, inputs.activations(), n_tokens, 0.75f, quads), added));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("turned: a row whose donor works for it need not have its own lane") {
  for (const KernelTable* table : all_tables()) {
    const PackedMatrix matrix(FormatId::kQuadInt8, 16, 512, 3, 0.03);
    auto* const group = reinterpret_cast<PermuteGroup*>(const_cast<std::byte*>(matrix.view.strip(0)) + sizeof(PermuteHeader));
    std::size_t n_given = 0;
    for (std::size_t row = 0; row < kStripRows; ++row) {
      if (group->donor[row] >= kStripRows) continue;
      group->kept = static_cast<std::uint16_t>(group->kept & ~(1u << row));
      ++n_given;
    }
    REQUIRE(n_given > 0);
    const Inputs inputs(kBlock, 512, 7);
    const auto want = by_rows(scalar_table(), matrix, inputs.activations(), 64, 0.0f);
    CAPTURE(table->name);
    CHECK(same_bits(by_turning(*table, matrix, inputs.activations(), 64, 0.0f, true), want));
  }
}

TEST_CASE("turned: products of many rows, which kernels turn themselves, have the same bits") {
  for (const KernelTable* table : vector_tables()) {
    for (const FormatId format : kWideFormats) {
      for (const std::uint32_t cols : {300u, 1024u}) {
        const PackedMatrix matrix(format, 16 * 34 + 1, cols, cols, 0.1);
        const Inputs inputs(150, cols, 5);
        std::vector<std::int32_t> rows(150);
        for (std::size_t t = 0; t < rows.size(); ++t) rows[t] = static_cast<std::int32_t>(t * 37 % 150);
        for (const bool gathered : {false, true}) {
          Activations activations = inputs.activations();
          if (gathered) activations.rows = rows.data();
          for (const int n_tokens : {32, 95, 150}) {
            for (const float before : {0.0f, 0.75f}) {
              CAPTURE(table->name, find_format(format)->name(), cols, gathered, n_tokens, before);
              const auto want = by_rows(scalar_table(), matrix, activations, n_tokens, before);
              CHECK(same_bits(by_rows(*table, matrix, activations, n_tokens, before), want));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("turned: quantised columns are quantised rows, turned") {
  for (const KernelTable* table : all_tables()) {
    for (const std::size_t n_columns : {std::size_t{1}, std::size_t{100}, kWideGroup}) {
      std::vector<float> values = normal_values(n_columns * kBlock, 3);
      for (std::size_t c = 0; c < n_columns; ++c) values[c * kBlock + 5] = 0.0f;  // a token without values
      for (std::size_t c = 0; c < n_columns; ++c) values[c * kBlock + 6] *= 1e-44f;
      AlignedBuffer<float> columns(n_columns * kBlock);
      std::copy(values.begin(), values.end(), columns.data());
      AlignedBuffer<TurnedGroup> got(2);
      for (const bool quads : {false, true}) table->quantize_turned(columns.data(), n_columns, quads, got[quads ? 1 : 0]);
      CHECK_FALSE(got[0].quads);
      CHECK(got[1].quads);
      for (std::size_t t = 0; t < kBlock; ++t) {
        std::vector<float> row(n_columns);
        for (std::size_t c = 0; c < n_columns; ++c) row[c] = values[c * kBlock + t];
        AlignedBuffer<WideGroup> want(1);
        scalar_table().quantize_wide(row.data(), n_columns, want.data(), 1);
        CAPTURE(table->name, n_columns, t);
        for (const TurnedGroup& group : {std::cref(got[0]), std::cref(got[1])}) {
          CHECK(group.scales[t] == want[0].scale);
          std::size_t wrong = 0;
          for (std::size_t c = 0; c < kWideGroup; ++c) wrong += byte_of(group, c, t) != want[0].bytes[c] ? 1u : 0u;
          CHECK(wrong == 0);
        }
      }
    }
  }
}

TEST_CASE("turned: a number for each column is added, and nothing is written past the tokens") {
  const auto numbers = normal_values(48, 9), values = normal_values(48 * kBlock, 10);
  for (const KernelTable* table : all_tables()) {
    AlignedBuffer<float> columns(48 * kBlock);
    std::copy(values.begin(), values.end(), columns.data());
    table->add_to_turned(columns.data(), numbers.data(), 47);
    for (const int n_tokens : {1, 15, 16, 50}) {
      std::vector<float> out(kBlock * 50, -3.0f);
      table->turn_back(columns.data(), 48, n_tokens, out.data(), 50);
      std::size_t wrong = 0;
      for (std::size_t t = 0; t < kBlock; ++t) {
        for (std::size_t c = 0; c < 50; ++c) {
          const float value = values[std::min<std::size_t>(c, 47) * kBlock + t] + (c < 47 ? numbers[c] : 0.0f);
          wrong += out[t * 50 + c] != (static_cast<int>(t) < n_tokens && c < 48 ? value : -3.0f) ? 1u : 0u;
        }
      }
      CAPTURE(table->name, n_tokens);
      CHECK(wrong == 0);
      std::vector<float> sums(kBlock * 50, 0.75f), want = sums;
      for (std::size_t t = 0; t < static_cast<std::size_t>(n_tokens); ++t)
        for (std::size_t c = 0; c < 48; ++c) want[t * 50 + c] += out[t * 50 + c];
      table->turn_back_and_add(columns.data(), 48, n_tokens, sums.data(), 50);
      CHECK(same_bits(sums, want));
    }
  }
}
