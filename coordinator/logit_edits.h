// The penalties and the bias of a request as changes to single logits: OpenAI's presence and frequency penalties
// over the generated tokens, the repetition penalty (CTRL, Keskar et al. 2019) over prompt and generated tokens, and
// logit_bias. Kept up token by token, so that a step costs one walk over the tokens concerned.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "coordinator/generator.h"

namespace colonnade::coordinator {

/// The arithmetic is engine::LogitEdit's: repetition first, then the addition.
struct TokenEdit {
  std::int32_t token;
  float add;
  float repetition;
};

class LogitEdits {
 public:
  explicit LogitEdits(const GenerationRequest& request);

  /// Notes a generated token.
  void add_generated(std::int32_t token);

  /// Every token whose logit changes, in an order that depends on the request and its tokens only.
  const std::vector<TokenEdit>& edits() const { return edits_; }

 private:
  TokenEdit& entry(std::int32_t token);

  float presence_;
  float frequency_;
  float repetition_;
  std::vector<TokenEdit> edits_;
  std::vector<float> bias_;     // of edits_[i]
  std::vector<int> generated_;  // how often edits_[i].token was generated
  std::unordered_map<std::int32_t, std::size_t> places_;
};

}  // namespace colonnade::coordinator
