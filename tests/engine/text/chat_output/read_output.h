// A whole message through an output parser, and what came of it in a form that is easy to compare.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/text/chat_output/chat_output.h"

namespace colonnade::tests {

struct ReadCall {
  std::string name;
  std::string arguments;
  std::string id;
  bool operator==(const ReadCall&) const = default;
};

struct ReadMessage {
  std::string reasoning;
  std::string content;
  std::vector<ReadCall> calls;
  bool operator==(const ReadMessage&) const = default;
};

/// Everything as one text.
ReadMessage read_output(const engine::OutputFormat& format, const engine::OutputOptions& options, std::string_view output);

/// Cut in two at `cut`; what is spelled like one of `specials` comes as a special token.
ReadMessage read_output_cut(const engine::OutputFormat& format, const engine::OutputOptions& options, std::string_view output,
                            std::size_t cut, const std::vector<std::string>& specials = {});

/// For messages of failed checks.
std::string shown(const ReadMessage& message);

/// The texts of <|…|>, <｜…｜> and [UPPER_CASE] in an output.
std::vector<std::string> special_spellings(std::string_view output);

/// What Catch2 prints.
std::ostream& operator<<(std::ostream& out, const ReadMessage& message);

}  // namespace colonnade::tests
