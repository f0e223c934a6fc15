// Layers with windows have pages of their own: how many a sequence holds, and which beginnings can be used again.
#include <algorithm>

#include <catch2/catch.hpp>

#include <limits>

#include "engine/base/page_window.h"
#include "tests/coordinator/scheduler_driver.h"

namespace colonnade::tests {
namespace {

using namespace coordinator;

/// Pages of 4, windows of 6 tokens: 3 pages, with a step of 8 tokens at most 5.
SchedulerLimits window_limits(int n_window_pages) {
  SchedulerLimits limits;
  limits.n_pages = 64;
  limits.page_tokens = 4;
  limits.n_window_pages = n_window_pages;
  limits.window_tokens = 6;
  limits.context_tokens = 256;
  limits.vocab_size = kFakeVocab;
  limits.max_step_tokens = 8;
  limits.max_step_rows = 6;
  limits.max_running = 6;
  limits.hash_seed = 5;
  return limits;
}

GenerationRequest request_of(std::vector<std::int32_t> prompt, int max_tokens) {
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  return request;
}

std::vector<std::int32_t> text_of(int first, int n_tokens) {
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < n_tokens; ++i) tokens.push_back((first + i * i + 3 * i) % kFakeVocab);
  return tokens;
}

/// Runs a request alone; returns how many of its tokens were not computed.
int reused_by(SchedulerDriver& driver, std::vector<std::int32_t> prompt, int max_tokens) {
  const std::uint64_t before = driver.scheduler.counts().reused_tokens;
  driver.submit(request_of(std::move(prompt), max_tokens));
  driver.run_dry();
  return static_cast<int>(driver.scheduler.counts().reused_tokens - before);
}

}  // namespace

TEST_CASE("the pages that positions can touch, wherever they begin") {
  for (int page = 1; page <= 5; ++page)
    for (int window = 1; window <= 12; ++window)
      for (int n_tokens = 1; n_tokens <= 12; ++n_tokens) {
        int most = 0;
        for (int first = 0; first < 40; ++first)
          most = std::max(most, (first + n_tokens - 1) / page - first_window_page(first, window, page) + 1);
        CHECK(window_step_pages(n_tokens, window, page) == most);
      }
  constexpr int kLongest = std::numeric_limits<int>::max();
  CHECK(window_step_pages(512, kLongest, 32) == kLongest / 32 + 18);
  CHECK(window_step_pages(kLongest, kLongest, 1) == kLongest);
}

TEST_CASE("a long sequence holds the pages of its window and no more") {
  SchedulerDriver driver(window_limits(12));
  const auto id = driver.submit(request_of(text_of(1, 40), 200));
  int most_reading = 0, most_writing = 0;
  for (;;) {
    driver.make_steps();
    const bool reading = driver.outcomes[id]->output.empty();
    int& most = reading ? most_reading : most_writing;
    most = std::max(most, driver.scheduler.window_pool().used());
    if (!driver.apply_one()) break;
  }
  driver.check_all();
  CHECK(driver.outcomes[id]->output.size() == 200);
  CHECK(most_reading == 4);  // of 13 positions from a multiple of 8 less 5
  CHECK(most_writing == 3);
}

TEST_CASE("sequences share a pool of windows that holds a fraction of their contexts") {
  SchedulerLimits limits = window_limits(5 + 3 * 3);
  limits.n_pages = 256;
  SchedulerDriver driver(limits);
  for (int i = 0; i < 4; ++i) driver.submit(request_of(text_of(i, 30), 100));
  int most = 0;
  do {
    driver.make_steps();
    most = std::max(most, driver.scheduler.n_running());
  } while (driver.apply_one());
  driver.check_all();
  CHECK(most == 4);
  CHECK(driver.scheduler.counts().preemptions == 0);
}

TEST_CASE("a conversation that goes on uses what was computed; a shorter beginning when others had shown that it is one") {
  SchedulerDriver driver(window_limits(7));
  const auto first = text_of(1, 41);
  REQUIRE(reused_by(driver, first, 8) == 0);
  auto longer = first;
  const auto& answer = driver.outcomes.begin()->second->output;
  longer.insert(longer.end(), answer.begin(), answer.end());
  longer.push_back(5);
  CHECK(reused_by(driver, longer, 8) == 48);  // all full pages of 41 + 7 tokens

  // The beginning of 20 tokens: its windows are gone at first.
  auto branch = std::vector<std::int32_t>(first.begin(), first.begin() + 20);
  for (const int other : {60, 61, 62}) {
    auto prompt = branch;
    for (int i = 0; i < 21; ++i) prompt.push_back((other * 31 + i * 7) % kFakeVocab);
    const int reused = reused_by(driver, prompt, 2);
    if (other == 60) CHECK(reused < 20);
    else CHECK(reused == 20);
  }
  driver.check_all();
}

TEST_CASE("pages that a window has left go first, and what ends of conversations need stays") {
  SchedulerDriver driver(window_limits(12));
  const auto kept = text_of(3, 25);
  REQUIRE(reused_by(driver, kept, 1) == 0);
  REQUIRE(reused_by(driver, text_of(50, 120), 60) == 0);  // many more pages than the pool has
  auto longer = kept;
  longer.insert(longer.end(), {1, 2, 3});
  CHECK(reused_by(driver, longer, 2) == 24);
  driver.check_all();
}

}  // namespace colonnade::tests
