#include "engine/formats/format.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "engine/formats/bf16.h"

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
  if (id == FormatId::kBf16) return static_cast<double>(bf16_to_f32(f32_to_bf16(row[col])));
  float largest = 0;
  for (std::size_t i = 0; i < cols; ++i) largest = std::fmax(largest, std::fabs(row[i]));
  if (largest == 0) return 0;
  const float scale = largest / 127.0f;
  return static_cast<double>(std::nearbyint(row[col] / scale) * scale);
}

std::vector<std::byte> encode(const Format& format, const std::vector<float>& weights, std::size_t stride, int n_rows,
                              std::size_t cols) {
  std::vector<std::byte> bytes;
  format.encode_strip(weights.data(), stride, n_rows, cols, bytes);
  return bytes;
}

}  // namespace

TEST_CASE("formats are found by name and by number") {
  REQUIRE(all_formats().size() == 3);
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
}

TEST_CASE("a strip decodes to the values that its format promises") {
  for (const Format* format : all_formats()) {
    for (const int n_rows : {1, 2, 7, 15, 16}) {
      for (const std::size_t cols : {1u, 2u, 3u, 4u, 5u, 31u, 63u, 64u, 65u, 127u, 257u}) {
        CAPTURE(format->name(), n_rows, cols);
        const std::size_t stride = cols + 3;
        const auto weights = random_weights(static_cast<std::size_t>(n_rows) * stride, static_cast<unsigned>(cols));
        const auto strip = encode(*format, weights, stride, n_rows, cols);
        CHECK(strip.size() % kStripAlignment == 0);
        CHECK(static_cast<double>(strip.size()) == format->expected_strip_bytes(cols, 1.0));
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
            equal = equal && static_cast<double>(row[c]) == expected_value(format->id(), &weights[at * stride], cols, c);
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
      for (std::size_t c = 0; c < 8; ++c) CHECK(out[r * 8 + c] == Approx(r < 3 && c < 5 ? 1.5 : 0.0));
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
    CHECK_FALSE(format->strip_is_valid(strip.data(), strip.size(), 16, 73));
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
