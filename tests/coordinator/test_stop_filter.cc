#include <catch2/catch.hpp>
#include <random>

#include "coordinator/stop_filter.h"

using colonnade::coordinator::StopFilter;

namespace {

/// Reads the text one byte at a time and ends at the first byte that completes a stop string.
std::string cut_by_definition(const std::string& text, const std::vector<std::string>& stops) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& stop : stops) {
      if (text.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
    }
    if (longest > 0) return text.substr(0, end - longest);
  }
  return text;
}

}  // namespace

TEST_CASE("the cut does not depend on the pieces, and nothing is held back for longer than needed") {
  std::mt19937 random(3);
  const auto word = [&](std::size_t longest) {
    std::string letters(1 + random() % longest, ' ');
    for (char& letter : letters) letter = static_cast<char>('a' + random() % 2);
    return letters;
  };
  for (int round = 0; round < 3000; ++round) {
    const std::string text = word(30);
    std::vector<std::string> stops;
    for (unsigned i = random() % 4; i > 0; --i) stops.push_back(word(6));
    const std::string expected = cut_by_definition(text, stops);
    StopFilter filter(stops);
    std::string found;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t n = 1 + random() % 4;
      const std::string piece = filter.push(text.substr(at, n));
      found += piece;
      at += n;
      REQUIRE(expected.starts_with(found));
      if (filter.stopped() || at >= text.size()) continue;
      // What is held back must be the beginning of a stop string.
      const std::string held = text.substr(found.size(), at - found.size());
      bool needed = held.empty();
      for (const std::string& stop : stops) needed |= stop.starts_with(held);
      REQUIRE(needed);
    }
    const bool stopped = filter.stopped();
    found += filter.finish();
    CHECK(found == expected);
    CHECK(stopped == (expected.size() < text.size()));
  }
}

TEST_CASE("after a stop nothing comes") {
  StopFilter filter({"END", "<"});
  CHECK(filter.push("one E") == "one ");
  CHECK(filter.push("Nx") == "ENx");
  CHECK(filter.push("y<z") == "y");
  CHECK(filter.stopped());
  CHECK(filter.push("more").empty());
  CHECK(filter.finish().empty());
}
