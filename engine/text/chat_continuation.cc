#include "engine/text/chat_continuation.h"

#include <algorithm>

#include "engine/base/format_text.h"
#include "engine/text/jinja/text_methods.h"

namespace colonnade::engine {
namespace {

/// The content, or the text of the last part that has one.
const std::string* final_text(const OrderedJson& message) {
  const auto content = message.find("content");
  if (content == message.end()) return nullptr;
  if (content->is_string()) return &content->get_ref<const std::string&>();
  if (!content->is_array()) return nullptr;
  for (auto part = content->rbegin(); part != content->rend(); ++part) {
    if (!part->is_object()) continue;
    const auto words = part->find("text");
    if (words != part->end() && words->is_string()) return &words->get_ref<const std::string&>();
  }
  return nullptr;
}

}  // namespace

Status end_within_final_message(const OrderedJson& messages, RenderedChat& chat) {
  const std::string* content = messages.empty() ? nullptr : final_text(messages.back());
  if (content == nullptr) {
    return Error{ErrorCode::kInvalidArgument,
                 "continue_final_message: expected a last message with text content to go on with, found none"};
  }
  const ByteRange bare = jinja::strip_range(*content, jinja::Side::kBoth, "", true);
  const std::string stripped = content->substr(bare.begin, bare.end - bare.begin);
  const std::size_t found = chat.text.rfind(stripped);
  if (found == std::string::npos) {
    return Error{ErrorCode::kInvalidArgument,
                 "continue_final_message: the last message does not appear in the rendered conversation: the template changes it"};
  }
  // With the white space at its end where the template keeps it.
  const std::string ending = content->substr(bare.begin);
  const bool kept = chat.text.compare(found, ending.size(), *content) == 0;
  const std::size_t end = found + (kept ? ending.size() : stripped.size());
  chat.text.resize(end);
  while (!chat.from_input.empty() && chat.from_input.back().begin >= end) chat.from_input.pop_back();
  if (!chat.from_input.empty()) chat.from_input.back().end = std::min(chat.from_input.back().end, end);
  return {};
}

}  // namespace colonnade::engine
