// The model of a tokenizer: one word to token ids. Kinds: BPE, Unigram, WordPiece, WordLevel.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"
#include "engine/text/tokenizer/joint_filter.h"
#include "engine/text/tokenizer/merge_table.h"
#include "engine/text/tokenizer/string_ids.h"

namespace colonnade::engine {

/// Immutable, thread-safe.
class TokenModel {
 public:
  virtual ~TokenModel() = default;
  /// Appends the ids of one word that is not empty. Any bytes: those that are not UTF-8 count as characters of one byte.
  virtual void tokenize(std::string_view word, std::vector<std::int32_t>& ids) const = 0;
};

struct NamedToken {
  std::string content;
  std::int32_t id;
};
/// The tokens of a file as it spells them, added ones included. Of several with one id the last one counts.
struct Vocabulary {
  std::vector<NamedToken> tokens;
  std::shared_ptr<StringIds> ids = std::make_shared<StringIds>();

  void add(std::string content, std::int32_t id) {
    ids->set(content, id);
    tokens.push_back({std::move(content), id});
  }
};

/// From the file's "model". With `bytes` (BPE only, see words_may_be_bytes) words come as bytes, though the vocabulary is
/// written in the letters of the byte-level alphabet.
Result<std::unique_ptr<TokenModel>> make_token_model(const Json& part, bool bytes, Vocabulary& vocabulary);

/// Whether the model gives the same for words as bytes: BPE without affixes of symbols and without byte fallback.
bool words_may_be_bytes(const Json& model);

struct BpeTables {
  std::shared_ptr<const StringIds> ids;  // of tokens and characters, by what words are made of: bytes, or text as in the file
  MergeTable merges;
  std::optional<std::int32_t> unknown;
  bool byte_symbols = false;    // words are split into bytes first, else into characters
  bool fuse_unknown = false;
  bool ignore_merges = false;   // a word that is a token becomes it, whatever the merges say
  bool byte_fallback = false;   // a character without a token becomes its bytes' tokens, where all are there
  std::string continuing_prefix;  // before every symbol but the first, when it is looked up
  std::string end_suffix;         // behind the last one
  JointFilter joints;             // of all merges; empty: words are always merged whole
  // SentencePiece: symbols from `first_character` on are characters that are part of tokens without being tokens, and
  // tokens that are not used give way to the two that they are merged from.
  std::int32_t first_character = INT32_MAX;
  std::vector<std::string> characters;
  std::unordered_map<std::int32_t, std::pair<std::int32_t, std::int32_t>> unused;
};
std::unique_ptr<TokenModel> make_bpe(BpeTables tables);

struct WordPieceTables {
  const std::vector<NamedToken>* vocabulary = nullptr;
  std::optional<std::int32_t> unknown;
  std::string start_prefix;       // before the first piece of a word, when it is looked up (GGUF: "▁")
  std::string continuing_prefix;  // before the others (BERT: "##")
  std::size_t most_characters = 100;
};
/// Errors as of make_unigram.
Result<std::unique_ptr<TokenModel>> make_word_piece(const WordPieceTables& tables);
std::unique_ptr<TokenModel> make_word_level(std::shared_ptr<const StringIds> ids, std::optional<std::int32_t> unknown);

struct UnigramPiece {
  std::string content;        // empty: never found in text
  double score = 0;
  bool user_defined = false;  // preferred wherever it matches (SentencePiece)
};
struct UnigramTables {
  std::vector<UnigramPiece> pieces;  // by id
  std::optional<std::int32_t> unknown;
  std::array<std::int32_t, 256> byte_ids = no_byte_ids();  // for what no piece spells; -1: none
  bool single_precision = false;  // sums in float, as SentencePiece has them; else in double, as the tokenizers library
  static std::array<std::int32_t, 256> no_byte_ids();
};
/// kExhausted when the vocabulary is too large, kUnsupported when a token is too long.
Result<std::unique_ptr<TokenModel>> make_unigram(UnigramTables tables);

/// Tokens that are searched for at every place of a text must be short, so that no file can make that slow: kUnsupported.
inline constexpr std::size_t kMostTokenBytes = 1024;
Status check_token_size(std::string_view content);
Error too_large_vocabulary();

/// The byte that a token such as "<0x0A>" stands for, or -1.
int byte_of_token(std::string_view content);
/// "<0x0A>"
std::string byte_token_content(unsigned byte);

}  // namespace colonnade::engine
