// Requests with constraints in the scheduler.
#include <catch2/catch.hpp>
#include <random>

#include "tests/coordinator/scheduler_driver.h"

using namespace colonnade;
using namespace colonnade::coordinator;
using namespace colonnade::tests;

namespace {

/// Tokens of one class modulo `classes` after another; may end after every fourth, must end after `length`; allows
/// nothing more, without being complete, after `dead`.
struct Classes : TokenConstraint {
  Classes(int n_classes, int n_length, int n_dead) : classes(n_classes), length(n_length), dead(n_dead) {}
  std::size_t mask(std::span<std::uint32_t> bits) override {
    std::fill(bits.begin(), bits.end(), 0u);
    std::size_t count = 0;
    for (std::int32_t t = 0; t < kFakeVocab; ++t) {
      if (!fits(t)) continue;
      bits[static_cast<std::size_t>(t) / 32] |= 1u << (t % 32);
      ++count;
    }
    return count;
  }
  bool fits(std::int32_t token) const { return seen < length && seen < dead && token % classes == seen % classes; }
  bool accept(std::int32_t token) override { return fits(token) && ++seen > 0; }
  bool may_end() const override { return seen == length || (seen % 4 == 0 && seen < dead); }
  int classes, length, dead, seen = 0;
};

struct ClassesSource : ConstraintSource {
  ClassesSource(int n_classes, int n_length, int n_dead = 1000) : classes(n_classes), length(n_length), dead(n_dead) {}
  std::unique_ptr<TokenConstraint> start() const override { return std::make_unique<Classes>(classes, length, dead); }
  int classes, length, dead;
};

GenerationRequest constrained(int n_prompt, int max_tokens, ClassesSource source) {
  GenerationRequest request;
  for (int i = 0; i < n_prompt; ++i) request.prompt.push_back((i * 7 + n_prompt) % kFakeVocab);
  request.max_tokens = max_tokens;
  request.constraint = std::make_shared<ClassesSource>(source);
  return request;
}

SchedulerLimits limits_of(int n_pages) {
  SchedulerLimits limits;
  limits.n_pages = n_pages;
  limits.page_tokens = 4;
  limits.context_tokens = 64;
  limits.vocab_size = kFakeVocab;
  limits.max_step_tokens = 8;
  return limits;
}

}  // namespace

TEST_CASE("constrained requests get what they would get alone, also when they are interrupted") {
  std::uint64_t preemptions = 0;
  for (const int n_stages : {1, 3}) {
    SchedulerLimits limits = limits_of(12);
    limits.n_stages = n_stages;
    std::mt19937 random(static_cast<unsigned>(n_stages));
    for (int round = 0; round < 20; ++round) {
      SchedulerDriver driver(limits);
      for (int i = 0; i < 8; ++i) {
        auto request = constrained(1 + static_cast<int>(random() % 12), 1 + static_cast<int>(random() % 24),
                                   {1 + static_cast<int>(random() % 9), 1 + static_cast<int>(random() % 30)});
        if (random() % 2 == 0) request.stop_tokens = {5, 40};
        if (random() % 3 == 0) request.constraint = nullptr;
        driver.submit(std::move(request));
      }
      driver.run_dry();
      driver.check_all();
      preemptions += driver.scheduler.counts().preemptions;
    }
  }
  CHECK(preemptions > 0);
}

TEST_CASE("a constrained request ends by itself, at an end token, or with the reason why it cannot go on") {
  SchedulerDriver driver(limits_of(16));
  const auto whole = driver.submit(constrained(3, 20, {2, 6}));
  auto request = constrained(3, 40, {1, 1000});
  for (std::int32_t t = 0; t < 60; ++t) request.stop_tokens.push_back(t);
  const auto stopped = driver.submit(std::move(request));
  const auto cut = driver.submit(constrained(3, 4, {2, 6}));
  const auto dead = driver.submit(constrained(3, 20, {2, 9, 3}));
  const auto never = driver.submit(constrained(3, 20, {2, 9, 0}));
  const auto nothing = driver.submit(constrained(3, 20, {2, 0}));
  auto prompt_only = constrained(3, 0, {2, 9, 0});
  const auto evaluated = driver.submit(std::move(prompt_only));
  driver.run_dry();
  const auto& outcomes = driver.outcomes;
  CHECK(outcomes.at(whole)->reason == FinishReason::kStop);
  CHECK(outcomes.at(whole)->output.size() == 6);
  CHECK(outcomes.at(stopped)->reason == FinishReason::kStop);
  CHECK(outcomes.at(stopped)->output.size() % 4 == 1);  // the end token came where the text was complete
  CHECK(outcomes.at(cut)->reason == FinishReason::kLength);
  CHECK(outcomes.at(cut)->output.size() == 4);
  CHECK(outcomes.at(dead)->reason == FinishReason::kError);
  CHECK(outcomes.at(dead)->output.size() == 3);
  CHECK_THAT(outcomes.at(dead)->error, Catch::Contains("no token of the vocabulary continues the text"));
  CHECK(outcomes.at(never)->reason == FinishReason::kError);
  CHECK(outcomes.at(nothing)->reason == FinishReason::kStop);
  CHECK(outcomes.at(nothing)->output.empty());
  CHECK(outcomes.at(evaluated)->reason == FinishReason::kLength);
}

TEST_CASE("end tokens are no way out while the text is not complete") {
  SchedulerDriver driver(limits_of(16));
  auto request = constrained(3, 20, {97, 3});
  request.stop_tokens = {0, 1, 2, 3};  // what the constraint wants are all of them
  const auto id = driver.submit(std::move(request));
  driver.run_dry();
  CHECK(driver.outcomes.at(id)->reason == FinishReason::kStop);  // may end at once
  CHECK(driver.outcomes.at(id)->output.size() == 1);
  auto other = constrained(3, 20, {97, 3});
  other.stop_tokens = {1};
  const auto second = driver.submit(std::move(other));
  driver.run_dry();
  CHECK((driver.outcomes.at(second)->output.size() == 1 || driver.outcomes.at(second)->reason == FinishReason::kError));
}
