// Tokenizers in the manner of SentencePiece, from a tokenizer.model or a GGUF vocabulary.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/tokenizer.h"
#include "engine/text/tokenizer/added_tokens.h"
#include "engine/text/tokenizer/charsmap.h"
#include "engine/text/tokenizer/normalizer.h"
#include "engine/text/tokenizer/token_decoder.h"

namespace colonnade::engine {

/// As in tokenizer.model and in tokenizer.ggml.token_type.
enum class PieceType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

struct SentencePiece {
  std::string content;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

/// What a tokenizer.model says.
struct SentencePieceFile {
  enum class Model { kUnigram = 1, kBpe = 2, kWord = 3, kCharacter = 4 };
  Model model = Model::kUnigram;
  std::vector<SentencePiece> pieces;  // by id
  bool byte_fallback = false;
  std::string unknown_surface = " \xE2\x81\x87 ";  // what the unknown token decodes to
  std::int32_t bos = 1, eos = 2;                   // -1: none
  std::string charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  bool whitespace_as_suffix = false;
  // What is not in a tokenizer.model.
  bool segments_user_defined = false;  // GGUF: user-defined tokens are cut out first, what is between is a text of its own
  bool add_bos = true, add_eos = false;
  std::vector<AddedToken> added_tokens;  // besides the control pieces
};

/// kCorrupt names the field. `name` stands for the file in messages.
Result<SentencePieceFile> read_sentencepiece_model(std::string_view bytes, std::string_view name);
Result<std::unique_ptr<Tokenizer>> make_sentencepiece_tokenizer(SentencePieceFile file, std::string_view name);

// Its parts, for make_sentencepiece_tokenizer.
struct SpaceRules {
  bool add_dummy_prefix, remove_extra, escape, as_suffix;
};
/// `untouched`: strings that the charsmap leaves alone.
std::unique_ptr<Normalizer> make_sentencepiece_normalizer(SpaceRules spaces, Charsmap map,
                                                          const std::vector<std::string>& untouched);
std::unique_ptr<DecoderStep> make_sentencepiece_decoder(SpaceRules spaces, std::string unknown_piece,
                                                        std::string unknown_surface, bool byte_fallback);

}  // namespace colonnade::engine
