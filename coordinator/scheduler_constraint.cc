// What the next token of a sequence may be.
#include <algorithm>

#include "coordinator/scheduler.h"

namespace colonnade::coordinator {

/// Makes the mask for the next token. False when there is none: the sequence has ended then.
bool Scheduler::constrain(Sequence& sequence) {
  if (!sequence.constraint) return true;
  sequence.mask.resize((static_cast<std::size_t>(limits_.vocab_size) + 31) / 32);
  std::size_t n_allowed = sequence.constraint->mask(sequence.mask);
  const bool complete = sequence.constraint->may_end();
  // Where nothing can follow there is no need to ask the model for an end token.
  if (n_allowed == 0 && complete) {
    finish(sequence, FinishReason::kStop, nullptr);
    return false;
  }
  for (const std::int32_t stop : sequence.request.stop_tokens) {
    if (stop < 0 || stop >= limits_.vocab_size) continue;
    std::uint32_t& word = sequence.mask[static_cast<std::size_t>(stop) / 32];
    const std::uint32_t bit = 1u << (static_cast<std::uint32_t>(stop) % 32);
    if ((word & bit) != 0) --n_allowed;
    word = complete ? word | bit : word & ~bit;
    if (complete) ++n_allowed;
  }
  if (n_allowed > 0) return true;
  const Error error{ErrorCode::kUnsupported, "no token of the vocabulary continues the text as the grammar wants it, or it can be read in too many ways"};
  finish(sequence, FinishReason::kError, &error);
  return false;
}

}  // namespace colonnade::coordinator
