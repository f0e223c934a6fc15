// What becomes of one choice's tokens: plain text (choice_text.h), or a chat message with its parts (chat_text.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/generator.h"

namespace colonnade::coordinator {

struct ChoiceToken {
  std::int32_t token = -1;
  std::optional<float> logprob;  // none for the first token of a prompt: nothing foretold it
  std::vector<Alternative> top;
  std::size_t offset = 0;        // where its text begins in the text of the choice, in characters
};

/// A tool call that begins, or goes on.
struct CallDelta {
  std::size_t index = 0;   // of the call in the message
  std::string id;          // both when it begins, "" afterwards
  std::string name;
  std::string arguments;   // a fragment
};

/// What can be sent now.
struct ChoiceDelta {
  std::string text;
  std::vector<ChoiceToken> tokens;  // those whose text has been given out whole by now
  std::string reasoning;
  std::vector<CallDelta> calls;

  bool has_text() const { return !text.empty() || !reasoning.empty() || !calls.empty(); }
};

class ChoiceOutput {
 public:
  virtual ~ChoiceOutput() = default;

  /// A token of a prompt that is echoed.
  virtual ChoiceDelta push_prompt(ChoiceToken token) = 0;
  virtual ChoiceDelta push(ChoiceToken token) = 0;
  /// The rest, when generation ended by itself.
  virtual ChoiceDelta finish() = 0;

  /// No more will come, whatever is generated: a stop string was complete, or the only call that was wanted.
  virtual bool stopped() const = 0;
  /// Of a choice that did not end for its length.
  virtual const char* stop_reason() const { return "stop"; }
  /// How many tokens were reasoning so far.
  virtual std::size_t reasoning_tokens() const { return 0; }
};

}  // namespace colonnade::coordinator
