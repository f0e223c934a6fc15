// The "model" of a tokenizer.json.
#include <array>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/tokenizer/byte_alphabet.h"
#include "engine/text/tokenizer/json_fields.h"
#include "engine/text/tokenizer/token_model.h"

namespace colonnade::engine {
namespace {

Status read_vocabulary(const Json& vocab, Vocabulary& vocabulary) {
  if (!vocab.is_object()) return wrong_field("model.vocab", "an object", vocab);
  vocabulary.tokens.reserve(vocab.size());
  for (const auto& [content, id] : vocab.items()) {
    // The place is made only when it is needed: there are hundreds of thousands of tokens.
    auto index = index_value(id, "");
    if (!index.ok()) return wrong_field(text("model.vocab[\"", content, "\"]"), "an integer from 0 to 2147483647", id);
    vocabulary.add(content, *index);
  }
  return {};
}

/// "a b" or ["a", "b"].
struct TokenPair {
  std::string_view left, right;
};
Result<TokenPair> read_merge(const Json& merge, std::size_t index) {
  if (merge.is_string()) {
    const std::string_view line = merge.get_ref<const std::string&>();
    const std::size_t space = line.find(' ');
    if (space == line.npos || line.find(' ', space + 1) != line.npos) {
      return wrong_field(text("model.merges[", index, "]"), "two tokens with one space between", merge);
    }
    return TokenPair{line.substr(0, space), line.substr(space + 1)};
  }
  if (!merge.is_array() || merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) {
    return wrong_field(text("model.merges[", index, "]"), "two tokens", merge);
  }
  return TokenPair{merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>()};
}

Status read_merges(const Json& merges, const StringIds& ids, BpeTables& tables) {
  if (!merges.is_array()) return wrong_field("model.merges", "a list", merges);
  tables.merges.reserve(merges.size());
  bool of_bytes = false;
  std::string joined;
  std::int32_t rank = 0;
  for (const Json& merge : merges) {
    // Old files begin with the first line of merges.txt.
    if (rank == 0 && merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version")) continue;
    COLONNADE_ASSIGN(const TokenPair pair, read_merge(merge, static_cast<std::size_t>(rank)));
    joined = pair.left;
    const bool continues = pair.right.starts_with(tables.continuing_prefix);
    joined += continues ? pair.right.substr(tables.continuing_prefix.size()) : pair.right;
    std::array<std::int32_t, 3> found{};
    std::size_t i = 0;
    for (const std::string_view content : {pair.left, pair.right, std::string_view(joined)}) {
      found[i] = ids.find(content);
      if (found[i++] < 0) {
        return wrong_field(text("model.merges[", rank, "]"), text("of tokens in model.vocab, which lacks \"", content, "\""),
                           merge);
      }
    }
    tables.merges.add(found[0], found[1], rank++, found[2], MergeTable::Repeated::kTakesLast);
    of_bytes = of_bytes || byte_of_token(pair.left) >= 0 || byte_of_token(pair.right) >= 0;
    if (!pair.left.empty() && !pair.right.empty()) tables.joints.add(pair.left, pair.right);
  }
  // Then what stands left and right of a joint in the text is not what the tokens spell.
  if (of_bytes || !tables.continuing_prefix.empty() || !tables.end_suffix.empty()) tables.joints = {};
  return {};
}

Result<std::string> optional_string(const Json& part, std::string_view name) {
  if (member_or_null(part, name).is_null()) return std::string();
  return string_member(part, name, "model");
}

/// The id of the token that "unk_token" names. A file may name one that its vocabulary lacks only where that never matters.
Result<std::optional<std::int32_t>> read_unknown(const Json& part, const StringIds& ids, bool must_exist) {
  const Json& unknown = member_or_null(part, "unk_token");
  if (unknown.is_null()) return std::optional<std::int32_t>();
  COLONNADE_ASSIGN(const std::string content, string_member(part, "unk_token", "model"));
  const std::int32_t id = ids.find(content);
  if (id >= 0) return std::optional(id);
  if (must_exist) return wrong_field("model.unk_token", "a token of model.vocab", unknown);
  return std::optional<std::int32_t>();
}

/// The vocabulary by bytes instead of letters. A token with other characters can come out of no word.
std::shared_ptr<StringIds> ids_by_bytes(const Vocabulary& vocabulary) {
  auto ids = std::make_shared<StringIds>();
  for (const auto& [content, id] : vocabulary.tokens) {
    if (const auto bytes = bytes_of_letters(content)) ids->set(*bytes, id);
  }
  return ids;
}

Result<std::unique_ptr<TokenModel>> make_json_bpe(const Json& part, bool bytes, Vocabulary& vocabulary) {
  BpeTables tables;
  COLONNADE_TRY(read_vocabulary(member_or_null(part, "vocab"), vocabulary));
  COLONNADE_ASSIGN(tables.continuing_prefix, optional_string(part, "continuing_subword_prefix"));
  COLONNADE_ASSIGN(tables.end_suffix, optional_string(part, "end_of_word_suffix"));
  COLONNADE_TRY(read_merges(member_or_null(part, "merges"), *vocabulary.ids, tables));
  COLONNADE_ASSIGN(tables.fuse_unknown, bool_member(part, "fuse_unk", "model", false));
  COLONNADE_ASSIGN(tables.ignore_merges, bool_member(part, "ignore_merges", "model", false));
  COLONNADE_ASSIGN(tables.byte_fallback, bool_member(part, "byte_fallback", "model", false));
  COLONNADE_ASSIGN(tables.unknown, read_unknown(part, *vocabulary.ids, true));
  tables.byte_symbols = bytes;
  if (bytes) tables.joints = {};  // they are of letters
  tables.ids = bytes ? ids_by_bytes(vocabulary) : vocabulary.ids;
  return make_bpe(std::move(tables));
}

Result<std::unique_ptr<TokenModel>> make_json_word_piece(const Json& part, Vocabulary& vocabulary) {
  COLONNADE_TRY(read_vocabulary(member_or_null(part, "vocab"), vocabulary));
  WordPieceTables tables;
  tables.vocabulary = &vocabulary.tokens;
  COLONNADE_ASSIGN(tables.unknown, read_unknown(part, *vocabulary.ids, false));
  if (!member_or_null(part, "continuing_subword_prefix").is_null()) {
    COLONNADE_ASSIGN(tables.continuing_prefix, string_member(part, "continuing_subword_prefix", "model"));
  } else {
    tables.continuing_prefix = "##";
  }
  if (const Json& most = member_or_null(part, "max_input_chars_per_word"); !most.is_null()) {
    COLONNADE_ASSIGN(const std::int32_t characters, index_value(most, "model.max_input_chars_per_word"));
    tables.most_characters = static_cast<std::size_t>(characters);
  }
  auto model = make_word_piece(tables);
  if (!model.ok()) return in_tokenizer_json("model", model.error());
  return model;
}

Result<std::unique_ptr<TokenModel>> make_json_unigram(const Json& part, Vocabulary& vocabulary) {
  const Json& vocab = member_or_null(part, "vocab");
  if (!vocab.is_array()) return wrong_field("model.vocab", "a list", vocab);
  UnigramTables tables;
  for (const Json& piece : vocab) {
    const std::size_t id = tables.pieces.size();
    if (!piece.is_array() || piece.size() != 2 || !piece[0].is_string() || !piece[1].is_number()) {
      return wrong_field(text("model.vocab[", id, "]"), "a token and its score", piece);
    }
    tables.pieces.push_back({piece[0].get<std::string>(), piece[1].get<double>(), false});
    vocabulary.add(tables.pieces.back().content, static_cast<std::int32_t>(id));
  }
  if (const Json& unknown = member_or_null(part, "unk_id"); !unknown.is_null()) {
    COLONNADE_ASSIGN(tables.unknown, index_value(unknown, "model.unk_id"));
    if (static_cast<std::size_t>(*tables.unknown) >= tables.pieces.size()) {
      return wrong_field("model.unk_id", text("below the ", tables.pieces.size(), " tokens of model.vocab"), unknown);
    }
  }
  COLONNADE_ASSIGN(const bool byte_fallback, bool_member(part, "byte_fallback", "model", false));
  for (unsigned byte = 0; byte_fallback && byte < 256; ++byte) {
    tables.byte_ids[byte] = vocabulary.ids->find(byte_token_content(byte));
  }
  auto model = make_unigram(std::move(tables));
  if (!model.ok()) return in_tokenizer_json("model", model.error());
  return model;
}

Result<std::unique_ptr<TokenModel>> make_json_word_level(const Json& part, Vocabulary& vocabulary) {
  COLONNADE_TRY(read_vocabulary(member_or_null(part, "vocab"), vocabulary));
  COLONNADE_ASSIGN(const auto unknown, read_unknown(part, *vocabulary.ids, false));
  return make_word_level(vocabulary.ids, unknown);
}

}  // namespace

bool words_may_be_bytes(const Json& model) {
  const auto is_empty = [&](std::string_view name) {
    const Json& value = member_or_null(model, name);
    return value.is_null() || value == "";
  };
  const Json& type = member_or_null(model, "type");
  const Json& fallback = member_or_null(model, "byte_fallback");
  return (type == "BPE" || type.is_null()) && is_empty("continuing_subword_prefix") && is_empty("end_of_word_suffix") &&
         (fallback.is_null() || fallback == false);
}

Result<std::unique_ptr<TokenModel>> make_token_model(const Json& part, bool bytes, Vocabulary& vocabulary) {
  if (!part.is_object()) return wrong_field("model", "an object", part);
  // Old files leave the type out.
  std::string type = "BPE";
  if (!member_or_null(part, "type").is_null() || !part.contains("merges")) {
    COLONNADE_ASSIGN(type, part_type(part, "model"));
  }
  if (type == "BPE") return make_json_bpe(part, bytes, vocabulary);
  if (type == "WordPiece") return make_json_word_piece(part, vocabulary);
  if (type == "Unigram") return make_json_unigram(part, vocabulary);
  if (type == "WordLevel") return make_json_word_level(part, vocabulary);
  return unsupported_part("model", type, "BPE, Unigram, WordPiece, WordLevel");
}

}  // namespace colonnade::engine
