#include "engine/text/tokenizer/sentencepiece.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/tokenizer/pipeline.h"

namespace colonnade::engine {
namespace {

bool can_be_in_text(PieceType type) {
  return type == PieceType::kNormal || type == PieceType::kUserDefined || type == PieceType::kUnused;
}

std::array<std::int32_t, 256> byte_ids(const SentencePieceFile& file) {
  std::array<std::int32_t, 256> ids = UnigramTables::no_byte_ids();
  for (std::size_t id = 0; id < file.pieces.size(); ++id) {
    const int byte = file.pieces[id].type == PieceType::kByte ? byte_of_token(file.pieces[id].content) : -1;
    if (byte >= 0) ids[static_cast<std::size_t>(byte)] = static_cast<std::int32_t>(id);
  }
  return ids;
}

Result<std::unique_ptr<TokenModel>> make_unigram_of(const SentencePieceFile& file, std::optional<std::int32_t> unknown) {
  UnigramTables tables;
  tables.unknown = unknown;
  tables.single_precision = true;
  if (file.byte_fallback) tables.byte_ids = byte_ids(file);
  for (const SentencePiece& piece : file.pieces) {
    const bool found = can_be_in_text(piece.type) && piece.type != PieceType::kUnused;
    tables.pieces.push_back({found ? piece.content : "", piece.score, piece.type == PieceType::kUserDefined});
  }
  return make_unigram(std::move(tables));
}

/// Any two neighbours that together are a piece merge, the piece with the highest score first.
Result<std::unique_ptr<TokenModel>> make_bpe_of(const SentencePieceFile& file, std::optional<std::int32_t> unknown,
                                                std::string_view name) {
  auto ids = std::make_shared<StringIds>();
  std::vector<std::int32_t> by_score;
  for (std::size_t id = 0; id < file.pieces.size(); ++id) {
    const SentencePiece& piece = file.pieces[id];
    if (piece.type == PieceType::kByte) ids->set(piece.content, static_cast<std::int32_t>(id));
    if (!can_be_in_text(piece.type)) continue;
    // It is split at every character to find the merges that lead to it.
    if (const Status size = check_token_size(piece.content); !size.ok()) {
      return Error{size.error().code, text(name, ": piece ", id, ": ", size.error().message)};
    }
    ids->set(piece.content, static_cast<std::int32_t>(id));
    by_score.push_back(static_cast<std::int32_t>(id));
  }
  const auto score = [&](std::int32_t id) { return file.pieces[static_cast<std::size_t>(id)].score; };
  std::stable_sort(by_score.begin(), by_score.end(), [&](std::int32_t a, std::int32_t b) { return score(a) > score(b); });

  BpeTables tables;
  tables.unknown = unknown;
  tables.fuse_unknown = true;
  tables.byte_fallback = file.byte_fallback;
  tables.first_character = static_cast<std::int32_t>(file.pieces.size());
  std::int32_t rank = 0;
  for (std::size_t i = 0; i < by_score.size(); ++i) {
    const std::int32_t id = by_score[i];
    // Equal scores go from left to right.
    if (i > 0 && score(by_score[i - 1]) != score(id)) ++rank;
    const std::string_view content = file.pieces[static_cast<std::size_t>(id)].content;
    const auto symbol_of = [&](std::string_view half) {
      const std::int32_t known = ids->find(half);
      if (known >= 0 || JointFilter::first_character(half).size() != half.size()) return known;
      // A character that is no token, but part of one.
      tables.characters.emplace_back(half);
      const auto symbol = static_cast<std::int32_t>(file.pieces.size() + tables.characters.size() - 1);
      ids->set(half, symbol);
      return symbol;
    };
    for (std::size_t at = JointFilter::first_character(content).size(); at < content.size();
         at += JointFilter::first_character(content.substr(at)).size()) {
      const std::int32_t left = symbol_of(content.substr(0, at));
      const std::int32_t right = left < 0 ? -1 : symbol_of(content.substr(at));
      if (right < 0) continue;
      tables.merges.add(left, right, rank, id);
      tables.joints.add(content.substr(0, at), content.substr(at));
      if (file.pieces[static_cast<std::size_t>(id)].type == PieceType::kUnused) tables.unused[id] = {left, right};
    }
  }
  tables.ids = std::move(ids);
  return make_bpe(std::move(tables));
}

Result<std::unique_ptr<TokenModel>> make_model(const SentencePieceFile& file, std::optional<std::int32_t> unknown,
                                               std::string_view name) {
  if (file.model == SentencePieceFile::Model::kUnigram) return make_unigram_of(file, unknown);
  if (file.model == SentencePieceFile::Model::kBpe) return make_bpe_of(file, unknown, name);
  return Error{ErrorCode::kUnsupported, text(name, ": trainer_spec.model_type must be 1 (Unigram) or 2 (BPE), found ",
                                             static_cast<int>(file.model))};
}

/// Control tokens are found in text only on request. User-defined ones are always found: by BPE in the normalised text,
/// by Unigram as pieces that win, and in GGUF before anything else.
void add_tokens(SentencePieceFile& file, Pipeline& pipeline) {
  std::vector<bool> described(file.pieces.size());
  for (AddedToken& token : file.added_tokens) {
    const auto index = static_cast<std::size_t>(token.id);
    if (index < described.size()) described[index] = true;
    pipeline.vocabulary.add(token.content, token.id);
    pipeline.raw_tokens.push_back(std::move(token));
  }
  for (std::size_t id = 0; id < file.pieces.size(); ++id) {
    const SentencePiece& piece = file.pieces[id];
    AddedToken token;
    token.id = static_cast<std::int32_t>(id);
    token.content = piece.content;
    token.special = piece.type == PieceType::kControl;
    if (described[id]) continue;
    if (token.special || (piece.type == PieceType::kUserDefined && file.segments_user_defined)) {
      pipeline.raw_tokens.push_back(std::move(token));
    } else if (piece.type == PieceType::kUserDefined && file.model == SentencePieceFile::Model::kBpe) {
      pipeline.normalized_tokens.push_back(std::move(token));
    }
  }
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_sentencepiece_tokenizer(SentencePieceFile file, std::string_view name) {
  Pipeline pipeline;
  std::optional<std::int32_t> unknown;
  std::vector<std::string> user_defined;
  for (std::size_t id = 0; id < file.pieces.size(); ++id) {
    const SentencePiece& piece = file.pieces[id];
    if (piece.content.empty()) {
      return Error{ErrorCode::kCorrupt, text(name, ": a piece must have at least one byte, piece ", id, " has none")};
    }
    if (pipeline.vocabulary.ids->find(piece.content) >= 0 && can_be_in_text(piece.type) && !file.segments_user_defined) {
      return Error{ErrorCode::kCorrupt, text(name, ": pieces must differ, piece ", id, " is there before")};
    }
    if (piece.type == PieceType::kUnknown && !unknown) unknown = static_cast<std::int32_t>(id);
    if (piece.type == PieceType::kUserDefined) user_defined.push_back(piece.content);
    pipeline.vocabulary.add(piece.content, static_cast<std::int32_t>(id));
  }
  auto map = Charsmap::parse(file.charsmap);
  if (!map.ok()) return Error{map.error().code, text(name, ": normalizer_spec: ", map.error().message)};
  const SpaceRules spaces{file.add_dummy_prefix, file.remove_extra_whitespaces, file.escape_whitespaces,
                          file.whitespace_as_suffix};
  COLONNADE_ASSIGN(pipeline.model, make_model(file, unknown, name));
  pipeline.normalizer.push_back(make_sentencepiece_normalizer(spaces, std::move(map).value(), user_defined));
  pipeline.decoder.push_back(make_sentencepiece_decoder(
      spaces, unknown ? file.pieces[static_cast<std::size_t>(*unknown)].content : "", file.unknown_surface, file.byte_fallback));
  const auto n_pieces = static_cast<std::int32_t>(file.pieces.size());
  std::vector<std::int32_t> before, after;
  if (file.add_bos && file.bos >= 0 && file.bos < n_pieces) before.push_back(file.bos);
  if (file.add_eos && file.eos >= 0 && file.eos < n_pieces) after.push_back(file.eos);
  pipeline.post_processor.push_back(make_surrounding(std::move(before), std::move(after)));
  add_tokens(file, pipeline);
  return make_tokenizer(std::move(pipeline), name);
}

}  // namespace colonnade::engine
