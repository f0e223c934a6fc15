// fuzz_X SEED_DIRECTORY [SECONDS]: feeds a fuzz target with mutations of seed files for some seconds. Without coverage
// feedback it finds less than libFuzzer, but it runs with every compiler and with every sanitizer. The mutations are a
// function of the round, so a failure comes again.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/target.h"

namespace {

using Bytes = std::string;

/// Changes `bytes` in one way: where structure lies is not known, so lengths and numbers are hit by chance.
void mutate(Bytes& bytes, const std::vector<Bytes>& seeds, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(random() % n); };
  const std::size_t at = below(bytes.size());
  const std::size_t n = 1 + below(16);
  switch (random() % 7) {
    case 0:
      if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
      break;
    case 1:
      if (!bytes.empty()) bytes[at] = static_cast<char>(random());
      break;
    case 2: bytes.insert(at, n, static_cast<char>(random())); break;
    case 3: bytes.erase(at, n); break;
    case 4: bytes.insert(at, bytes.substr(below(bytes.size()), n * 4)); break;
    case 5: {
      static const char* const kTokens[] = {"-1", "0", "1e400", "18446744073709551615", "4294967296", "null", "{}", "[]", "\"\"", "\\ud800", "\xff", "[[[[[[[["};
      bytes.insert(at, kTokens[below(std::size(kTokens))]);
      break;
    }
    default: {
      const Bytes& other = seeds[below(seeds.size())];
      bytes = bytes.substr(0, at) + other.substr(below(other.size()));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s SEED_DIRECTORY [SECONDS]\n", argv[0]);
    return 2;
  }
  std::vector<Bytes> seeds;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    std::ifstream in(entry.path(), std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  if (seeds.empty()) seeds.emplace_back();
  const auto run = [](const Bytes& bytes) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  };
  for (const Bytes& seed : seeds) run(seed);
  const double seconds = argc > 2 ? std::atof(argv[2]) : 2.0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::uint64_t round = 0;
  for (; std::chrono::steady_clock::now() < end; ++round) {
    std::mt19937_64 random(round);
    Bytes bytes = seeds[round % seeds.size()];
    for (std::uint64_t i = 0, n = 1 + random() % 6; i < n; ++i) mutate(bytes, seeds, random);
    run(bytes);
  }
  std::printf("%llu inputs from %zu seeds\n", static_cast<unsigned long long>(round), seeds.size());
  return 0;
}
