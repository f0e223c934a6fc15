#include "shard/prune/grid.h"

#include <catch2/catch.hpp>

#include "engine/formats/bf16.h"
#include "engine/formats/format.h"
#include "shard/prune/structure.h"
#include "tests/shard/prune/naive.h"

using namespace colonnade;
using namespace colonnade::shard;
using namespace colonnade::tests;

TEST_CASE("structures are read, and what makes none is refused") {
  CHECK(parse_structure("unstructured")->any());
  CHECK(parse_structure("2:4")->kept == 2);
  CHECK(parse_structure("2:4")->group == 4);
  CHECK(parse_structure("n:64")->kept == 0);
  CHECK(parse_structure("n:64")->kept_of(64, 0.9) == 6);
  CHECK(structure_text(*parse_structure("n:64")) == "n:64");
  CHECK(parse_structure("1x4")->any());
  CHECK(parse_structure("1x4")->unit == 4);
  CHECK(parse_structure("1x4")->units_of(9) == 3);
  CHECK(parse_structure("unstructured")->units_of(9) == 9);
  for (const char* text : {"unstructured", "1x4", "2:4"}) CHECK(structure_text(*parse_structure(text)) == text);
  for (const char* text : {"1x3", "4x1", "1x4:", "1x", "x4", "1x8", "1x4 ", "5:4", "4:4", "0:4", "2:", ":4", "2:4:8", "2:1000", "m:4", "", "2.5:4", "-1:4"}) {
    CAPTURE(text);
    const auto structure = parse_structure(text);
    REQUIRE_FALSE(structure.ok());
    CHECK(structure.error().message == std::string("structure: expected unstructured, 1x4, n:M or N:M with 0 < N < M <= 128, found ") + text);
  }
}

TEST_CASE("exactly as many scores are kept as asked for, ties and all") {
  const std::vector<float> scores{3, 1, 1, 1, 2, 0, 1};
  std::vector<float> scratch(scores.size());
  std::vector<std::uint8_t> keep(scores.size());
  keep_largest(scores, 3, scratch, keep.data());
  CHECK(keep == std::vector<std::uint8_t>{1, 0, 0, 1, 1, 0, 1});
  keep_largest(scores, 0, scratch, keep.data());
  CHECK(keep == std::vector<std::uint8_t>(7, 1));
  keep_largest(scores, 7, scratch, keep.data());
  CHECK(keep == std::vector<std::uint8_t>(7, 0));
}

TEST_CASE("rounded weights are bf16 numbers, near to what they were, and keep their values in the formats that packing chooses") {
  MemoryMeter meter;
  constexpr std::size_t kRows = 32, kCols = 1300;
  // Pieces as of a down matrix: 700 and 600 columns.
  const std::vector<std::size_t> pieces{0, 700};
  for (const PrunedValues values : {PrunedValues::kInt8, PrunedValues::kInt4}) {
    for (const double density : {0.5, 0.1}) {
      FloatMatrix weights = random_matrix(meter, kRows, kCols, 5);
      std::mt19937 random(6);
      RowGroup group(meter, kCols);
      group.load(weights, 0, kRows);
      for (std::size_t col = 0; col < kCols; ++col)
        for (std::size_t r = 0; r < kRowGroup; ++r) group.keep(col)[r] = static_cast<double>(random() % 1000) < density * 1000;
      group.clear_pruned();
      Grid grid;
      grid.choose(values, column_runs(values, pieces, kCols, density), {}, group);
      grid.round_all(group);
      double error = 0, energy = 0;
      for (std::size_t col = 0; col < kCols; ++col)
        for (std::size_t r = 0; r < kRows; ++r) {
          const float value = group.values(col)[r];
          REQUIRE(engine::bf16_to_f32(engine::f32_to_bf16(value)) == value);
          const double wanted = group.keep(col)[r] != 0 ? group.target(col)[r] : 0.0;
          error += (wanted - value) * (wanted - value);
          energy += wanted * wanted;
        }
      // A step of int4 is 1/8 of the largest of 64 (or 51) normal weights: noise of 0.5-1 % of the energy; int8 1/16²
      // of that, at most four times as much with powers of two.
      CHECK(error < (values == PrunedValues::kInt4 ? 0.012 : 0.0002) * energy);

      group.store(weights, 0);
      const std::string name = engine::find_format(values == PrunedValues::kInt4 ? "int4" : "int8")->name();
      std::vector<std::string> formats = {name, "bitmask-" + name};
      // Their int4 scales are for 512 columns: not chosen where much is left.
      if (values != PrunedValues::kInt4 || density < 0.27) formats.insert(formats.end(), {"permute-" + name, "quad-" + name});
      if (values == PrunedValues::kInt4 && density < 0.27) formats.push_back("gap-int4");
      for (const std::string& format : formats) {
        CAPTURE(format, density);
        for (std::size_t piece = 0; piece < 2; ++piece) {
          const std::size_t first = pieces[piece], count = (piece == 0 ? 700 : kCols) - first;
          std::vector<std::byte> strip;
          engine::find_format(format)->encode_strip(weights.row(0) + first, kCols, 16, count, strip);
          std::vector<float> decoded(16 * count);
          engine::find_format(format)->decode_strip(strip.data(), 16, count, decoded.data(), count);
          for (std::size_t r = 0; r < 16; ++r)
            for (std::size_t col = 0; col < count; ++col) REQUIRE(decoded[r * count + col] == weights.row(r)[first + col]);
        }
      }
    }
  }
}
