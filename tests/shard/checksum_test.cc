#include "shard/checksum.h"

#include <catch2/catch.hpp>
#include <vector>

#include "shard/blob.h"

using namespace colonnade::shard;

TEST_CASE("a running checksum is that of the whole, however the bytes come") {
  std::vector<std::byte> bytes(5000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 131 >> 3);
  const std::span<const std::byte> all(bytes);
  RunningChecksum running;
  for (const std::size_t piece : {std::size_t{1}, std::size_t{64}, std::size_t{1021}, bytes.size()}) {
    running.begin();
    for (std::size_t at = 0; at < bytes.size(); at += piece) running.add(all.subspan(at, std::min(piece, bytes.size() - at)));
    CHECK(running.value() == blob_checksum(all));
  }
}

TEST_CASE("the checksum is XXH3-64") {
  // The value of the empty input in xxHash's own specification.
  CHECK(RunningChecksum().value() == 0x2d06800538d394c2u);
}
