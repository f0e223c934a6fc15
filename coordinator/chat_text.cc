#include "coordinator/chat_text.h"

#include <iterator>
#include <utility>

namespace colonnade::coordinator {

using engine::OutputEvent;

ChatText::ChatText(const engine::Tokenizer& tokenizer, std::span<const std::int32_t> prompt, const ChatOutput& output,
                   std::vector<std::string> stops, std::function<std::string()> make_id)
    : tokenizer_(tokenizer),
      decoder_(tokenizer, prompt, true),
      filter_(std::move(stops)),
      parser_(engine::make_output_parser(output.format, output.options)),
      parallel_calls_(output.parallel_calls),
      make_id_(std::move(make_id)),
      in_reasoning_(output.options.start == engine::OutputOptions::Start::kReasoning) {}

ChoiceDelta ChatText::push(ChoiceToken token) {
  ChoiceDelta delta;
  const std::int32_t id = token.token;
  waiting_.push_back(std::move(token));
  const std::string piece = decoder_.push(id);  // "" for special tokens
  if (!piece.empty()) take(parser_->push_text(piece), delta);
  if (tokenizer_.is_special(id) && !stopped()) take(parser_->push_special(tokenizer_.token_text(id)), delta);
  if (in_reasoning_) ++reasoning_tokens_;
  give_tokens(delta);
  return delta;
}

ChoiceDelta ChatText::finish() {
  ChoiceDelta delta;
  if (const std::string rest = decoder_.finish(); !rest.empty()) take(parser_->push_text(rest), delta);
  take(parser_->finish(), delta);
  delta.text += filter_.finish();
  give_tokens(delta);
  std::move(waiting_.begin(), waiting_.end(), std::back_inserter(delta.tokens));
  waiting_.clear();
  return delta;
}

void ChatText::take(const engine::OutputEvents& events, ChoiceDelta& delta) {
  for (const OutputEvent& event : events) {
    if (stopped()) return;
    in_reasoning_ = event.kind == OutputEvent::Kind::kReasoning;
    if (event.kind == OutputEvent::Kind::kContent) {
      delta.text += filter_.push(event.text);
      continue;
    }
    delta.text += filter_.finish();  // no stop string reaches over what is no content
    if (in_reasoning_) delta.reasoning += event.text;
    else take_call(event, delta);
  }
}

void ChatText::take_call(const OutputEvent& event, ChoiceDelta& delta) {
  if (event.kind == OutputEvent::Kind::kCallEnd) {
    calls_done_ = !parallel_calls_;
  } else if (event.kind == OutputEvent::Kind::kCallBegin) {
    CallDelta& call = delta.calls.emplace_back();
    call.index = n_calls_++;
    call.id = event.id.empty() ? make_id_() : event.id;
    call.name = event.text;
  } else {
    if (delta.calls.empty()) delta.calls.push_back({.index = n_calls_ - 1, .id = {}, .name = {}, .arguments = {}});
    delta.calls.back().arguments += event.text;
  }
}

void ChatText::give_tokens(ChoiceDelta& delta) {
  // At a stop string those are left out of whose text nothing is left: all but, where text came before it, the first.
  if (filter_.stopped()) waiting_.resize(delta.has_text() && !waiting_.empty() ? 1 : 0);
  if (!delta.has_text() && !stopped()) return;
  delta.tokens = std::exchange(waiting_, {});
}

}  // namespace colonnade::coordinator
