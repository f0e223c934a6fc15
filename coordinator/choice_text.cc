#include "coordinator/choice_text.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/utf8.h"

namespace colonnade::coordinator {

ChoiceText::ChoiceText(const engine::Tokenizer& tokenizer, std::span<const std::int32_t> prompt, bool echo,
                       std::vector<std::string> stops)
    : decoder_(tokenizer, echo ? std::span<const std::int32_t>() : prompt, true), filter_(std::move(stops)) {}

void ChoiceText::queue(ChoiceToken token, const std::string& piece) {
  token.offset = decoded_characters_;
  const std::size_t begin = decoded_bytes_;
  decoded_bytes_ += piece.size();
  decoded_characters_ += static_cast<std::size_t>(
      std::count_if(piece.begin(), piece.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  waiting_.push_back({std::move(token), begin, decoded_bytes_});
}

ChoiceDelta ChoiceText::give_out(std::string text) {
  given_bytes_ += text.size();
  ChoiceDelta delta;
  delta.text = std::move(text);
  while (!waiting_.empty()) {
    const Waiting& next = waiting_.front();
    // A token that a stop string cuts in two still belongs to the text; one that lies behind the cut does not.
    const bool whole = next.end <= given_bytes_ && !(stopped() && next.begin >= given_bytes_);
    const bool cut = stopped() && next.begin < given_bytes_;
    if (!whole && !cut) break;
    delta.tokens.push_back(std::move(waiting_.front().token));
    waiting_.pop_front();
  }
  return delta;
}

ChoiceDelta ChoiceText::push_prompt(ChoiceToken token) {
  std::string piece = decoder_.push(token.token);
  queue(std::move(token), piece);
  return give_out(std::move(piece));
}

ChoiceDelta ChoiceText::push(ChoiceToken token) {
  const std::string piece = decoder_.push(token.token);
  queue(std::move(token), piece);
  return give_out(filter_.push(piece));
}

ChoiceDelta ChoiceText::finish() {
  const std::string rest = decoder_.finish();
  decoded_bytes_ += rest.size();
  std::string text = filter_.push(rest);
  text += filter_.finish();
  return give_out(std::move(text));
}

std::string token_bytes(const engine::Tokenizer& tokenizer, std::int32_t token) {
  // The same token twice: what the second adds does not suffer from rules about the beginning of a text.
  const std::size_t alone = tokenizer.decode(std::array{token}, false).size();
  return tokenizer.decode(std::array{token, token}, false).substr(alone);
}

std::string printable_token(const std::string& bytes) {
  if (engine::replace_invalid_utf8(bytes) == bytes) return bytes;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string printable = "bytes:";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    printable += text("\\x", kDigits[byte / 16], kDigits[byte % 16]);
  }
  return printable;
}

}  // namespace colonnade::coordinator
