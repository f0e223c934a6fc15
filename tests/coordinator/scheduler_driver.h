// Runs a scheduler against the fake model, with results that come back late, and keeps what every request got.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "coordinator/scheduler.h"
#include "tests/coordinator/fake_model.h"

namespace colonnade::tests {

struct Outcome {
  coordinator::GenerationRequest request;
  std::vector<std::int32_t> output;
  std::vector<float> prompt_logprobs;
  std::vector<std::vector<float>> prompt_logits;
  std::optional<coordinator::FinishReason> reason;
  std::string error;
  int finished_after = -1;  // steps
};

class SchedulerDriver {
 public:
  explicit SchedulerDriver(const coordinator::SchedulerLimits& limits);

  coordinator::GenerationId submit(coordinator::GenerationRequest request);
  /// Makes every step that may be in flight now.
  void make_steps();
  /// Applies the oldest result; false when none is in flight.
  bool apply_one();
  /// Until every request has ended; fails a check when that takes more than `max_steps`.
  void run_dry(int max_steps = 100000);

  /// What the outcome must be, from a run alone. Cancelled ones must have a prefix of it.
  void check(const Outcome& outcome) const;
  void check_all() const;

  coordinator::Scheduler scheduler;
  std::map<coordinator::GenerationId, std::shared_ptr<Outcome>> outcomes;
  control::Step step;
  int n_steps = 0;

 private:
  FakeModel model_;
  std::deque<control::StepResult> results_;
  coordinator::GenerationId last_id_ = 0;
};

}  // namespace colonnade::tests
