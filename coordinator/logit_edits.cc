#include "coordinator/logit_edits.h"

namespace colonnade::coordinator {

LogitEdits::LogitEdits(const GenerationRequest& request)
    : presence_(request.presence_penalty),
      frequency_(request.frequency_penalty),
      repetition_(request.repetition_penalty) {
  for (const auto& [token, bias] : request.logit_bias) {
    TokenEdit& edit = entry(token);
    edit.add += bias;
    bias_[places_[token]] = edit.add;
  }
  if (repetition_ == 1.0f) return;
  for (const std::int32_t token : request.prompt) entry(token).repetition = repetition_;
}

TokenEdit& LogitEdits::entry(std::int32_t token) {
  const auto [place, is_new] = places_.try_emplace(token, edits_.size());
  if (is_new) {
    edits_.push_back({token, 0.0f, 1.0f});
    bias_.push_back(0.0f);
    generated_.push_back(0);
  }
  return edits_[place->second];
}

void LogitEdits::add_generated(std::int32_t token) {
  if (presence_ == 0.0f && frequency_ == 0.0f && repetition_ == 1.0f) return;
  TokenEdit& edit = entry(token);
  const std::size_t place = places_[token];
  const int count = ++generated_[place];
  // From the count and not from the last value: the same bits however often a sequence was interrupted.
  edit.add = bias_[place] - presence_ - frequency_ * static_cast<float>(count);
  edit.repetition = repetition_;
}

}  // namespace colonnade::coordinator
