#include "worker/load.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "shard/blob.h"
#include "tests/support/shared_data.h"

using namespace colonnade;

namespace {

/// Two blob files of pseudo-random bytes and a layout that reads parts of them to other places.
struct Fixture {
  std::filesystem::path folder = tests::scratch_folder();
  std::vector<std::vector<std::byte>> files;
  shard::Manifest manifest;
  shard::SliceLayout layout;

  explicit Fixture(const std::vector<std::size_t>& read_sizes) {
    std::uint32_t state = 12345;
    files.resize(2);
    for (std::size_t i = 0; i < read_sizes.size(); ++i) {
      const auto file = static_cast<std::uint32_t>(i % 2);
      std::vector<std::byte> bytes(read_sizes[i]);
      for (std::byte& byte : bytes) byte = static_cast<std::byte>((state = state * 1664525u + 1013904223u) >> 24);
      const std::uint64_t offset = files[file].size();
      files[file].insert(files[file].end(), bytes.begin(), bytes.end());
      files[file].resize((files[file].size() + 4095) / 4096 * 4096);
      layout.reads.push_back({.file = file, .offset = offset, .bytes = bytes.size(), .destination = 0,
                              .path = static_cast<std::uint32_t>(i), .whole_path = true,
                              .checksum = shard::blob_checksum(bytes)});
    }
    // Last first, so that memory is in another order than the files.
    for (std::size_t i = layout.reads.size(); i-- > 0;) {
      layout.reads[i].destination = layout.bytes;
      layout.bytes += (layout.reads[i].bytes + 63) / 64 * 64;
    }
    for (std::size_t i = 0; i < read_sizes.size(); ++i)
      manifest.paths.push_back({.kind = shard::PathKind::kAttention, .layer = static_cast<int>(i)});
    for (std::size_t f = 0; f < files.size(); ++f) {
      manifest.blob_files.push_back({.name = "part-" + std::to_string(f) + ".paths", .bytes = files[f].size()});
      write(f);
    }
  }

  std::filesystem::path file(std::size_t f) const { return folder / manifest.blob_files[f].name; }
  void write(std::size_t f) const {
    std::ofstream out(file(f), std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(files[f].data()), static_cast<std::streamsize>(files[f].size()));
  }
  Status load(std::vector<std::byte>& memory, const worker::LoadOptions& options, worker::LoadState& state) const {
    memory.assign(layout.bytes, std::byte{0});
    return worker::load_slice(manifest, folder, layout, memory, options, state);
  }
};

const std::vector<std::size_t> kSizes{1, 4096, 4097, 700'000, 63, 0, 524'288, 524'289, 3'000'001};

}  // namespace

TEST_CASE("a slice is read as its layout says, with any number of threads") {
  const Fixture fixture(kSizes);
  const int n_threads = GENERATE(0, 1, 3);
  const std::vector<int> cpus(static_cast<std::size_t>(n_threads), 0);
  worker::LoadState state;
  std::vector<std::byte> memory;
  const Status loaded = fixture.load(memory, {.cpus = cpus, .verify = true}, state);
  REQUIRE(loaded.ok());
  std::uint64_t bytes = 0;
  for (const shard::SliceRead& read : fixture.layout.reads) {
    CAPTURE(read.path);
    bytes += read.bytes;
    CHECK((read.bytes == 0 ||
           std::memcmp(memory.data() + read.destination, fixture.files[read.file].data() + read.offset, read.bytes) == 0));
  }
  CHECK(state.loaded_bytes == bytes);
  CHECK(state.total_bytes == bytes);
  CHECK(worker::slice_read_bytes(fixture.layout) == bytes);
}

TEST_CASE("one wrong byte is found when checksums are asked for") {
  Fixture fixture(kSizes);
  const shard::SliceRead& damaged = fixture.layout.reads[3];
  fixture.files[damaged.file][damaged.offset + damaged.bytes - 1] ^= std::byte{1};
  fixture.write(damaged.file);
  worker::LoadState state;
  std::vector<std::byte> memory;
  const Status verified = fixture.load(memory, {.cpus = {}, .verify = true}, state);
  REQUIRE_FALSE(verified.ok());
  CHECK(verified.error().code == ErrorCode::kCorrupt);
  CHECK(verified.error().message.find("part-1.paths") != std::string::npos);
  CHECK(verified.error().message.find(shard::path_title(fixture.manifest.paths[3])) != std::string::npos);
  CHECK(fixture.load(memory, {.cpus = {}, .verify = false}, state).ok());
}

TEST_CASE("a file that is missing or too short is named") {
  const Fixture fixture(kSizes);
  worker::LoadState state;
  std::vector<std::byte> memory;
  std::filesystem::resize_file(fixture.file(0), 3'000'000);
  const Status truncated = fixture.load(memory, {.cpus = {}, .verify = true}, state);
  REQUIRE_FALSE(truncated.ok());
  CHECK(truncated.error().code == ErrorCode::kCorrupt);
  CHECK(truncated.error().message.find("ends at byte 3000000") != std::string::npos);
  std::filesystem::remove(fixture.file(1));
  const Status missing = fixture.load(memory, {.cpus = {}, .verify = true}, state);
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().code == ErrorCode::kNotFound);
  CHECK(missing.error().message.find("part-1.paths") != std::string::npos);
}

TEST_CASE("loading in the background reports and can be cancelled") {
  const Fixture fixture(std::vector<std::size_t>(40, 1'000'000));
  std::vector<std::byte> memory(fixture.layout.bytes);
  std::atomic<int> called{0};
  {
    worker::BackgroundLoad loading(fixture.manifest, fixture.folder, fixture.layout, memory, {.cpus = {0, 0}, .verify = true},
                                   [&] { ++called; });
    CHECK(loading.total_bytes() == 40'000'000);
    while (!loading.finished()) std::this_thread::yield();
    CHECK(loading.status().ok());
    CHECK(loading.loaded_bytes() == 40'000'000);
    CHECK(loading.seconds() > 0);
  }
  CHECK(called == 1);
  // Destroyed at once: whatever it has read by then, nothing is written afterwards.
  { worker::BackgroundLoad loading(fixture.manifest, fixture.folder, fixture.layout, memory, {.cpus = {}, .verify = true}, [] {}); }
  std::fill(memory.begin(), memory.end(), std::byte{7});
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(std::all_of(memory.begin(), memory.end(), [](std::byte byte) { return byte == std::byte{7}; }));
}
