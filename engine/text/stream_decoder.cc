#include <utility>

#include "engine/text/tokenizer.h"
#include "engine/text/utf8.h"

namespace colonnade::engine {

struct StreamDecoder::State {
  std::unique_ptr<TokenBytes> bytes;
  Utf8Assembler characters;
};

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, std::span<const std::int32_t> prompt, bool skip_special)
    : state_(std::make_unique<State>()) {
  state_->bytes = tokenizer.decode_stream(skip_special);
  for (const std::int32_t token : prompt) push(token);
}

StreamDecoder::~StreamDecoder() = default;
StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;

std::string StreamDecoder::push(std::int32_t token) { return state_->characters.push(state_->bytes->push(token)); }

std::string StreamDecoder::finish() {
  std::string rest = state_->characters.push(state_->bytes->finish());
  return rest += state_->characters.finish();
}

}  // namespace colonnade::engine
