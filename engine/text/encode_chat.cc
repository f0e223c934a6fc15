#include "engine/text/chat_template.h"

namespace colonnade::engine {

std::vector<std::int32_t> encode_chat(const Tokenizer& tokenizer, const RenderedChat& chat) {
  return tokenizer.encode_marked(chat.text, chat.from_input, false);
}

}  // namespace colonnade::engine
