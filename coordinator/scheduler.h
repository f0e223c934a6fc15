// Decides steps: continuous batching with chunked prefill over a pool of KV pages. A state machine without threads,
// sockets or a clock of its own: next_step() says what to compute next, apply() takes the answers in order.
//
// Admission is by pages and in order of arrival; a request that does not fit yet may be overtaken by kMaxOvertakes
// later ones, then everything waits for it. When pages run out the sequence that arrived last gives its pages back
// and is computed again later from prompt and generated tokens; what it outputs is the same. The oldest sequence
// is never interrupted, so everything ends.
//
// Layers with windows may have a pool of their own, from which a sequence has only the pages that the window needs. It is
// admitted with a quota of them, enough for its longest step, and so never waits for one in the middle of its prompt; quotas
// together never exceed the pool.
//
// A page that is given back may be handed out again while a step that writes it is still in flight: every rank
// executes steps in the order of next_step(), so the later user overwrites it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "coordinator/generator.h"
#include "coordinator/page_pool.h"
#include "coordinator/sequence.h"
#include "engine/base/result.h"

namespace colonnade::control {
class Step;
class StepResult;
class StepRow;
}  // namespace colonnade::control

namespace colonnade::coordinator {

struct SchedulerLimits {
  int n_pages = 0;
  int page_tokens = 32;
  int n_window_pages = 0;     // KV pages of layers with windows; 0: they use the others
  int window_tokens = 0;      // the widest window
  int context_tokens = 0;     // longest sequence; also bounded by the pages
  int vocab_size = 0;
  int max_step_tokens = 512;
  int max_step_rows = 256;
  int max_full_rows = 16;     // rows with all logits in one step: they are megabytes on the link
  int max_step_edits = 1 << 20;  // logit edits of all rows of one step: 16 MiB on the link, where 64 MiB end the job
  int max_running = 256;
  int n_stages = 1;           // steps in flight
  bool prefix_reuse = true;
  int vector_dim = 0;         // of an encoder, which takes whole prompts and gives vectors; 0: the model generates
  int n_token_types = 1;      // of an encoder
  std::uint64_t hash_seed = 0;
};

/// A request that does not fit yet lets this many later ones pass: enough to keep a busy pool full, and a bound on
/// how long it waits after its turn has come.
inline constexpr int kMaxOvertakes = 16;

/// The largest n_top of a request (engine's kMaxTop).
inline constexpr int kMaxAlternatives = 20;

struct SchedulerCounts {
  std::uint64_t steps = 0;
  std::uint64_t prompt_tokens = 0;  // computed, repeats after an interruption included
  std::uint64_t reused_tokens = 0;
  std::uint64_t generated_tokens = 0;
  std::uint64_t requests = 0;
  std::uint64_t preemptions = 0;
};

/// Not thread-safe. Callbacks of requests are called from inside add(), apply(), cancel() and the functions that say so;
/// they must not call the scheduler.
class Scheduler {
 public:
  explicit Scheduler(const SchedulerLimits& limits);

  /// What add() would refuse: an empty or too long prompt, impossible parameters.
  static Status validate(const GenerationRequest& request, const SchedulerLimits& limits);

  /// Ids must ascend: they are the order of arrival. May end the request at once, where its constraint allows nothing.
  Status add(GenerationId id, GenerationRequest request, GenerationCallbacks callbacks);

  /// Ends the request with kCancelled; unknown ids are ignored.
  void cancel(GenerationId id);

  /// Fills `step` with the next step; false when there is nothing to compute now. `now_s` is kept with the step for
  /// oldest_step_s().
  bool next_step(double now_s, control::Step& step);

  /// Takes the result of the oldest step in flight. kCorrupt when it does not belong to it; the job is then of no
  /// more use.
  Status apply(const control::StepResult& result);

  /// When the oldest step in flight was made; negative when none is.
  double oldest_step_s() const { return in_flight_.empty() ? -1.0 : in_flight_.front().made_s; }

  /// The job is gone: requests that had begun end with `error`, the others keep waiting; all pages are free.
  void job_lost(const Error& error);

  /// A job with these limits takes over; only with no step in flight and nothing running. Waiting requests that it
  /// cannot hold end with an error.
  void restart(const SchedulerLimits& limits);

  /// Ends every request.
  void end_all(FinishReason reason, const Error* error);

  bool idle() const { return sequences_.empty(); }
  int n_running() const { return static_cast<int>(running_.size()); }
  int n_waiting() const { return static_cast<int>(waiting_.size()); }
  int n_in_flight() const { return static_cast<int>(in_flight_.size()); }
  const PagePool& pool() const { return pool_; }
  const PagePool& window_pool() const { return window_pool_; }  // without pages where layers with windows use the others
  const SchedulerLimits& limits() const { return limits_; }
  const SchedulerCounts& counts() const { return counts_; }

 private:
  /// What a row of a step in flight answers.
  struct RowTarget {
    GenerationId sequence;
    int position;   // of the token whose logits these are
    bool prompt;    // prompt output
    bool sample;    // the next token
  };
  struct InFlight {
    std::uint64_t id = 0;
    double made_s = 0;
    std::vector<RowTarget> rows;
    std::vector<GenerationId> evaluated;  // sequences without generation whose prompt ends in this step
  };
  struct Share {
    Sequence* sequence;
    int n_tokens;
  };

  int pages_for(int n_tokens) const { return (n_tokens + limits_.page_tokens - 1) / limits_.page_tokens; }

  bool windows() const { return limits_.n_window_pages > 0; }
  int first_window_page(int position) const;
  int window_step_pages(int n_tokens) const;
  void reset_pools();

  // Windows (scheduler_window.cc).
  int prompt_quota(const Sequence& sequence) const;
  int window_headroom() const;
  void set_quota(Sequence& sequence, int quota);
  void find_window(Sequence& sequence, std::span<const PageHash> chain);
  void slide_window(Sequence& sequence, int end);
  void leave_window(Sequence& sequence, int position);
  void release_window(Sequence& sequence);
  bool grow_window(Sequence& sequence);

  // Admission (scheduler_admission.cc).
  void admit();
  bool try_admit(Sequence& sequence);
  int find_prefix(Sequence& sequence);
  void release_pages(Sequence& sequence);
  void preempt(Sequence& sequence);
  bool preempt_for(const Sequence& sequence);
  bool grow(Sequence& sequence);
  void publish_pages(Sequence& sequence);

  // Making steps (scheduler_step.cc).
  struct Rows {
    int all = 0;
    int full = 0;   // with all logits
    int edits = 0;  // below zero after a row that has more than a whole step may have
  };
  struct Room {
    int tokens = 0;
    Rows rows;
  };
  bool edits_fit(int n_edits, int room) const;
  int fitting_tokens(const Sequence& sequence, int n_tokens, Rows room, Rows& used) const;
  void share_out(Sequence& sequence, int n_tokens, Room& room);
  void choose_decodes(Room& room);
  void choose_prefills(Room& room);
  void choose_whole_prompts(Room& room);
  void place(const Share& share, int token_index, control::Step& step, InFlight& flight);
  static void fill_sampling(const Sequence& sequence, control::StepRow& row);

  // Constraints (scheduler_constraint.cc).
  bool constrain(Sequence& sequence);

  Status apply_row(const control::StepResult& result, int index, const RowTarget& target);
  void finish(Sequence& sequence, FinishReason reason, const Error* error);
  Sequence* find(GenerationId id);

  SchedulerLimits limits_;
  PagePool pool_;
  PagePool window_pool_;
  int window_quotas_ = 0;              // of all sequences together
  SchedulerCounts counts_;
  std::map<GenerationId, std::unique_ptr<Sequence>> sequences_;
  std::vector<Sequence*> running_;     // in order of arrival
  std::map<GenerationId, Sequence*> waiting_;
  std::deque<InFlight> in_flight_;
  std::vector<InFlight> spare_;        // finished ones, for their memory
  std::vector<Share> shares_;          // of the step being made
  std::vector<Sequence*> ready_;       // scratch
  std::uint64_t last_step_ = 0;
  bool look_again_ = false;            // something changed since admission last found nothing
};

}  // namespace colonnade::coordinator
