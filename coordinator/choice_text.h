// The text of one choice as its tokens come: detokenized, cut at stop strings, with the tokens that belong to what
// was given out.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "coordinator/choice_output.h"
#include "coordinator/stop_filter.h"
#include "engine/text/tokenizer.h"

namespace colonnade::coordinator {

class ChoiceText final : public ChoiceOutput {
 public:
  /// `echo`: the choice's text begins with the prompt, whose tokens are then given to push_prompt().
  ChoiceText(const engine::Tokenizer& tokenizer, std::span<const std::int32_t> prompt, bool echo,
             std::vector<std::string> stops);

  ChoiceDelta push_prompt(ChoiceToken token) override;  // stop strings do not count
  ChoiceDelta push(ChoiceToken token) override;
  ChoiceDelta finish() override;
  bool stopped() const override { return filter_.stopped(); }

 private:
  struct Waiting {
    ChoiceToken token;
    std::size_t begin, end;  // bytes of the detokenized text
  };
  ChoiceDelta give_out(std::string text);
  void queue(ChoiceToken token, const std::string& piece);

  engine::StreamDecoder decoder_;
  StopFilter filter_;
  std::deque<Waiting> waiting_;
  std::size_t decoded_bytes_ = 0;
  std::size_t decoded_characters_ = 0;
  std::size_t given_bytes_ = 0;
};

/// The bytes of a token inside a text (special tokens as they are spelled).
std::string token_bytes(const engine::Tokenizer& tokenizer, std::int32_t token);

/// For JSON: the bytes as they are when they are UTF-8, else "bytes:\xE2\x82".
std::string printable_token(const std::string& bytes);

}  // namespace colonnade::coordinator
