// A model without weights for scheduler tests: the next token is a hash of all tokens before it, read through the page
// tables that steps carry. A page that was shared, moved or given away wrongly changes what comes out.
#pragma once

#include <cstdint>
#include <vector>

#include "coordinator/generator.h"
#include "worker/control.pb.h"

namespace colonnade::tests {

inline constexpr int kFakeVocab = 97;

/// Executes steps at once and in order, as ranks do. A failed check for a step that does not fit: not Catch2's, which are
/// for one thread only.
class FakeModel {
 public:
  FakeModel(int n_pages, int page_tokens, int max_step_tokens, int max_step_rows);
  /// Has layers with windows, whose pages are others: what a token sees of them must be what was written for its sequence.
  void add_windows(int n_window_pages, int window_tokens);
  control::StepResult run(const control::Step& step);

 private:
  std::int32_t& slot(const control::StepSequence& sequence, int position);
  void write_window(const control::StepSequence& sequence, bool check);

  int page_tokens_;
  int max_step_tokens_;
  int max_step_rows_;
  std::vector<std::int32_t> slots_;  // (n_pages, page_tokens): the token whose key and value lie there
  int window_tokens_ = 0;
  std::vector<std::uint64_t> window_slots_;  // (n_window_pages, page_tokens): hash of the tokens up to the one that lies there
  std::uint64_t last_id_ = 0;
};

/// What the fake model generates for a request that runs alone, without any pages.
std::vector<std::int32_t> fake_output(const coordinator::GenerationRequest& request, int context_tokens);

/// Logit 0 … n of the fake model after these tokens stand for: the target's log-probability.
float fake_logprob(const std::vector<std::int32_t>& tokens, std::int32_t target);

}  // namespace colonnade::tests
