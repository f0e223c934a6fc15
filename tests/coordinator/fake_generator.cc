#include "tests/coordinator/fake_generator.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace colonnade::tests {
using namespace coordinator;

namespace {

TokenEvent event_of(std::int32_t token, int n_top) {
  TokenEvent event{.token = token, .logprob = fake_logprob(token), .top = {}};
  for (int i = 0; i < n_top; ++i) event.top.push_back({300 + i, fake_logprob(300 + i)});
  return event;
}

}  // namespace

float fake_logprob(std::int32_t token) { return -0.25f - static_cast<float>(token % 64) / 64.0f; }

std::vector<float> fake_vector(const std::vector<std::int32_t>& prompt) {
  return {static_cast<float>(prompt.size()), static_cast<float>(prompt.front()), static_cast<float>(prompt.back())};
}

FakeGenerator::FakeGenerator(Script script) : script_(std::move(script)), thread_([this] { run(); }) {}

FakeGenerator::~FakeGenerator() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

Result<GenerationId> FakeGenerator::submit(GenerationRequest request, GenerationCallbacks callbacks) {
  if (refuse) return Error{ErrorCode::kExhausted, "the queue holds 0 requests at most"};
  auto running = std::make_shared<Running>();
  running->script = script_(request);
  running->request = request;
  running->callbacks = std::move(callbacks);
  const std::lock_guard lock(mutex_);
  requests_.push_back(std::move(request));
  running->id = requests_.size();
  running_.push_back(running);
  changed_.notify_all();
  return running->id;
}

void FakeGenerator::cancel(GenerationId id) {
  const std::lock_guard lock(mutex_);
  for (const auto& running : running_) running->cancelled |= running->id == id;
  changed_.notify_all();
}

std::vector<GenerationRequest> FakeGenerator::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t FakeGenerator::running() const {
  const std::lock_guard lock(mutex_);
  return running_.size();
}

void FakeGenerator::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (running_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto all = running_;
    lock.unlock();
    if (pause_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
    if (hold) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::vector<std::shared_ptr<Running>> finished;
    for (const auto& running : all) {
      bool cancelled = false;
      {
        const std::lock_guard again(mutex_);
        cancelled = running->cancelled;
      }
      if (cancelled) {
        ++n_cancelled_;
        running->callbacks.on_finish(FinishReason::kCancelled, nullptr);
        finished.push_back(running);
      } else if (!hold && !advance(*running)) {
        finished.push_back(running);
      }
    }
    lock.lock();
    for (const auto& running : finished) running_.remove(running);
  }
}

bool FakeGenerator::advance(Running& running) const {
  const GenerationRequest& request = running.request;
  if (running.done == 0 && request.prompt_output == PromptOutput::kLogprobs) {
    for (std::size_t i = 1; i < request.prompt.size(); ++i) {
      running.callbacks.on_prompt_token(static_cast<int>(i) - 1, event_of(request.prompt[i], request.n_top));
    }
  }
  if (request.prompt_output == PromptOutput::kVector) {
    std::vector<float> vector = fake_vector(request.prompt);
    if (no_numbers) vector[1] = std::numeric_limits<float>::quiet_NaN();
    running.callbacks.on_prompt_logits(static_cast<int>(request.prompt.size()) - 1, std::move(vector));
  }
  if (running.done == fail_after) {
    const Error error{ErrorCode::kUnavailable, "the worker job ended"};
    running.callbacks.on_finish(FinishReason::kError, &error);
    return false;
  }
  if (running.done == request.max_tokens) {
    running.callbacks.on_finish(FinishReason::kLength, nullptr);
    return false;
  }
  const auto index = std::min(static_cast<std::size_t>(running.done), running.script.size() - 1);
  const std::int32_t token = running.script[index];
  ++running.done;
  running.callbacks.on_token(event_of(token, request.n_top));
  if (std::find(request.stop_tokens.begin(), request.stop_tokens.end(), token) == request.stop_tokens.end()) return true;
  running.callbacks.on_finish(FinishReason::kStop, nullptr);
  return false;
}

}  // namespace colonnade::tests
