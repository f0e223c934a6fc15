#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "engine/text/sampler.h"

using colonnade::engine::Candidate;
using colonnade::engine::candidate_before;
using colonnade::engine::choose_token;
using colonnade::engine::SamplerParams;
using colonnade::engine::uniform_number;

namespace {

struct Vocabulary {
  std::vector<Candidate> sorted;

  explicit Vocabulary(const std::vector<float>& logits) {
    for (std::size_t i = 0; i < logits.size(); ++i) sorted.push_back({static_cast<std::int32_t>(i), logits[i]});
    std::sort(sorted.begin(), sorted.end(), candidate_before);
  }
  static Vocabulary random(std::size_t n, unsigned seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0.0f, 2.0f);
    std::vector<float> logits(n);
    for (float& logit : logits) logit = normal(generator);
    return Vocabulary(logits);
  }
  double sum_exp(float temperature) const {
    double sum = 0;
    for (const Candidate& c : sorted) sum += std::exp((double(c.logit) - double(sorted[0].logit)) / double(temperature));
    return sum;
  }
  std::optional<std::int32_t> choose(const SamplerParams& params, std::size_t n_candidates) const {
    const std::size_t n = std::min(n_candidates, sorted.size());
    return choose_token({sorted.data(), n}, n == sorted.size(), sorted[0].logit, sum_exp(params.temperature), params);
  }

  /// Probabilities after all filters, in long double and one step at a time, from the documentation.
  std::map<std::int32_t, double> distribution(const SamplerParams& params) const {
    std::vector<long double> p;
    for (const Candidate& c : sorted) p.push_back(std::exp(static_cast<long double>(c.logit) / params.temperature));
    if (params.top_k > 0) p.resize(std::min(p.size(), static_cast<std::size_t>(params.top_k)));
    const auto normalise = [&] {
      const long double sum = std::accumulate(p.begin(), p.end(), 0.0L);
      for (auto& x : p) x /= sum;
    };
    normalise();
    if (params.top_p < 1.0f) {
      long double sum = 0;
      std::size_t n = 0;
      while (n < p.size() && (n == 0 || sum < static_cast<long double>(params.top_p))) sum += p[n++];
      p.resize(n);
      normalise();
    }
    while (p.size() > 1 && p.back() < static_cast<long double>(params.min_p) * p[0]) p.pop_back();
    normalise();
    std::map<std::int32_t, double> result;
    for (std::size_t i = 0; i < p.size(); ++i) result[sorted[i].token] = static_cast<double>(p[i]);
    return result;
  }
};

SamplerParams params_of(float temperature, std::int32_t top_k, float top_p, float min_p) {
  SamplerParams params;
  params.temperature = temperature;
  params.top_k = top_k;
  params.top_p = top_p;
  params.min_p = min_p;
  return params;
}

}  // namespace

TEST_CASE("uniform numbers: in range, reproducible, flat, and not related between seeds and positions") {
  // SplitMix64 written out; the numbers must be the same on every machine and in every version.
  CHECK(uniform_number(0, 0) == uniform_number(0, 0));
  const auto splitmix = [](std::uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
  };
  CHECK(splitmix(0) == 0xE220A8397B1DCDAFu);  // the published first output for seed 0
  CHECK(uniform_number(5, 0) == static_cast<double>(splitmix(splitmix(5)) >> 11) / 9007199254740992.0);

  std::array<int, 64> buckets{};
  double product = 0;
  constexpr int kN = 200'000;
  for (int i = 0; i < kN; ++i) {
    const double u = uniform_number(static_cast<std::uint64_t>(i % 20), i / 20);
    REQUIRE((u >= 0.0 && u < 1.0));
    ++buckets[static_cast<std::size_t>(u * 64)];
    product += (u - 0.5) * (uniform_number(static_cast<std::uint64_t>(i % 20) + 1, i / 20) - 0.5);
  }
  double chi2 = 0;
  for (const int count : buckets) chi2 += (count - kN / 64.0) * (count - kN / 64.0) / (kN / 64.0);
  CHECK(chi2 < 110.0);  // 63 degrees of freedom: 99.98 %
  CHECK(std::abs(product / kN * 12) < 0.012);
}

TEST_CASE("temperature 0 and top_k 1 take the first, ties go to the smaller token") {
  const Vocabulary vocabulary({1.0f, 3.0f, 3.0f, 2.0f});
  CHECK(vocabulary.choose(params_of(0, 0, 1, 0), 1) == 1);
  CHECK(vocabulary.choose(params_of(1, 1, 1, 0), 1) == 1);
  CHECK(vocabulary.choose(params_of(1, 0, 0, 0), 1) == 1);  // top_p 0 keeps one
  CHECK(vocabulary.choose(params_of(1, 0, 1, 1), 4).has_value());
}

TEST_CASE("temperatures that cannot be divided by, and sums that are no numbers, take the first") {
  const Vocabulary vocabulary({1.0f, 3.0f, 2.0f});
  for (const float tiny : {1e-40f, 1e-6f, -1.0f}) CHECK(vocabulary.choose(params_of(tiny, 0, 1, 0), 3) == 1);
  const Candidate candidates[] = {{7, 3.0f}, {8, 2.0f}};
  for (const double sum : {std::nan(""), 0.0, static_cast<double>(INFINITY)})
    CHECK(choose_token(candidates, true, 3.0f, sum, params_of(1, 0, 1, 0)) == 7);
}

TEST_CASE("logits that are no numbers come behind all others, in any mixture") {
  std::mt19937 random(4);
  std::vector<Candidate> candidates;
  for (std::int32_t token = 0; token < 200; ++token) candidates.push_back({token, token % 3 == 0 ? std::nanf("") : static_cast<float>(token)});
  for (int round = 0; round < 20; ++round) {
    std::shuffle(candidates.begin(), candidates.end(), random);
    std::sort(candidates.begin(), candidates.end(), candidate_before);
    bool in_order = candidates[0].token == 199 && candidates[132].token == 1 && candidates[133].token == 0;
    for (std::size_t i = 1; i < candidates.size(); ++i) in_order = in_order && candidate_before(candidates[i - 1], candidates[i]);
    CHECK(in_order);
  }
}

TEST_CASE("tokens come with the probabilities that the filters leave") {
  const Vocabulary vocabulary = Vocabulary::random(50, 3);
  for (const SamplerParams& base :
       {params_of(1, 0, 1, 0), params_of(0.7f, 0, 1, 0), params_of(1.5f, 10, 1, 0), params_of(1, 0, 0.8f, 0),
        params_of(1, 0, 1, 0.1f), params_of(1.3f, 20, 0.9f, 0.05f), params_of(2, 50, 0.999f, 0), params_of(1, 500, 1, 0)}) {
    const auto expected = vocabulary.distribution(base);
    std::map<std::int32_t, int> counts;
    constexpr int kN = 20'000;
    SamplerParams params = base;
    params.seed = 99;
    for (params.position = 0; params.position < kN; ++params.position) ++counts[vocabulary.choose(params, 50).value()];
    double chi2 = 0;
    int cells = 0;
    for (const auto& [token, n] : counts) REQUIRE(expected.count(token) == 1);
    for (const auto& [token, p] : expected) {
      const double mean = p * kN;
      if (mean < 5) continue;
      chi2 += (counts[token] - mean) * (counts[token] - mean) / mean;
      ++cells;
    }
    // Mean `cells`, variance 2 * cells: five standard deviations.
    CHECK(chi2 < cells + 5 * std::sqrt(2.0 * cells) + 5);
  }
}

TEST_CASE("a part of the candidates gives the answer of all of them, or none") {
  const Vocabulary vocabulary = Vocabulary::random(300, 5);
  int answered = 0, open = 0;
  for (const SamplerParams& base : {params_of(1, 0, 1, 0), params_of(0.6f, 0, 0.9f, 0), params_of(1, 30, 0.95f, 0.02f),
                                    params_of(1, 0, 1, 0.2f), params_of(1, 64, 1, 0), params_of(1.2f, 65, 1, 0)}) {
    SamplerParams params = base;
    params.seed = 1;
    for (params.position = 0; params.position < 500; ++params.position) {
      const auto part = vocabulary.choose(params, 64);
      const auto all = vocabulary.choose(params, 300);
      REQUIRE(all.has_value());
      if (part) CHECK(*part == *all);
      ++(part ? answered : open);
    }
  }
  CHECK(answered > 1500);
  CHECK(open > 500);
}

TEST_CASE("nullopt exactly where tokens beyond the candidates matter") {
  const Vocabulary flat(std::vector<float>(100, 1.0f));
  CHECK_FALSE(flat.choose(params_of(1, 20, 1, 0), 10).has_value());    // top_k needs 20
  CHECK(flat.choose(params_of(1, 10, 1, 0), 10).has_value());
  CHECK_FALSE(flat.choose(params_of(1, 0, 0.5f, 0), 49).has_value());  // half of the mass needs 50
  CHECK(flat.choose(params_of(1, 0, 0.5f, 0), 50).has_value());
  CHECK_FALSE(flat.choose(params_of(1, 0, 1, 0.5f), 99).has_value());  // the last may still be likely enough
  CHECK(flat.choose(params_of(1, 0, 1, 0.5f), 100).has_value());
  CHECK_FALSE(choose_token({}, false, 0.0f, 1.0, params_of(1, 0, 1, 0)).has_value());
  std::set<std::int32_t> seen;
  SamplerParams params = params_of(1, 0, 1, 0);
  int open = 0;
  for (params.position = 0; params.position < 2000; ++params.position) {
    const auto token = flat.choose(params, 50);
    if (token) seen.insert(*token);
    else ++open;
  }
  CHECK(seen.size() == 50);
  CHECK((open > 850 && open < 1150));  // half of the mass is not at hand
}

TEST_CASE("logits of minus infinity are never chosen") {
  const float none = -INFINITY;
  const Vocabulary vocabulary({none, 2.0f, none, 2.0f});
  SamplerParams params = params_of(1, 0, 1, 0);
  for (params.position = 0; params.position < 500; ++params.position) CHECK(vocabulary.choose(params, 4).value() % 2 == 1);
}
