#include "coordinator/scheduler.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/format_text.h"
#include "engine/base/page_window.h"
#include "worker/control.pb.h"

namespace colonnade::coordinator {
namespace {

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

SchedulerLimits bounded(SchedulerLimits limits) {
  const std::int64_t all_pages = std::int64_t{limits.n_pages} * limits.page_tokens;
  limits.context_tokens = static_cast<int>(std::min<std::int64_t>(limits.context_tokens, all_pages));
  COLONNADE_CHECK(limits.n_window_pages == 0 ||
                      limits.n_window_pages >= window_step_pages(limits.max_step_tokens, limits.window_tokens, limits.page_tokens),
                  "a pool of windows that cannot hold one step");
  if (limits.vector_dim > 0) {
    limits.context_tokens = std::min(limits.context_tokens, limits.max_step_tokens);
    limits.prefix_reuse = false;  // what a token is depends on those behind it
  }
  return limits;
}

Status check_tokens(const GenerationRequest& request, int vocab_size) {
  const auto outside = [&](std::int32_t token) { return token < 0 || token >= vocab_size; };
  for (std::size_t i = 0; i < request.prompt.size(); ++i) {
    if (outside(request.prompt[i])) {
      return invalid(text("prompt token ", request.prompt[i], " at position ", i, " is not in the vocabulary of ",
                          vocab_size, " tokens"));
    }
  }
  if (request.logit_bias.size() > kMaxLogitBias) {
    return invalid(text("logit_bias must have at most ", kMaxLogitBias, " entries, found ", request.logit_bias.size()));
  }
  for (const auto& [token, bias] : request.logit_bias) {
    if (outside(token)) {
      return invalid(text("logit_bias token ", token, " is not in the vocabulary of ", vocab_size, " tokens"));
    }
    if (!std::isfinite(bias)) return invalid(text("logit_bias of token ", token, " is not a finite number"));
  }
  return {};
}

Status check_token_types(const GenerationRequest& request, int n_token_types) {
  if (!request.token_types.empty() && request.token_types.size() != request.prompt.size())
    return invalid(text("token_type_ids must have one for each of ", request.prompt.size(), " tokens, found ", request.token_types.size()));
  for (const std::int32_t type : request.token_types)
    if (type < 0 || type >= n_token_types)
      return invalid(text("token_type_ids must be from 0 to ", n_token_types - 1, ", found ", type));
  return {};
}

Status check_parameters(const GenerationRequest& request) {
  if (request.max_tokens < 0) return invalid(text("max_tokens must be at least 0, found ", request.max_tokens));
  if (!(request.temperature >= 0.0f) || !std::isfinite(request.temperature)) {
    return invalid(text("temperature must be at least 0, found ", request.temperature));
  }
  if (!(request.top_p >= 0.0f && request.top_p <= 1.0f)) {
    return invalid(text("top_p must be from 0 to 1, found ", request.top_p));
  }
  if (!(request.min_p >= 0.0f && request.min_p <= 1.0f)) {
    return invalid(text("min_p must be from 0 to 1, found ", request.min_p));
  }
  if (request.top_k < 0) return invalid(text("top_k must be at least 0, found ", request.top_k));
  if (!std::isfinite(request.presence_penalty) || !std::isfinite(request.frequency_penalty)) {
    return invalid("presence_penalty and frequency_penalty must be finite numbers");
  }
  if (!(request.repetition_penalty >= 0.01f && request.repetition_penalty <= 100.0f)) {
    return invalid(text("repetition_penalty must be from 0.01 to 100, found ", request.repetition_penalty));
  }
  if (request.n_top < 0 || request.n_top > kMaxAlternatives) {
    return invalid(text("alternatives for a token must be from 0 to ", kMaxAlternatives, ", found ", request.n_top));
  }
  return {};
}

TokenEvent token_event(std::int32_t token, float logprob, const control::RowResult& row) {
  TokenEvent event{token, logprob, {}};
  event.top.reserve(static_cast<std::size_t>(row.top_size()));
  for (const control::TopToken& top : row.top()) event.top.push_back({top.token(), top.logprob()});
  return event;
}

}  // namespace

Scheduler::Scheduler(const SchedulerLimits& limits)
    : limits_(bounded(limits)),
      pool_(limits.n_pages, limits.page_tokens, limits.hash_seed),
      window_pool_(limits.n_window_pages, limits.page_tokens, limits.hash_seed) {}

Status Scheduler::validate(const GenerationRequest& request, const SchedulerLimits& unbounded_limits) {
  const SchedulerLimits limits = bounded(unbounded_limits);
  const bool vector = request.prompt_output == PromptOutput::kVector;
  if (limits.vector_dim > 0 && !(vector && request.max_tokens == 0))
    return invalid("the model is an encoder: it gives embeddings and generates nothing");
  if (limits.vector_dim == 0 && vector) return invalid("the model is no encoder: it gives no embeddings");
  if (request.prompt.empty()) return invalid("the prompt has no tokens");
  const std::size_t n_prompt = request.prompt.size();
  const auto context = static_cast<std::size_t>(limits.context_tokens);
  const char* bound = limits.context_tokens == limits.n_pages * limits.page_tokens ? " (all KV pages together)" : "";
  if (n_prompt > context) {
    return invalid(text("the prompt has ", n_prompt, " tokens, the context is ", context, " tokens", bound));
  }
  if (n_prompt == context && request.max_tokens > 0) {
    return invalid(text("the prompt has ", n_prompt, " tokens and leaves no room to generate in a context of ",
                        context, " tokens", bound));
  }
  COLONNADE_TRY(check_tokens(request, limits.vocab_size));
  COLONNADE_TRY(check_token_types(request, limits.n_token_types));
  return check_parameters(request);
}

Status Scheduler::add(GenerationId id, GenerationRequest request, GenerationCallbacks callbacks) {
  COLONNADE_CHECK(sequences_.empty() || sequences_.rbegin()->first < id, "request ids must ascend");
  COLONNADE_TRY(validate(request, limits_));
  auto sequence = std::make_unique<Sequence>(id, std::move(request), std::move(callbacks));
  sequence->chain = pool_.root();
  waiting_.emplace(id, sequence.get());
  sequences_.emplace(id, std::move(sequence));
  ++counts_.requests;
  look_again_ = true;
  constrain(*sequences_.at(id));
  return {};
}

Sequence* Scheduler::find(GenerationId id) {
  const auto found = sequences_.find(id);
  return found == sequences_.end() ? nullptr : found->second.get();
}

void Scheduler::cancel(GenerationId id) {
  if (Sequence* sequence = find(id)) finish(*sequence, FinishReason::kCancelled, nullptr);
}

void Scheduler::finish(Sequence& sequence, FinishReason reason, const Error* error) {
  release_pages(sequence);
  std::erase(running_, &sequence);
  waiting_.erase(sequence.id);
  const auto on_finish = std::move(sequence.callbacks.on_finish);
  sequences_.erase(sequence.id);
  look_again_ = true;
  if (on_finish) on_finish(reason, error);
}

Status Scheduler::apply(const control::StepResult& result) {
  if (in_flight_.empty() || in_flight_.front().id != result.id()) {
    return Error{ErrorCode::kCorrupt,
                 text("expected the result of step ", in_flight_.empty() ? 0 : in_flight_.front().id, ", found ",
                      result.id())};
  }
  InFlight flight = std::move(in_flight_.front());
  in_flight_.pop_front();
  if (static_cast<int>(flight.rows.size()) != result.rows_size()) {
    return Error{ErrorCode::kCorrupt, text("expected ", flight.rows.size(), " rows in the result of step ",
                                           flight.id, ", found ", result.rows_size())};
  }
  for (int i = 0; i < result.rows_size(); ++i) {
    COLONNADE_TRY(apply_row(result, i, flight.rows[static_cast<std::size_t>(i)]));
  }
  for (const GenerationId id : flight.evaluated) {
    if (Sequence* sequence = find(id)) finish(*sequence, FinishReason::kLength, nullptr);
  }
  flight.rows.clear();
  flight.evaluated.clear();
  spare_.push_back(std::move(flight));
  return {};
}

Status Scheduler::apply_row(const control::StepResult& result, int index, const RowTarget& target) {
  Sequence* sequence = find(target.sequence);
  if (sequence == nullptr) return {};
  const control::RowResult& row = result.rows(index);
  const PromptOutput output = sequence->request.prompt_output;
  if (target.prompt && (output == PromptOutput::kFullLogits || output == PromptOutput::kVector)) {
    const int count = output == PromptOutput::kVector ? limits_.vector_dim : limits_.vocab_size;
    const std::size_t expected = static_cast<std::size_t>(count) * sizeof(float);
    if (row.logits().size() != expected) {
      return Error{ErrorCode::kCorrupt, text("expected ", expected, " bytes of logits in the result of step ",
                                             result.id(), ", found ", row.logits().size())};
    }
    std::vector<float> logits(static_cast<std::size_t>(count));
    std::memcpy(logits.data(), row.logits().data(), expected);
    if (sequence->callbacks.on_prompt_logits) {
      sequence->callbacks.on_prompt_logits(target.position, std::move(logits));
    }
  } else if (target.prompt && sequence->callbacks.on_prompt_token) {
    const std::int32_t token = sequence->tokens[static_cast<std::size_t>(target.position) + 1];
    sequence->callbacks.on_prompt_token(target.position, token_event(token, row.target_logprob(), row));
  }
  if (!target.sample) return {};
  if (row.token() < 0 || row.token() >= limits_.vocab_size) {
    return Error{ErrorCode::kCorrupt, text("the result of step ", result.id(), " chose token ", row.token(),
                                           " of a vocabulary of ", limits_.vocab_size)};
  }
  sequence->awaiting = false;
  sequence->tokens.push_back(row.token());
  sequence->edits.add_generated(row.token());
  ++counts_.generated_tokens;
  look_again_ = look_again_ || sequence->pages.empty();
  if (sequence->callbacks.on_token) sequence->callbacks.on_token(token_event(row.token(), row.logprob(), row));

  const auto& stops = sequence->request.stop_tokens;
  if (std::find(stops.begin(), stops.end(), row.token()) != stops.end()) {
    finish(*sequence, FinishReason::kStop, nullptr);
  } else if (sequence->constraint && !sequence->constraint->accept(row.token())) {
    const Error error{ErrorCode::kUnsupported, "the grammar can be read in too many ways here"};
    finish(*sequence, FinishReason::kError, &error);
  } else if (!constrain(*sequence)) {
    return {};
  } else if (sequence->n_generated() >= sequence->request.max_tokens ||
             sequence->n_tokens() >= limits_.context_tokens) {
    finish(*sequence, FinishReason::kLength, nullptr);
  }
  return {};
}

void Scheduler::job_lost(const Error& error) {
  in_flight_.clear();
  std::vector<Sequence*> begun;
  for (const auto& [id, sequence] : sequences_) {
    sequence->awaiting = false;
    if (sequence->admitted_before) begun.push_back(sequence.get());
  }
  for (Sequence* sequence : begun) finish(*sequence, FinishReason::kError, &error);
  reset_pools();
}

void Scheduler::reset_pools() {
  COLONNADE_CHECK(window_quotas_ == 0, "a quota outlives its sequence");
  pool_ = PagePool(limits_.n_pages, limits_.page_tokens, limits_.hash_seed);
  window_pool_ = PagePool(limits_.n_window_pages, limits_.page_tokens, limits_.hash_seed);
}

void Scheduler::restart(const SchedulerLimits& limits) {
  COLONNADE_CHECK(in_flight_.empty() && running_.empty(), "restart of a scheduler at work");
  limits_ = bounded(limits);
  reset_pools();
  look_again_ = true;
  std::vector<std::pair<Sequence*, Error>> too_large;
  for (const auto& [id, sequence] : sequences_) {
    sequence->chain = pool_.root();
    if (Status status = validate(sequence->request, limits_); !status.ok()) {
      too_large.emplace_back(sequence.get(), status.error());
    }
  }
  for (const auto& [sequence, error] : too_large) finish(*sequence, FinishReason::kError, &error);
}

void Scheduler::end_all(FinishReason reason, const Error* error) {
  while (!sequences_.empty()) finish(*sequences_.begin()->second, reason, error);
}

}  // namespace colonnade::coordinator
