#include <algorithm>
#include <map>
#include <random>

#include <catch2/catch.hpp>

#include "coordinator/page_pool.h"

using colonnade::coordinator::PageHash;
using colonnade::coordinator::PagePool;

namespace {
constexpr int kTokens = 4;

std::vector<std::int32_t> content(int n) { return {n, n + 1, n + 2, n + 3}; }
}  // namespace

TEST_CASE("a pool gives every page once and takes them back") {
  PagePool pool(5, kTokens, 1);
  std::vector<std::int32_t> pages;
  while (const auto page = pool.allocate()) pages.push_back(*page);
  std::sort(pages.begin(), pages.end());
  CHECK(pages == std::vector<std::int32_t>{0, 1, 2, 3, 4});
  CHECK(pool.used() == 5);
  CHECK(pool.available() == 0);
  pool.retain(2);
  for (const auto page : pages) pool.release(page);
  CHECK(pool.used() == 1);
  pool.release(2);
  CHECK(pool.used() == 0);
  CHECK(pool.consistent());
}

TEST_CASE("content is found while its page lasts, and the least recently used goes first") {
  PagePool pool(3, kTokens, 1);
  std::vector<PageHash> hashes;
  for (int n = 0; n < 3; ++n) {
    const auto page = pool.allocate();
    hashes.push_back(pool.chain(pool.root(), content(n)));
    pool.publish(*page, hashes.back(), content(n));
  }
  CHECK(pool.references(*pool.find(hashes[1], content(1))) == 2);
  pool.release(1);
  for (const int page : {2, 0, 1}) pool.release(page);
  CHECK(pool.used() == 0);
  CHECK(pool.cached() == 3);
  CHECK(pool.allocate() == 2);  // released first
  CHECK_FALSE(pool.find(hashes[2], content(2)).has_value());
  CHECK(pool.find(hashes[0], content(0)) == 0);
  CHECK_FALSE(pool.find(hashes[1], content(0)).has_value());  // same hash, other tokens
  CHECK(pool.consistent());
}

TEST_CASE("a hash depends on everything before and on the pool") {
  const PagePool pool(1, kTokens, 1);
  const PagePool other(1, kTokens, 2);
  const PageHash a = pool.chain(pool.root(), content(1));
  CHECK(a == pool.chain(pool.root(), content(1)));
  CHECK_FALSE(a == other.chain(other.root(), content(1)));
  CHECK_FALSE(pool.chain(a, content(5)) == pool.chain(pool.chain(pool.root(), content(2)), content(5)));
  const std::vector<std::int32_t> swapped{2, 1, 3, 4};
  CHECK_FALSE(a == pool.chain(pool.root(), swapped));
}

TEST_CASE("random operations leave the books right") {
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    const int n_pages = 1 + static_cast<int>(random() % 12);
    PagePool pool(n_pages, kTokens, static_cast<std::uint64_t>(round));
    std::map<std::int32_t, int> held;          // page -> references
    std::map<std::int32_t, int> content_of;    // what we last put into a page
    for (int i = 0; i < 2000; ++i) {
      const int n = static_cast<int>(random() % 10);
      const PageHash hash = pool.chain(pool.root(), content(n));
      switch (random() % 4) {
        case 0:
          if (const auto page = pool.allocate()) {
            REQUIRE(held[*page]++ == 0);
            content_of.erase(*page);
          } else {
            REQUIRE(static_cast<int>(held.size()) == n_pages);
          }
          break;
        case 1:
          if (const auto page = pool.find(hash, content(n))) {
            REQUIRE(content_of.at(*page) == n);
            ++held[*page];
          }
          break;
        default:
          if (held.empty()) break;
          auto any = std::next(held.begin(), static_cast<std::ptrdiff_t>(random() % held.size()));
          if (random() % 3 == 0 && content_of.count(any->first) == 0) {
            pool.publish(any->first, hash, content(n));
            content_of[any->first] = n;
          } else {
            pool.release(any->first);
            if (--any->second == 0) held.erase(any);
          }
      }
      REQUIRE(pool.used() == static_cast<int>(held.size()));
    }
    REQUIRE(pool.consistent());
    for (const auto& [page, references] : held) REQUIRE(pool.references(page) == references);
  }
}
