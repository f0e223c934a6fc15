// Text to tokens and back, from a model's own tokenizer file. Immutable after loading, so thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/byte_range.h"

namespace colonnade::engine {

enum class SpecialTokens {
  kPlain,      // "<s>" in the text is ordinary characters; only added tokens that are not special are recognised
  kRecognise,  // all added tokens inside the text become their ids
};

/// The bytes of a growing list of tokens, one token at a time: what decode() gives for the whole list. Not
/// thread-safe; must not outlive its tokenizer.
class TokenBytes {
 public:
  virtual ~TokenBytes() = default;
  /// The bytes that this token adds. They may end within a character, which the next tokens complete.
  virtual std::string push(std::int32_t token) = 0;
  /// The bytes that were kept back because tokens to come could have changed them; call once, after the last token.
  virtual std::string finish() { return {}; }
};

/// Bytes that are not UTF-8 never stop anything: each passes normalizer and pre-tokenizer as a character that is neither
/// letter, number nor space, and reaches the model as itself. Byte-level vocabularies and those with byte fallback give its
/// own token, from which it comes back; others give their unknown token.
///
/// Special tokens that are spelled in a text become special only with kRecognise; text of users takes kPlain.
///
/// Immutable, thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Token ids of `text` (any bytes). add_special applies the file's post-processor (e.g. puts <s> in front).
  virtual std::vector<std::int32_t> encode(std::string_view text, SpecialTokens special, bool add_special) const = 0;

  /// As encode() with kRecognise, but special tokens that overlap one of `plain` (ascending, disjoint) are ordinary
  /// characters: text that was put together from parts of which some are not trusted. Of special tokens that the file
  /// wants found in normalised text those in a piece of text that overlaps `plain` are ordinary, too.
  virtual std::vector<std::int32_t> encode_marked(std::string_view text, std::span<const ByteRange> plain, bool add_special) const = 0;

  /// Text of the ids as bytes (not valid UTF-8 where the ids spell none: utf8.h repairs it); special tokens are left
  /// out when skip_special. Unknown ids give nothing.
  std::string decode(std::span<const std::int32_t> tokens, bool skip_special) const;
  virtual std::unique_ptr<TokenBytes> decode_stream(bool skip_special) const = 0;

  virtual int vocab_size() const = 0;
  /// The id of a token's content as in the vocabulary, or -1.
  virtual std::int32_t token_id(std::string_view content) const = 0;
  /// The vocabulary's own spelling of a token ("▁the", "<0x0A>"), "" when out of range.
  virtual std::string token_text(std::int32_t token) const = 0;
  virtual bool is_special(std::int32_t token) const = 0;

  /// The raw bytes that a token adds to the text when other tokens stand before it ("▁the" is " the", "<0xE2>" the byte
  /// E2, which may be a part of a character). "" for special tokens, for ids without a token and for those that spell
  /// nothing.
  virtual std::string token_bytes(std::int32_t token) const;
};

/// From the bytes of a tokenizer.json. kUnsupported names the first part that is not implemented; kCorrupt names
/// the field. Handles untrusted files: bounded memory and time.
Result<std::unique_ptr<Tokenizer>> load_tokenizer_json(std::string_view json);

/// From the bytes of a SentencePiece tokenizer.model (BPE or Unigram). tokenizer_config.json, where there is one, says
/// which special tokens go around a text and adds tokens; else <s> goes before it (and </s> behind it where the model has
/// no <s>).
Result<std::unique_ptr<Tokenizer>> load_sentencepiece(std::string_view model, std::string_view tokenizer_config = {});

/// From the bytes of a tiktoken file (lines of a token in base64 and its rank). How it splits text and which special
/// tokens it has is not in the file: the well-known ones (GPT-2, p50k, cl100k, o200k, Llama 3, Qwen, Kimi K2) are told by
/// their number of ranks, and tokenizer_config.json adds to their special tokens.
Result<std::unique_ptr<Tokenizer>> load_tiktoken(std::string_view ranks, std::string_view tokenizer_config = {});

/// vocab.txt of BERT and its tokenizer_config.json (which may be empty: lower case, without accents).
Result<std::unique_ptr<Tokenizer>> load_bert_vocabulary(std::string_view vocabulary, std::string_view tokenizer_config);

/// The small files of a model that say how it tokenizes. Empty: not there.
struct TokenizerFiles {
  std::string tokenizer_json;
  std::string tokenizer_model;  // SentencePiece, or tiktoken under that name (Llama 3)
  std::string tiktoken;
  std::string tokenizer_config;  // tokenizer_config.json
  std::string vocabulary;        // vocab.txt of BERT: a WordPiece token a line
};
/// From the first that is there, in the order of the members. kNotFound when there is none.
Result<std::unique_ptr<Tokenizer>> load_tokenizer(const TokenizerFiles& files);

/// Turns a growing sequence of tokens into text piece by piece: always valid UTF-8, never half a character, nothing
/// is ever taken back; prompt and pieces concatenated equal decode() of all tokens with invalid bytes replaced by
/// U+FFFD. One per stream; not thread-safe.
class StreamDecoder {
 public:
  /// `prompt` gives the context (e.g. whether the first new word keeps its leading space); it is not emitted, except
  /// for a character that begins in it and that later tokens complete.
  StreamDecoder(const Tokenizer& tokenizer, std::span<const std::int32_t> prompt, bool skip_special);
  ~StreamDecoder();
  StreamDecoder(StreamDecoder&&) noexcept;

  /// Text that became certain with this token; may be empty.
  std::string push(std::int32_t token);
  /// What is left at the end: incomplete characters become U+FFFD.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace colonnade::engine
