// What goes into a step: decode tokens first, then prefill chunks.
#include <algorithm>

#include "coordinator/scheduler.h"
#include "worker/control.pb.h"

namespace colonnade::coordinator {
namespace {

// Flags of a StepRow on the control link: engine::RowFlags.
constexpr std::uint32_t kSampleFlag = 1;
constexpr std::uint32_t kFullLogitsFlag = 2;
constexpr std::uint32_t kPooledFlag = 4;

bool wants_prompt_output(const Sequence& sequence, int position) {
  const PromptOutput output = sequence.request.prompt_output;
  if (output == PromptOutput::kNone || position < sequence.prompt_asked) return false;
  if (output == PromptOutput::kVector) return position == sequence.n_prompt - 1;
  return position < (output == PromptOutput::kLogprobs ? sequence.n_prompt - 1 : sequence.n_prompt);
}

bool wants_sample(const Sequence& sequence, int position) {
  return position == sequence.n_tokens() - 1 && sequence.generates();
}

int n_edits(const Sequence& sequence) {
  return sequence.generates() ? static_cast<int>(sequence.edits.edits().size()) : 0;
}

}  // namespace

bool Scheduler::edits_fit(int n_edits, int room) const {
  // The first row with edits always goes, whatever their number: it must go some time.
  return n_edits == 0 || n_edits <= room || room == limits_.max_step_edits;
}

int Scheduler::fitting_tokens(const Sequence& sequence, int n_tokens, Rows room, Rows& used) const {
  used = {};
  for (int i = 0; i < n_tokens; ++i) {
    const int position = sequence.scheduled + i;
    const bool prompt = wants_prompt_output(sequence, position);
    const bool full = prompt && sequence.request.prompt_output == PromptOutput::kFullLogits;
    const bool sample = wants_sample(sequence, position);
    const bool row = prompt || sample;
    if ((row && used.all == room.all) || (full && used.full == room.full)) return i;
    if (sample && !edits_fit(n_edits(sequence), room.edits)) return i;
    used.all += row ? 1 : 0;
    used.full += full ? 1 : 0;
    used.edits += sample ? n_edits(sequence) : 0;
  }
  return n_tokens;
}

void Scheduler::share_out(Sequence& sequence, int n_tokens, Room& room) {
  Rows rows;
  const int fitting = fitting_tokens(sequence, std::min(n_tokens, room.tokens), room.rows, rows);
  if (fitting == 0 || (limits_.vector_dim > 0 && fitting < sequence.remaining())) return;
  room.tokens -= fitting;
  room.rows.all -= rows.all;
  room.rows.full -= rows.full;
  room.rows.edits -= rows.edits;
  shares_.push_back({&sequence, fitting});
}

void Scheduler::choose_decodes(Room& room) {
  ready_.clear();
  int n_decoding = 0;
  bool prefilling = false;
  for (Sequence* sequence : running_) {
    if (sequence->remaining() > 1) {
      prefilling = true;
      continue;
    }
    ++n_decoding;
    if (!sequence->awaiting) ready_.push_back(sequence);
  }
  // With several stages the decoding sequences form as many groups, each in a step of its own.
  const int group = (n_decoding + limits_.n_stages - 1) / limits_.n_stages;
  // However many decode, prompts move on too.
  const int kept = prefilling ? room.tokens / 8 : 0;
  const auto most = static_cast<std::size_t>(std::min({group, room.tokens - kept, room.rows.all}));
  std::int64_t all_edits = 0;
  for (const Sequence* sequence : ready_) all_edits += n_edits(*sequence);
  if (ready_.size() > most || all_edits > room.rows.edits) {
    const auto earlier = [](const Sequence* a, const Sequence* b) {
      return a->last_step != b->last_step ? a->last_step < b->last_step : a->id < b->id;
    };
    std::sort(ready_.begin(), ready_.end(), earlier);
    std::size_t chosen = 0;
    int left = room.rows.edits;
    for (Sequence* sequence : ready_) {
      if (chosen == most) break;
      if (!edits_fit(n_edits(*sequence), left)) continue;
      left -= n_edits(*sequence);
      ready_[chosen++] = sequence;
    }
    ready_.resize(chosen);
    std::sort(ready_.begin(), ready_.end(), [](const Sequence* a, const Sequence* b) { return a->id < b->id; });
  }
  // In order of arrival: whoever loses its pages in grow() arrived later than all that are in the step already, so a
  // page never changes hands within a step.
  for (Sequence* sequence : ready_) {
    if (sequence->pages.empty()) continue;  // gave them back a moment ago
    if (grow(*sequence)) share_out(*sequence, 1, room);
  }
}

void Scheduler::choose_prefills(Room& room) {
  ready_.clear();
  for (Sequence* sequence : running_) {
    if (sequence->remaining() > 1) ready_.push_back(sequence);
  }
  if (ready_.empty() || room.tokens == 0) return;
  // At least half of the room is for the oldest prompt, so that it gets done; the rest for the shortest ones, so that
  // they need not wait for it.
  Sequence& oldest = *ready_.front();
  ready_.erase(ready_.begin());
  Rows kept;
  const Rows half_rows{(room.rows.all + 1) / 2, (room.rows.full + 1) / 2, room.rows.edits};
  const int half = fitting_tokens(oldest, std::min(oldest.remaining(), (room.tokens + 1) / 2), half_rows, kept);
  Room rest{room.tokens - half, {room.rows.all - kept.all, room.rows.full - kept.full, room.rows.edits - kept.edits}};
  std::sort(ready_.begin(), ready_.end(), [](const Sequence* a, const Sequence* b) {
    return a->remaining() != b->remaining() ? a->remaining() < b->remaining() : a->id < b->id;
  });
  for (Sequence* sequence : ready_) {
    if (rest.tokens == 0) break;
    share_out(*sequence, sequence->remaining(), rest);
  }
  room = {rest.tokens + half, {rest.rows.all + kept.all, rest.rows.full + kept.full, rest.rows.edits + kept.edits}};
  share_out(oldest, oldest.remaining(), room);
}

void Scheduler::choose_whole_prompts(Room& room) {
  for (Sequence* sequence : running_) {
    if (room.tokens == 0 || room.rows.all == 0) break;
    if (!sequence->awaiting && sequence->remaining() > 0) share_out(*sequence, sequence->remaining(), room);
  }
}

bool Scheduler::next_step(double now_s, control::Step& step) {
  if (n_in_flight() >= limits_.n_stages) return false;
  admit();
  std::uint64_t preemptions = 0;
  do {  // again where all that were chosen gave their pages back instead: those are for the others
    preemptions = counts_.preemptions;
    shares_.clear();
    Room room{limits_.max_step_tokens, {limits_.max_step_rows, limits_.max_full_rows, limits_.max_step_edits}};
    if (limits_.vector_dim > 0) {
      choose_whole_prompts(room);
    } else {
      choose_decodes(room);
      choose_prefills(room);
    }
  } while (shares_.empty() && counts_.preemptions != preemptions);
  if (shares_.empty()) return false;

  InFlight flight;
  if (!spare_.empty()) {
    flight = std::move(spare_.back());
    spare_.pop_back();
  }
  flight.id = ++last_step_;
  flight.made_s = now_s;
  step.Clear();
  step.set_id(flight.id);
  int n_tokens = 0;
  for (const Share& share : shares_) {
    place(share, n_tokens, step, flight);
    n_tokens += share.n_tokens;
  }
  in_flight_.push_back(std::move(flight));
  ++counts_.steps;
  return true;
}

void Scheduler::place(const Share& share, int token_index, control::Step& step, InFlight& flight) {
  Sequence& sequence = *share.sequence;
  const int end = sequence.scheduled + share.n_tokens;
  control::StepSequence& out = *step.add_sequences();
  const auto* tokens = sequence.tokens.data();
  out.set_first_position(sequence.scheduled);
  out.mutable_tokens()->Add(tokens + sequence.scheduled, tokens + end);
  out.mutable_pages()->Add(sequence.pages.data(), sequence.pages.data() + pages_for(end));
  if (const auto& types = sequence.request.token_types; !types.empty())
    out.mutable_token_types()->Add(types.data() + sequence.scheduled, types.data() + end);
  if (windows()) {
    slide_window(sequence, end);
    out.mutable_window_pages()->Add(sequence.window_pages.begin(), sequence.window_pages.end());
    out.set_window_start(sequence.window_start);
  }

  const bool logprobs = sequence.request.prompt_output == PromptOutput::kLogprobs;
  for (int p = sequence.scheduled; p < end; ++p) {
    const bool prompt = wants_prompt_output(sequence, p);
    const bool sample = wants_sample(sequence, p);
    if (!prompt && !sample) continue;
    control::StepRow& row = *step.add_rows();
    row.set_token_index(token_index + p - sequence.scheduled);
    const std::uint32_t whole = limits_.vector_dim > 0 ? kPooledFlag : kFullLogitsFlag;
    row.set_flags((sample ? kSampleFlag : 0u) | (prompt && !logprobs ? whole : 0u));
    row.set_target(prompt && logprobs ? tokens[p + 1] : -1);
    row.set_n_top(sequence.request.n_top);
    row.set_position(p + 1);
    row.set_top_p(1.0f);
    if (sample) fill_sampling(sequence, row);
    flight.rows.push_back({sequence.id, p, prompt, sample});
  }
  counts_.prompt_tokens +=
      static_cast<std::uint64_t>(std::max(0, std::min(end, sequence.n_prompt) - sequence.scheduled));
  sequence.scheduled = end;
  sequence.prompt_asked = std::max(sequence.prompt_asked, std::min(end, sequence.n_prompt));
  sequence.awaiting = sequence.remaining() == 0;
  sequence.last_step = flight.id;
  if (sequence.awaiting && !sequence.generates()) flight.evaluated.push_back(sequence.id);
  if (limits_.prefix_reuse) publish_pages(sequence);
}

void Scheduler::fill_sampling(const Sequence& sequence, control::StepRow& row) {
  const GenerationRequest& request = sequence.request;
  row.set_temperature(request.temperature);
  row.set_top_p(request.top_p);
  row.set_min_p(request.min_p);
  row.set_top_k(request.top_k);
  row.set_seed(request.seed);
  for (const TokenEdit& edit : sequence.edits.edits()) {
    control::LogitEdit& out = *row.add_edits();
    out.set_token(edit.token);
    out.set_add(edit.add);
    out.set_repetition(edit.repetition);
  }
  if (sequence.constraint) row.set_mask(sequence.mask.data(), sequence.mask.size() * sizeof(std::uint32_t));
}

}  // namespace colonnade::coordinator
