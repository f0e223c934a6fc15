#include "shard/blob.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/shard/memory_model.h"
#include "tests/shard/shapes.h"

using namespace colonnade;
using namespace colonnade::shard;
using engine::FormatId;

namespace {

/// The blob of a path of the kind, in a small model.
struct Sample {
  PathSpec path;
  std::vector<std::byte> blob;

  explicit Sample(PathKind kind, FormatId format = FormatId::kBf16) {
    const auto config = tests::make_config({40, 2, 4, 2, 24, 50, 100, 1, 1, false, true});
    const auto model = tests::make_memory_model(config, format_choice(format));
    for (const PathSpec& p : model.manifest.paths) {
      if (p.kind != kind) continue;
      path = p;
      const auto begin = model.file.begin() + static_cast<std::ptrdiff_t>(p.offset);
      blob.assign(begin, begin + static_cast<std::ptrdiff_t>(p.bytes));
      break;
    }
  }
  std::uint64_t& entry(std::size_t i) { return reinterpret_cast<std::uint64_t*>(blob.data())[i]; }
};

}  // namespace

TEST_CASE("dense blobs have exactly the bytes that were expected of them") {
  const auto config = tests::make_config({40, 2, 4, 2, 24, 530, 300, 3, 2, false, true, true, true});
  for (const FormatId format : {FormatId::kF32, FormatId::kBf16, FormatId::kInt8}) {
    const auto expected = enumerate_paths(config, format_choice(format));
    const auto model = tests::make_memory_model(config, format_choice(format));
    for (std::size_t p = 0; p < expected.size(); ++p) {
      CAPTURE(path_title(expected[p]));
      CHECK(model.manifest.paths[p].bytes == expected[p].bytes);
      for (std::size_t m = 0; m < expected[p].matrices.size(); ++m)
        CHECK(model.manifest.paths[p].matrices[m].bytes == expected[p].matrices[m].bytes);
    }
  }
}

TEST_CASE("density is counted") {
  const auto config = tests::make_config({16, 1, 1, 1, 16, 16, 16});
  auto paths = enumerate_paths(config, format_choice(FormatId::kF32));
  PathSpec& path = paths[3];
  REQUIRE(path.kind == PathKind::kFeedForward);
  const PathWeights weights{[](const MatrixSpec& m, std::uint32_t, std::uint32_t n_rows, float* out) -> Status {
                              for (std::uint32_t i = 0; i < n_rows * m.cols; ++i)
                                out[i] = m.role == MatrixRole::kUp && i % 8 > 1 ? 0.0f : 1.0f;
                              return {};
                            },
                            nullptr};
  std::vector<std::byte> blob;
  REQUIRE(encode_path_blob(path, weights, blob).ok());
  CHECK(path.matrices[0].zeros == engine::Zeros{1.0, 1.0});
  CHECK(path.matrices[1].zeros == engine::Zeros{0.25, 0.5});
}

TEST_CASE("an error of the weights' source is passed on") {
  auto paths = enumerate_paths(tests::make_config({16, 1, 1, 1, 16, 16, 16}), format_choice(FormatId::kF32));
  const PathWeights weights{[](const MatrixSpec&, std::uint32_t, std::uint32_t, float*) -> Status {
                              return Error{ErrorCode::kIo, "the disk is gone"};
                            },
                            nullptr};
  std::vector<std::byte> blob;
  const auto status = encode_path_blob(paths[0], weights, blob);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message == "the disk is gone");
}

TEST_CASE("a weight that is not finite is refused by its place") {
  auto paths = enumerate_paths(tests::make_config({16, 1, 1, 1, 16, 40, 16}), format_choice(FormatId::kInt8));
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const float value : {inf, -inf, nan}) {
    const PathWeights weights{[&](const MatrixSpec& m, std::uint32_t first, std::uint32_t n_rows, float* out) -> Status {
                                std::fill_n(out, std::size_t{n_rows} * m.cols, 1.0f);
                                if (m.role == MatrixRole::kUp && first == 16) out[3 * m.cols + 5] = value;
                                return {};
                              },
                              [&](const VectorSpec& v, float* out) -> Status {
                                std::fill_n(out, v.count, 1.0f);
                                if (v.role == VectorRole::kFeedForwardNorm) out[7] = value;
                                return {};
                              }};
    const auto message = [&](std::size_t path) {
      std::vector<std::byte> blob;
      const auto status = encode_path_blob(paths[path], weights, blob);
      REQUIRE_FALSE(status.ok());
      CHECK(status.error().code == ErrorCode::kCorrupt);
      return status.error().message;
    };
    const std::string found = std::isnan(value) ? "found nan" : value > 0 ? "found inf" : "found -inf";
    REQUIRE(paths[3].kind == PathKind::kFeedForward);
    CHECK_THAT(message(3), Catch::Contains("layer 0, neurons 0-39 of expert 0: matrix 1, row 19, column 5") && Catch::Contains(found));
    REQUIRE(paths[1].kind == PathKind::kReplicated);
    CHECK_THAT(message(1), Catch::Contains("layer 0, norms and router: vector 1, number 7") && Catch::Contains(found));
  }
}

TEST_CASE("strips are located where they were written") {
  for (const PathKind kind : {PathKind::kAttention, PathKind::kFeedForward, PathKind::kHead}) {
    const Sample sample(kind);
    const auto places = locate_strips(sample.path, sample.blob);
    REQUIRE(places.ok());
    std::uint64_t next = blob_header_bytes(sample.path);
    for (const StripPlace& place : *places) {
      CHECK(place.offset == next);
      next += place.bytes;
      CHECK(check_strip(sample.path, place, sample.blob.data() + place.offset).ok());
    }
    CHECK(next == sample.blob.size());
  }
}

TEST_CASE("the parts of an attention path have checksums of their own, other paths have none") {
  const Sample sample(PathKind::kAttention);
  const auto parts = blob_parts(sample.path);
  REQUIRE(parts.size() == 3);  // and two query heads
  REQUIRE(sample.path.part_checksums.size() == 3);
  std::uint64_t next = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    CHECK(parts[i].offset == next);
    next += parts[i].bytes;
    CHECK(sample.path.part_checksums[i] == blob_checksum(std::span(sample.blob).subspan(parts[i].offset, parts[i].bytes)));
  }
  CHECK(next == sample.blob.size());
  CHECK(Sample(PathKind::kFeedForward).path.part_checksums.empty());
}

TEST_CASE("any wrong entry of an offset table is found and the path named") {
  const Sample good(PathKind::kFeedForward);
  const std::size_t n_entries = table_offset(good.path, good.path.matrices.size()) / 8;
  for (std::size_t i = 0; i < n_entries; ++i) {
    for (const std::int64_t change : {-64, 64, 1, 1 << 20, -(1 << 20)}) {
      Sample bad = good;
      bad.entry(i) += static_cast<std::uint64_t>(change);
      CAPTURE(i, change);
      const auto places = locate_strips(bad.path, bad.blob);
      if (places.ok()) {
        // A boundary between two strips of one matrix that moved by whole cache lines: the format finds it.
        bool found = false;
        for (const StripPlace& place : *places)
          found |= !check_strip(bad.path, place, bad.blob.data() + place.offset).ok();
        CHECK(found);
        continue;
      }
      CHECK(places.error().code == ErrorCode::kCorrupt);
      CHECK_THAT(places.error().message, Catch::Contains("blob of layer 0, neurons 0-49 of expert 0"));
    }
  }
}

TEST_CASE("a strip that its format refuses names itself") {
  Sample sample(PathKind::kHead, FormatId::kInt8);
  const auto places = locate_strips(sample.path, sample.blob);
  REQUIRE(places.ok());
  const float not_a_scale = -1.0f;
  std::memcpy(sample.blob.data() + (*places)[2].offset, &not_a_scale, sizeof(not_a_scale));
  const auto status = check_strip(sample.path, (*places)[2], sample.blob.data() + (*places)[2].offset);
  REQUIRE_FALSE(status.ok());
  CHECK_THAT(status.error().message, Catch::Contains("strip 2 of matrix 0 is not a valid int8 strip of 16 rows"));
}
