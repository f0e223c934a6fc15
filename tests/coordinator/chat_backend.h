// A demo backend with a chat "template" that remembers what it was given and prints the last message between marks, and with
// a vocabulary that has special tokens of some tool call forms.
#pragma once

#include <mutex>

#include "tests/coordinator/demo_backend.h"

namespace colonnade::tests {

/// The demo tokenizer with these special tokens more.
std::unique_ptr<engine::Tokenizer> tokenizer_with(const std::vector<std::string>& special);

struct ChatBackend : DemoBackend {
  /// What the model answers to a prompt, special tokens spelled.
  using Answer = std::function<std::string(const std::string& prompt)>;

  ChatBackend(engine::OutputFormat format, Answer answer, const std::vector<std::string>& special = {});
  /// The same to every prompt.
  ChatBackend(engine::OutputFormat format, const std::string& answer, const std::vector<std::string>& special = {});

  engine::ChatInput last_input() const;

  std::string prompt_end = "<answer>";  // what the template ends with

 private:
  mutable std::mutex mutex_;
  engine::ChatInput last_input_;
  std::unique_ptr<engine::Tokenizer> own_tokenizer_;
};

}  // namespace colonnade::tests
