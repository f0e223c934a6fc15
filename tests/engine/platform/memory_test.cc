#include "engine/platform/memory.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <fstream>
#include <string>

#include "tests/support/skip.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

bool all_zero(const HugeMemory& memory) {
  for (const std::byte b : memory.span())
    if (b != std::byte{0}) return false;
  return true;
}

TEST_CASE("memory is zeroed, aligned and usable to its last byte") {
  for (const std::size_t bytes : {std::size_t{1}, 2 * kMiB - 1, 2 * kMiB, 2 * kMiB + 1, 9 * kMiB}) {
    for (const int node : {-1, 0}) {
      auto memory = HugeMemory::allocate(bytes, node);
      REQUIRE(memory.ok());
      CHECK(memory->size() == bytes);
      CHECK(reinterpret_cast<std::uintptr_t>(memory->data()) % (2 * kMiB) == 0);
      CHECK(all_zero(*memory));
      memory->data()[bytes - 1] = std::byte{7};
    }
  }
}

TEST_CASE("nothing is a valid amount of memory") {
  auto memory = HugeMemory::allocate(0, -1);
  REQUIRE(memory.ok());
  CHECK(memory->size() == 0);
}

TEST_CASE("moving hands the mapping over") {
  auto first = HugeMemory::allocate(3 * kMiB, -1);
  REQUIRE(first.ok());
  std::byte* data = first->data();
  HugeMemory second = std::move(*first);
  CHECK(second.data() == data);
  CHECK(first->data() == nullptr);
  HugeMemory third;
  third = std::move(second);
  third.data()[0] = std::byte{1};
  CHECK(third.size() == 3 * kMiB);
}

TEST_CASE("what cannot be had is named") {
  const auto huge = HugeMemory::allocate(std::size_t{1} << 60, -1);
  REQUIRE_FALSE(huge.ok());
  CHECK(huge.error().code == ErrorCode::kExhausted);
  CHECK(huge.error().message.find("1024.0 PiB") != std::string::npos);
  const auto absurd = HugeMemory::allocate(SIZE_MAX, -1);
  CHECK_FALSE(absurd.ok());
  const auto elsewhere = HugeMemory::allocate(kMiB, 1000);
  if (elsewhere.ok()) COLONNADE_SKIP("no NUMA policy on this machine");
  CHECK(elsewhere.error().message.find("NUMA node 1000") != std::string::npos);
}

TEST_CASE("transparent huge pages are really there") {
  auto memory = HugeMemory::allocate(16 * kMiB, -1);
  REQUIRE(memory.ok());
  if (std::string(memory->page_kind()) != "transparent huge pages") COLONNADE_SKIP(memory->page_kind());
  for (std::byte& b : memory->span()) b = std::byte{1};
  std::ifstream maps("/proc/self/smaps_rollup");
  std::string word;
  std::uint64_t huge_kib = 0;
  while (maps >> word)
    if (word == "AnonHugePages:") maps >> huge_kib;
  if (huge_kib == 0) COLONNADE_SKIP("no free huge page at the moment");
  CHECK(huge_kib >= 2048);
}

TEST_CASE("reserved pages are used when they suffice, and given back") {
  const auto reserved_free = [] {
    std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    std::uint64_t pages = 0;
    file >> pages;
    return pages;
  };
  const std::uint64_t before = reserved_free();
  if (before < 4) COLONNADE_SKIP("fewer than 4 reserved huge pages are free (/proc/sys/vm/nr_hugepages)");
  {
    auto memory = HugeMemory::allocate(5 * kMiB, 0);
    REQUIRE(memory.ok());
    CHECK(std::string(memory->page_kind()) == "hugetlbfs");
    CHECK(all_zero(*memory));
    CHECK(reserved_free() == before - 3);
    auto too_much = HugeMemory::allocate((before + 1) * 2 * kMiB, -1);
    REQUIRE(too_much.ok());
    CHECK(std::string(too_much->page_kind()) != "hugetlbfs");
  }
  CHECK(reserved_free() == before);
}

}  // namespace
}  // namespace colonnade::engine
