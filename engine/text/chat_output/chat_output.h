// What a chat model writes, taken apart while it comes: content, reasoning, and tool calls in the form of the model's
// family. Pure: no tokenizer, no JSON documents; docs/api.md lists the forms.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace colonnade::engine {

struct OutputEvent {
  enum class Kind {
    kContent,    // text: a piece of the answer
    kReasoning,  // text: a piece of the reasoning
    kCallBegin,  // text: the function's name; id: as the model gave it, or ""
    kArguments,  // text: a fragment of the arguments (JSON) of the call that began last
    kCallEnd,
  };
  Kind kind;
  std::string text = {};
  std::string id = {};

  bool operator==(const OutputEvent&) const = default;
};
using OutputEvents = std::vector<OutputEvent>;

/// What a form without types of its own (XML) must know of a parameter: "12" is a text for a string parameter.
enum class ParameterKind { kUnknown, kString, kOther };

struct ToolParameter {
  std::string name;
  ParameterKind kind = ParameterKind::kUnknown;
};

struct ToolSignature {
  std::string name;
  std::vector<ToolParameter> parameters;
};

/// Names out of tool_formats() and reasoning_formats(), "none" where nothing is taken apart.
struct OutputFormat {
  std::string tools = "none";
  std::string reasoning = "none";
};

struct OutputOptions {
  bool parse_calls = false;          // false: calls are content (harmony's channels are taken apart either way)
  std::vector<ToolSignature> tools;  // those of the request
  enum class Start {
    kMessage,    // the prompt ends where the model's message begins
    kReasoning,  // the prompt has opened the reasoning
    kContent,    // the prompt ends within the answer
  } start = Start::kMessage;
};

/// Takes one message. The events of one stream, neighbours of one kind joined, do not depend on how the text is cut into
/// pieces. Half a marker is never given out. White space around reasoning and calls is dropped; no other text is lost:
/// what looks like a call but is none comes back as content, markers included, and a call that breaks off within its
/// arguments ends there. Not thread-safe.
class OutputParser {
 public:
  virtual ~OutputParser() = default;
  /// Text of ordinary tokens, valid UTF-8.
  virtual OutputEvents push_text(std::string_view text) = 0;
  /// A special token as the vocabulary spells it: a marker of the form, or nothing.
  virtual OutputEvents push_special(std::string_view spelling) = 0;
  /// What was held back, when the stream ends.
  virtual OutputEvents finish() = 0;
};

/// `format` has names that are known.
std::unique_ptr<OutputParser> make_output_parser(const OutputFormat& format, OutputOptions options);

std::span<const std::string_view> tool_formats();
std::span<const std::string_view> reasoning_formats();

/// The forms that a chat template speaks of. `has_token`: whether the vocabulary has a token of this spelling; some models
/// reason between tokens that their template does not name.
OutputFormat detect_output_format(std::string_view chat_template,
                                  const std::function<bool(std::string_view)>& has_token = {});

/// Whether a prompt ends with the marker that opens reasoning.
bool opens_reasoning(std::string_view reasoning_format, std::string_view prompt);
/// The marker that closes reasoning; "" for formats that have none of their own.
std::string_view reasoning_end(std::string_view reasoning_format);
/// Whether a message that is gone on with breaks off within its reasoning.
bool leaves_reasoning_open(std::string_view reasoning_format, std::string_view message);

}  // namespace colonnade::engine
