#include "engine/formats/format.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <tuple>

#include "engine/formats/bf16.h"
#include "engine/formats/permute_layout.h"

using namespace colonnade::engine;

namespace {

std::vector<float> random_weights(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  std::vector<float> weights(count);
  for (float& w : weights) w = normal(random);
  return weights;
}

/// What a weight must become, computed here without the code under test.
double expected_value(FormatId id, const float* row, std::size_t cols, std::size_t col) {
  if (id == FormatId::kF32) return static_cast<double>(row[col]);
  if (id == FormatId::kBf16 || id == FormatId::kBitmaskBf16) return static_cast<double>(bf16_to_f32(f32_to_bf16(row[col])));
  float largest = 0;
  for (std::size_t i = 0; i < cols; ++i) largest = std::fmax(largest, std::fabs(row[i]));
  if (largest == 0) return 0;
  const float scale = largest / 127.0f;
  return static_cast<double>(std::nearbyint(row[col] / scale) * scale);
}

/// Columns that share a weight scale, 0: the whole row.
std::size_t scale_columns(FormatId id, std::size_t cols) {
  if (id == FormatId::kInt4) return 64;
  if (id == FormatId::kBitmaskInt4) return 128;
  return find_format(id)->activations() == ActivationKind::kWide ? 512 : cols;
}
bool is_int4(FormatId id) { return std::string(find_format(id)->name()).ends_with("int4"); }
bool is_dense(FormatId id) { return static_cast<int>(id) <= static_cast<int>(FormatId::kInt4); }

/// True where the decoded value is as near to the weight as the format promises: exactly expected_value() for formats
/// without freedom in the choice of scales, else within a step of the group's largest weight (0 stays 0).
bool is_as_promised(FormatId id, const float* row, std::size_t cols, std::size_t col, float decoded) {
  if (!is_int4(id) && find_format(id)->activations() != ActivationKind::kWide) return static_cast<double>(decoded) == expected_value(id, row, cols, col);
  const std::size_t width = scale_columns(id, cols), first = col / width * width;
  float largest = 0;
  for (std::size_t i = first; i < std::min(cols, first + width); ++i) largest = std::fmax(largest, std::fabs(row[i]));
  if (row[col] == 0) return decoded == 0;
  // Scales are bf16; int4 scales may be chosen so that the largest weights lose up to three tenths.
  const float bound = is_int4(id) ? largest * 0.31f : largest / 127.0f * 0.51f;
  return std::fabs(decoded - row[col]) <= bound;
}

std::vector<std::byte> encode(const Format& format, const std::vector<float>& weights, std::size_t stride, int n_rows,
                              std::size_t cols) {
  std::vector<std::byte> bytes;
  format.encode_strip(weights.data(), stride, n_rows, cols, bytes);
  return bytes;
}

}  // namespace

TEST_CASE("formats are found by name and by number") {
  REQUIRE(all_formats().size() == 12);
  for (const Format* format : all_formats()) {
    CHECK(find_format(format->name()) == format);
    CHECK(find_format(format->id()) == format);
    CHECK(static_cast<int>(format->id()) < kFormatSlots);
  }
  CHECK(find_format("int7") == nullptr);
  CHECK(find_format(static_cast<FormatId>(99)) == nullptr);
  // Numbers are stored in packed models: they never change.
  CHECK(find_format(static_cast<FormatId>(1))->name() == std::string("f32"));
  CHECK(find_format(static_cast<FormatId>(2))->name() == std::string("bf16"));
  CHECK(find_format(static_cast<FormatId>(3))->name() == std::string("int8"));
  CHECK(find_format(static_cast<FormatId>(4))->name() == std::string("int4"));
  CHECK(find_format(static_cast<FormatId>(5))->name() == std::string("bitmask-bf16"));
  CHECK(find_format(static_cast<FormatId>(6))->name() == std::string("bitmask-int8"));
  CHECK(find_format(static_cast<FormatId>(7))->name() == std::string("bitmask-int4"));
  CHECK(find_format(static_cast<FormatId>(8))->name() == std::string("permute-int8"));
  CHECK(find_format(static_cast<FormatId>(9))->name() == std::string("permute-int4"));
  CHECK(find_format(static_cast<FormatId>(10))->name() == std::string("gap-int4"));
  CHECK(find_format(static_cast<FormatId>(11))->name() == std::string("quad-int8"));
  CHECK(find_format(static_cast<FormatId>(12))->name() == std::string("quad-int4"));
}

TEST_CASE("a strip decodes to the values that its format promises") {
  for (const Format* format : all_formats()) {
    for (const int n_rows : {1, 2, 7, 15, 16}) {
      for (const std::size_t cols : {1u, 2u, 3u, 4u, 5u, 31u, 63u, 64u, 65u, 127u, 257u}) {
        CAPTURE(format->name(), n_rows, cols);
        const std::size_t stride = cols + 3;
        const auto weights = random_weights(static_cast<std::size_t>(n_rows) * stride, static_cast<unsigned>(cols));
        const auto strip = encode(*format, weights, stride, n_rows, cols);
        CHECK(strip.size() % kStripGranule == 0);
        if (is_dense(format->id())) CHECK(static_cast<double>(strip.size()) == format->expected_strip_bytes(cols, {}));
        CHECK(format->strip_is_valid(strip.data(), strip.size(), n_rows, cols));

        const std::size_t out_stride = cols + 1;
        std::vector<float> out(static_cast<std::size_t>(n_rows) * out_stride, -7.0f);
        format->decode_strip(strip.data(), n_rows, cols, out.data(), out_stride);
        std::vector<float> row(cols);
        bool equal = true;
        for (int r = 0; r < n_rows; ++r) {
          const auto at = static_cast<std::size_t>(r);
          format->decode_row(strip.data(), r, cols, row.data());
          equal = equal && std::memcmp(row.data(), &out[at * out_stride], cols * sizeof(float)) == 0;
          equal = equal && out[at * out_stride + cols] == -7.0f;
          for (std::size_t c = 0; c < cols; ++c) {
            equal = equal && is_as_promised(format->id(), &weights[at * stride], cols, c, row[c]);
          }
        }
        CHECK(equal);
      }
    }
  }
}

TEST_CASE("strips are appended, and padding stands for zero") {
  for (const Format* format : all_formats()) {
    CAPTURE(format->name());
    const std::vector<float> weights(3 * 5, 1.5f);
    std::vector<std::byte> bytes(64, std::byte{42});
    format->encode_strip(weights.data(), 5, 3, 5, bytes);
    CHECK(bytes[63] == std::byte{42});
    std::vector<float> out(16 * 8);
    format->decode_strip(bytes.data() + 64, 16, 8, out.data(), 8);
    for (std::size_t r = 0; r < 16; ++r) {
      for (std::size_t c = 0; c < 8; ++c) CHECK(out[r * 8 + c] == Approx(r < 3 && c < 5 ? 1.5 : 0.0).epsilon(0.02));
    }
  }
}

TEST_CASE("int8 is within half a step and keeps extremes, zeros and tiny rows") {
  const Format& int8 = *find_format(FormatId::kInt8);
  const std::size_t cols = 300;
  auto weights = random_weights(16 * cols, 5);
  for (std::size_t c = 0; c < cols; ++c) weights[3 * cols + c] = 0;
  for (std::size_t c = 0; c < cols; ++c) weights[4 * cols + c] *= 1e-43f;  // subnormal scale
  weights[5 * cols + 17] = 1e30f;
  const auto strip = encode(int8, weights, cols, 16, cols);
  std::vector<float> out(16 * cols);
  int8.decode_strip(strip.data(), 16, cols, out.data(), cols);
  for (std::size_t r = 0; r < 16; ++r) {
    float largest = 0;
    for (std::size_t c = 0; c < cols; ++c) largest = std::fmax(largest, std::fabs(weights[r * cols + c]));
    const double bound = r == 4 ? 2e-42 : static_cast<double>(largest) / 127 * 0.5001;
    double worst = 0;
    for (std::size_t c = 0; c < cols; ++c) {
      worst = std::fmax(worst, std::fabs(static_cast<double>(out[r * cols + c]) - static_cast<double>(weights[r * cols + c])));
    }
    CAPTURE(r);
    CHECK(worst <= bound);
  }
  CHECK(out[5 * cols + 17] == Approx(1e30));
}

TEST_CASE("a strip that is too short or holds impossible scales is not valid") {
  for (const Format* format : all_formats()) {
    CAPTURE(format->name());
    const auto weights = random_weights(16 * 70, 1);
    auto strip = encode(*format, weights, 70, 16, 70);
    CHECK(format->strip_is_valid(strip.data(), strip.size(), 16, 70));
    CHECK_FALSE(format->strip_is_valid(strip.data(), strip.size() - 1, 16, 70));
    // In whole granules, more columns need more bytes or are padding.
    CHECK_FALSE(format->strip_is_valid(strip.data(), strip.size(), 16, 70 + 1024));
    CHECK_FALSE(format->strip_is_valid(strip.data(), 0, 16, 70));
    CHECK_FALSE(format->strip_is_valid(strip.data(), strip.size(), 17, 70));
    CHECK_FALSE(format->strip_is_valid(strip.data(), strip.size(), 0, 70));
  }
  const Format& int8 = *find_format(FormatId::kInt8);
  auto strip = encode(int8, random_weights(16 * 8, 2), 8, 16, 8);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1.0f}) {
    std::memcpy(strip.data() + 5 * sizeof(float), &bad, sizeof(bad));
    CHECK_FALSE(int8.strip_is_valid(strip.data(), strip.size(), 16, 8));
  }
}

namespace {

std::vector<float> random_pruned(std::size_t count, double density, unsigned seed) {
  auto weights = random_weights(count, seed);
  std::mt19937 random(seed + 1);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  for (float& w : weights)
    if (!(uniform(random) < density)) w = 0;
  return weights;
}

}  // namespace

TEST_CASE("sparse strips keep what is kept, at every density and shape, and nothing of them is redundant") {
  for (const Format* format : all_formats()) {
    if (is_dense(format->id())) continue;
    for (const double density : {0.0, 0.01, 0.05, 0.1, 0.3, 0.7, 1.0}) {
      for (const std::size_t cols : {40u, 128u, 300u, 512u, 1300u}) {
        const int n_rows = cols == 300 ? 9 : 16;
        CAPTURE(format->name(), density, cols);
        const auto weights = random_pruned(static_cast<std::size_t>(n_rows) * cols, density, static_cast<unsigned>(cols));
        const auto strip = encode(*format, weights, cols, n_rows, cols);
        REQUIRE(format->strip_is_valid(strip.data(), strip.size(), n_rows, cols));
        for (std::size_t cut = 64; cut <= strip.size(); cut += 64)
          CHECK_FALSE(format->strip_is_valid(strip.data(), strip.size() - cut, n_rows, cols));
        std::vector<float> out(static_cast<std::size_t>(n_rows) * cols);
        format->decode_strip(strip.data(), n_rows, cols, out.data(), cols);
        bool as_promised = true;
        for (std::size_t r = 0; r < static_cast<std::size_t>(n_rows); ++r)
          for (std::size_t c = 0; c < cols; ++c)
            as_promised = as_promised && is_as_promised(format->id(), &weights[r * cols], cols, c, out[r * cols + c]);
        CHECK(as_promised);
      }
    }
  }
}

TEST_CASE("the bytes that plans expect of sparse strips are those that random masks take") {
  for (const Format* format : all_formats()) {
    if (is_dense(format->id())) continue;
    for (const double density : {0.03, 0.05, 0.1, 0.2, 0.5}) {
      for (const std::size_t cols : {256u, 512u, 2048u}) {
        auto weights = random_pruned(16 * cols, density, 3);
        for (float& w : weights) w = w == 0 ? 0 : w + std::copysign(0.5f, w);  // pruning leaves no small ones
        const auto strip = encode(*format, weights, cols, 16, cols);
        CAPTURE(format->name(), density, cols);
        CHECK(format->expected_strip_bytes(cols, Zeros::anywhere(density)) == Approx(static_cast<double>(strip.size())).epsilon(0.15));
      }
    }
  }
}

TEST_CASE("zeros are counted by weights and by blocks of four columns of a row") {
  CHECK(ZeroCount{}.zeros() == Zeros{1.0, 1.0});
  ZeroCount count;
  const float rows[] = {1, 0, 0, 0, 0, 0, 0, 0, 2, 0,   //
                        0, 0, 0, 1, 1, 0, 0, 0, 0, 0};
  count.add(rows, 2, 10);
  CHECK(count.zeros() == Zeros{4.0 / 20, 4.0 / 6});
  count.add(rows, 1, 4);  // another matrix
  CHECK(count.zeros() == Zeros{5.0 / 24, 5.0 / 7});
  CHECK(Zeros::anywhere(0.5).block_density == 1 - 1.0 / 16);
  CHECK(Zeros::in_blocks(0.5).block_density == 0.5);
}

TEST_CASE("unstructured masks cost at most 1.3 times the bits of balanced ones") {
  for (const FormatId id : {FormatId::kPermuteInt8, FormatId::kPermuteInt4}) {
    const double entry_bits = id == FormatId::kPermuteInt8 ? 16 : 12;
    for (const double density : {0.1, 0.05}) {
      const std::size_t cols = 4096;
      const auto strip = encode(*find_format(id), random_pruned(16 * cols, density, 11), cols, 16, cols);
      const double bits = static_cast<double>(strip.size()) * 8 / (16.0 * cols);
      CAPTURE(find_format(id)->name(), density, bits);
      // Balanced masks fill every place: the entries themselves, and groups' headers.
      const double balanced = density * entry_bits + 8.0 * sizeof(std::uint8_t) * 57 / (16 * 512);
      CHECK(bits <= 1.3 * balanced);
    }
  }
}

TEST_CASE("gaps take fewer bits than pairs of value and index from a tenth to a fifth") {
  const std::size_t cols = 4096;
  for (const double density : {0.1, 0.2}) {
    const auto weights = random_pruned(16 * cols, density, 12);
    const auto gaps = encode(*find_format(FormatId::kGapInt4), weights, cols, 16, cols);
    const auto pairs = encode(*find_format(FormatId::kPermuteInt4), weights, cols, 16, cols);
    CHECK(static_cast<double>(gaps.size()) < 0.95 * static_cast<double>(pairs.size()));
    // A byte for every entry and for every 15 columns without one, and at most an eighth more.
    const double entries = density * 16.0 * static_cast<double>(cols) / (1 - std::pow(1 - density, 15));
    CHECK(static_cast<double>(gaps.size()) < 1.125 * entries + 8 * 72 + 320);
  }
}

TEST_CASE("balanced masks of n in 64 take exactly their entries") {
  for (const int n : {4, 8}) {
    const std::size_t cols = 1024;
    std::vector<float> weights(16 * cols, 0.0f);
    std::mt19937 random(4);
    for (std::size_t r = 0; r < 16; ++r) {
      for (std::size_t b = 0; b < cols; b += 64) {
        std::vector<std::size_t> places(64);
        for (std::size_t i = 0; i < 64; ++i) places[i] = i;
        std::shuffle(places.begin(), places.end(), random);
        for (int i = 0; i < n; ++i) weights[r * cols + b + places[static_cast<std::size_t>(i)]] = static_cast<float>(i + 1);
      }
    }
    const auto strip = encode(*find_format(FormatId::kPermuteInt8), weights, cols, 16, cols);
    const std::size_t steps = cols / 64 * static_cast<std::size_t>(n) / 4;
    CHECK(strip.size() == (16 + 2 * 56 + steps + 63) / 64 * 64 + steps * 128);
  }
}

TEST_CASE("every byte of a sparse strip may be wrong without a kernel reading outside") {
  // What strip_is_valid() lets pass must decode inside of the strip: AddressSanitizer looks on.
  for (const Format* format : all_formats()) {
    if (is_dense(format->id())) continue;
    const std::size_t cols = 600;
    const auto good = encode(*format, random_pruned(16 * cols, 0.1, 21), cols, 16, cols);
    std::mt19937 random(5);
    std::vector<float> out(16 * cols);
    int passed = 0;
    for (int i = 0; i < 2000; ++i) {
      // Exactly as long as the strip, so that reading past it is seen.
      const std::unique_ptr<std::byte[]> bytes(new std::byte[good.size()]);
      std::memcpy(bytes.get(), good.data(), good.size());
      const std::size_t reach = i % 2 == 0 ? good.size() : std::min<std::size_t>(good.size(), 200);
      bytes[random() % reach] = static_cast<std::byte>(random());
      if (!format->strip_is_valid(bytes.get(), good.size(), 16, cols)) continue;
      ++passed;
      format->decode_strip(bytes.get(), 16, cols, out.data(), cols);
    }
    CHECK(passed > 0);
  }
}

TEST_CASE("blocks of four columns take a byte beside their values, and what rows are uneven by") {
  std::mt19937 random(6);
  for (const double density : {0.05, 0.1, 0.25}) {
    const std::size_t cols = 4096;
    std::vector<float> weights(16 * cols, 0.0f);
    std::size_t kept = 0;
    for (std::size_t quad = 0; quad < weights.size() / 4; ++quad) {
      if (!(std::uniform_real_distribution<double>(0, 1)(random) < density)) continue;
      ++kept;
      for (std::size_t i = 0; i < 4; ++i) weights[4 * quad + i] = 0.25f * static_cast<float>(i + 1);
    }
    for (const char* name : {"quad-int8", "quad-int4"}) {
      const Format& format = *find_format(name);
      const auto strip = encode(format, weights, cols, 16, cols);
      const double quad_bytes = std::string(name) == "quad-int8" ? 5 : 3;
      CAPTURE(name, density, strip.size());
      const double headers = 16 + 8 * 56 + 128;
      CHECK(format.expected_strip_bytes(cols, Zeros::in_blocks(density)) == Approx(static_cast<double>(strip.size())).epsilon(0.1));
      CHECK(static_cast<double>(strip.size()) <= 1.3 * quad_bytes * static_cast<double>(kept) + headers);
      const auto pairs = encode(*find_format(is_int4(format.id()) ? FormatId::kPermuteInt4 : FormatId::kPermuteInt8), weights, cols, 16, cols);
      CHECK(static_cast<double>(strip.size()) < 0.75 * static_cast<double>(pairs.size()));
    }
  }
}

TEST_CASE("a quad past the end of its group is not valid") {
  const std::size_t cols = 516;  // the second group has one block of four
  const Format& format = *find_format("quad-int8");
  const auto strip = encode(format, random_weights(16 * cols, 8), cols, 16, cols);
  const std::size_t first = quads_offset(2), n_steps = 128;
  REQUIRE(format.strip_is_valid(strip.data(), strip.size(), 16, cols));
  for (const auto& [step, quad, valid] : {std::tuple{std::size_t{0}, 127, true}, {std::size_t{0}, 128, false}, {n_steps, 0, true}, {n_steps, 1, false}}) {
    auto changed = strip;
    changed[first + step * kStripRows + 3] = static_cast<std::byte>(quad);
    CAPTURE(step, quad);
    CHECK(format.strip_is_valid(changed.data(), changed.size(), 16, cols) == valid);
  }
}
