#include "engine/model/batch.h"

#include <algorithm>
#include <span>

#include "engine/base/format_text.h"
#include "engine/base/page_window.h"
#include "engine/kernels/kernels.h"

namespace colonnade::engine {
namespace {

Error invalid(std::string message) { return Error{ErrorCode::kInvalidArgument, "step: " + std::move(message)}; }

/// A mask lies within the step's masks and allows a token.
Status check_mask(const Step& step, const StepRow& row, std::int32_t vocab_size) {
  const std::size_t words = mask_words(vocab_size), first = static_cast<std::size_t>(row.first_mask);
  if (first > step.masks.size() || words > step.masks.size() - first)
    return invalid(text("a mask of ", words, " words at ", first, " is outside of ", step.masks.size()));
  const std::span<const std::uint32_t> mask = std::span(step.masks).subspan(first, words);
  // Bits behind the last token count for nothing.
  const std::uint32_t last = mask[words - 1] << (32 * words - static_cast<std::size_t>(vocab_size));
  if (last == 0 && std::all_of(mask.begin(), mask.end() - 1, [](std::uint32_t word) { return word == 0; }))
    return invalid("a mask allows no token");
  return {};
}

/// The table for layers with windows covers what the sequence's tokens see, and their own positions.
Status check_window(const Step& step, const StepSequence& sequence, const StepLimits& limits) {
  const int first = first_window_page(sequence.first_position, limits.window_tokens, kPageTokens);
  const int last = (sequence.first_position + sequence.n_tokens - 1) / kPageTokens;
  const std::int64_t end = std::int64_t{sequence.window_start} + sequence.n_window_pages;
  if (sequence.window_start < 0 || sequence.window_start > first || end <= last)
    return invalid(text("windows of positions ", sequence.first_position, " to ", sequence.first_position + sequence.n_tokens - 1,
                        " need pages ", first, " to ", last, ", found ", sequence.window_start, " to ", end - 1));
  for (std::int32_t p = 0; p < sequence.n_window_pages; ++p) {
    const std::int32_t page = step.pages[static_cast<std::size_t>(sequence.first_window_page + p)];
    if (page < 0 || page >= limits.n_window_pages)
      return invalid(text("page ", page, " is outside of the pool of ", limits.n_window_pages, " for windows"));
  }
  return {};
}

}  // namespace

Status check_step(const Step& step, const StepLimits& limits) {
  const auto n_tokens = static_cast<std::int32_t>(step.tokens.size());
  if (n_tokens == 0 || n_tokens > limits.max_step_tokens)
    return invalid(text("expected 1 to ", limits.max_step_tokens, " tokens, found ", n_tokens));
  for (const std::int32_t token : step.tokens)
    if (token < 0 || token >= limits.vocab_size)
      return invalid(text("token ", token, " is outside of the vocabulary of ", limits.vocab_size));
  if (!step.token_types.empty() && step.token_types.size() != step.tokens.size())
    return invalid(text("expected a type for each of ", n_tokens, " tokens, found ", step.token_types.size()));
  for (const std::int32_t type : step.token_types)
    if (type < 0 || type >= limits.n_token_types)
      return invalid(text("a token of type ", type, ", the model has ", limits.n_token_types, limits.n_token_types == 1 ? " type" : " types"));
  std::int32_t next = 0;
  for (const StepSequence& sequence : step.sequences) {
    if (sequence.first_token != next || sequence.n_tokens <= 0)
      return invalid(text("sequences must cover the tokens in order; expected one from token ", next, ", found ",
                          sequence.first_token, " + ", sequence.n_tokens));
    next += sequence.n_tokens;
    const std::int64_t end = std::int64_t{sequence.first_position} + sequence.n_tokens;
    if (sequence.first_position < 0 || end > limits.max_context_tokens)
      return invalid(text("positions ", sequence.first_position, " to ", end - 1, " are outside of the context of ",
                          limits.max_context_tokens));
    if (static_cast<std::int64_t>(sequence.n_pages) * kPageTokens < end)
      return invalid(text("position ", end - 1, " needs ", (end + kPageTokens - 1) / kPageTokens, " pages, found ",
                          sequence.n_pages));
    for (std::int32_t p = 0; p < sequence.n_pages; ++p) {
      const std::int32_t page = step.pages[static_cast<std::size_t>(sequence.first_page + p)];
      if (page < 0 || page >= limits.n_pages)
        return invalid(text("page ", page, " is outside of the pool of ", limits.n_pages));
    }
    if (limits.n_window_pages > 0) COLONNADE_TRY(check_window(step, sequence, limits));
  }
  if (limits.encoder)
    for (const StepSequence& sequence : step.sequences)
      if (sequence.first_position != 0)
        return invalid(text("an encoder takes whole sequences, found one from position ", sequence.first_position));
  if (next != n_tokens) return invalid(text("sequences cover ", next, " of ", n_tokens, " tokens"));
  for (const StepRow& row : step.rows) {
    const std::uint32_t possible = limits.encoder ? kRowFullLogits | kRowPooled : kRowFullLogits | kRowSample;
    if ((row.flags & ~possible) != 0)
      return invalid(limits.encoder ? "an encoder has no tokens to choose" : "only an encoder pools");
    if (row.n_top < 0 || row.n_top > kMaxTop)
      return invalid(text("expected at most ", kMaxTop, " most likely tokens, found ", row.n_top));
    if (row.target >= limits.vocab_size)
      return invalid(text("target token ", row.target, " is outside of the vocabulary of ", limits.vocab_size));
    if (row.first_mask >= 0) COLONNADE_TRY(check_mask(step, row, limits.vocab_size));
  }
  for (const LogitEdit& edit : step.edits)
    if (edit.token < 0 || edit.token >= limits.vocab_size)
      return invalid(text("edited token ", edit.token, " is outside of the vocabulary of ", limits.vocab_size));
  return {};
}

Batch::Batch(const ModelConfig& config, int max_tokens)
    : positions_(static_cast<std::size_t>(max_tokens)),
      sequence_ends_(static_cast<std::size_t>(max_tokens)),
      pages_(static_cast<std::size_t>(max_tokens)),
      window_pages_(static_cast<std::size_t>(max_tokens)) {
  angles_.emplace_back(config.rope, max_tokens);
  for (const RopeConfig& rope : config.more_ropes) angles_.emplace_back(rope, max_tokens);
}

void Batch::set(const Step& step) {
  n_tokens_ = static_cast<int>(step.tokens.size());
  token_types_ = step.token_types.empty() ? nullptr : step.token_types.data();
  for (const StepSequence& sequence : step.sequences) {
    const PageTable pages{step.pages.data() + sequence.first_page, 0};
    const PageTable window_pages{step.pages.data() + sequence.first_window_page, sequence.window_start};
    for (std::int32_t i = 0; i < sequence.n_tokens; ++i) {
      const int token = sequence.first_token + i;
      positions_[static_cast<std::size_t>(token)] = sequence.first_position + i;
      sequence_ends_[static_cast<std::size_t>(token)] = sequence.first_token + sequence.n_tokens;
      pages_[static_cast<std::size_t>(token)] = pages;
      window_pages_[static_cast<std::size_t>(token)] = window_pages;
      for (Angles& a : angles_)
        a.table.fill(sequence.first_position + i, a.cosine.data() + a.offset(token), a.sine.data() + a.offset(token));
    }
  }
}

}  // namespace colonnade::engine
