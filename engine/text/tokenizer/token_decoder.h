// The decoder of a tokenizer: vocabulary spellings back to the bytes of the text, one token after another, so that
// streaming and decoding a whole list are the same computation.
// Kinds: none (tokens joined by spaces), BPEDecoder, ByteFallback, ByteLevel, CTC, Fuse, Metaspace, Replace, Sequence,
// Strip, WordPiece.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"
#include "engine/text/tokenizer/regex.h"

namespace colonnade::engine {

/// One step of a decoder, and what it remembers of the tokens before. One object serves one list of tokens.
class DecoderStep {
 public:
  virtual ~DecoderStep() = default;
  /// What the piece of the next token becomes. What depends on tokens to come is kept back until they have come.
  virtual std::string push(std::string piece) = 0;
  /// What was kept back, when there are no more tokens.
  virtual std::string finish() { return {}; }
  /// Whether it does nothing but read the letters of the byte-level alphabet.
  virtual bool reads_byte_letters() const { return false; }
  /// A copy that remembers nothing yet.
  virtual std::unique_ptr<DecoderStep> fresh() const = 0;
};

using DecoderSteps = std::vector<std::unique_ptr<DecoderStep>>;

/// From the file's "decoder".
Result<DecoderSteps> make_decoder(const Json& part);

// The kinds, for make_decoder and for tokenizers of other files. "Whole": after Fuse, when the pieces are one text.
std::unique_ptr<DecoderStep> make_join_with_spaces();
std::unique_ptr<DecoderStep> make_byte_level_decoder();
std::unique_ptr<DecoderStep> make_byte_fallback_decoder();
std::unique_ptr<DecoderStep> make_replace_decoder(std::string pattern, std::string content);
std::unique_ptr<DecoderStep> make_whole_replace_decoder(std::string pattern, std::string content);
std::unique_ptr<DecoderStep> make_regex_replace_decoder(Regex regex, std::string content);
std::unique_ptr<DecoderStep> make_strip_decoder(std::string character, std::size_t start, std::size_t stop);
std::unique_ptr<DecoderStep> make_whole_strip_decoder(std::string character, std::size_t start, std::size_t stop);
std::unique_ptr<DecoderStep> make_metaspace_decoder(std::string replacement, bool drops_first);
std::unique_ptr<DecoderStep> make_word_piece_decoder(std::string prefix, bool cleanup);
std::unique_ptr<DecoderStep> make_bpe_decoder(std::string suffix);
struct CtcOptions {
  std::string pad, word_delimiter;
  bool cleanup = true;
};
std::unique_ptr<DecoderStep> make_ctc_decoder(CtcOptions options);

}  // namespace colonnade::engine
