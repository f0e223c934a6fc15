// A generator without a model: tokens come from a function of the request, one at a time from a thread of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#include "coordinator/generator.h"

namespace colonnade::tests {

class FakeGenerator final : public coordinator::Generator {
 public:
  using Script = std::function<std::vector<std::int32_t>(const coordinator::GenerationRequest&)>;

  /// The script gives the tokens of a request; the text goes on to max_tokens with the last of them repeated.
  explicit FakeGenerator(Script script);
  ~FakeGenerator() override;

  Result<coordinator::GenerationId> submit(coordinator::GenerationRequest request,
                                           coordinator::GenerationCallbacks callbacks) override;
  void cancel(coordinator::GenerationId id) override;

  std::vector<coordinator::GenerationRequest> requests() const;  // all so far
  std::size_t running() const;
  std::size_t cancelled() const { return n_cancelled_; }

  std::atomic<int> pause_us{0};              // before each token
  std::atomic<bool> hold{false};             // no tokens while true
  std::atomic<std::int64_t> fail_after{-1};  // a request fails after so many tokens
  std::atomic<bool> no_numbers{false};       // vectors have a NaN
  std::atomic<bool> refuse{false};           // submit says kExhausted

 private:
  struct Running {
    coordinator::GenerationId id;
    coordinator::GenerationRequest request;
    coordinator::GenerationCallbacks callbacks;
    std::vector<std::int32_t> script;
    std::int64_t done = 0;
    bool cancelled = false;
  };
  void run();
  bool advance(Running& running) const;  // false when it has finished

  const Script script_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<std::shared_ptr<Running>> running_;
  std::vector<coordinator::GenerationRequest> requests_;
  std::atomic<std::size_t> n_cancelled_{0};
  bool stop_ = false;
  std::thread thread_;
};

/// The log-probability that the fake gives a token: the same for prompts, choices and alternatives.
float fake_logprob(std::int32_t token);

/// The vector that the fake gives a prompt: its length, its first and its last token.
std::vector<float> fake_vector(const std::vector<std::int32_t>& prompt);

}  // namespace colonnade::tests
