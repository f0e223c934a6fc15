// Byte-pair encoding as tokenizer.json describes it: characters are looked up in the vocabulary, then merged by rank;
// a character that the vocabulary lacks becomes its bytes' tokens ("<0xE2>") or the unknown token.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/bpe_merge.h"
#include "engine/text/json_fields.h"
#include "engine/text/token_model.h"
#include "engine/text/utf8.h"

namespace colonnade::engine {
namespace {

struct BpeTables {
  TokenIds vocabulary;
  MergeTable merges;
  std::optional<std::int32_t> unknown;
  bool fuse_unknown = false;
  bool ignore_merges = false;
  std::array<std::int32_t, 256> byte_tokens{};  // -1 where the vocabulary has none, or without byte fallback
};

class Bpe final : public TokenModel {
 public:
  explicit Bpe(BpeTables tables) : tables_(std::move(tables)) {}

  void tokenize(std::string_view word, std::vector<std::int32_t>& ids) const override {
    if (tables_.ignore_merges) {
      if (const auto whole = tables_.vocabulary.find(word); whole != tables_.vocabulary.end()) {
        ids.push_back(whole->second);
        return;
      }
    }
    std::vector<std::int32_t> symbols = characters(word);
    tables_.merges.apply(symbols);
    ids.insert(ids.end(), symbols.begin(), symbols.end());
  }

  const TokenIds& vocabulary() const override { return tables_.vocabulary; }

 private:
  std::vector<std::int32_t> characters(std::string_view word) const {
    std::vector<std::int32_t> symbols;
    symbols.reserve(word.size());
    bool after_unknown = false;
    while (!word.empty()) {
      // A byte that is not UTF-8 is a character of its own.
      const Utf8Head head = read_utf8(word);
      const std::string_view character = word.substr(0, head.kind == Utf8Head::kCharacter ? head.size : 1);
      word.remove_prefix(character.size());
      bool known = true;
      if (const auto found = tables_.vocabulary.find(character); found != tables_.vocabulary.end()) {
        symbols.push_back(found->second);
      } else if (has_bytes(character)) {
        for (const char byte : character) symbols.push_back(byte_token(byte));
      } else {
        known = false;
        // Without an unknown token the character is left out, as the file asks.
        if (tables_.unknown && !(tables_.fuse_unknown && after_unknown)) symbols.push_back(*tables_.unknown);
      }
      after_unknown = !known;
    }
    return symbols;
  }

  std::int32_t byte_token(char byte) const { return tables_.byte_tokens[static_cast<unsigned char>(byte)]; }
  bool has_bytes(std::string_view character) const {
    return std::all_of(character.begin(), character.end(), [&](char byte) { return byte_token(byte) >= 0; });
  }

  BpeTables tables_;
};

Status read_vocabulary(const Json& vocab, TokenIds& ids) {
  if (!vocab.is_object()) return wrong_field("model.vocab", "an object", vocab);
  ids.reserve(vocab.size());
  for (const auto& [content, id] : vocab.items()) {
    COLONNADE_ASSIGN(ids[content], index_value(id, text("model.vocab[\"", content, "\"]")));
  }
  return {};
}

/// "a b" or ["a", "b"].
Result<std::pair<std::string, std::string>> read_merge(const Json& merge, std::size_t index) {
  const std::string place = text("model.merges[", index, "]");
  if (merge.is_string()) {
    const std::string& line = merge.get_ref<const std::string&>();
    const std::size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) {
      return wrong_field(place, "two tokens with one space between", merge);
    }
    return std::pair(line.substr(0, space), line.substr(space + 1));
  }
  if (!merge.is_array() || merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) {
    return wrong_field(place, "two tokens", merge);
  }
  return std::pair(merge[0].get<std::string>(), merge[1].get<std::string>());
}

Status read_merges(const Json& merges, const TokenIds& ids, MergeTable& table) {
  if (!merges.is_array()) return wrong_field("model.merges", "a list", merges);
  table.reserve(merges.size());
  std::int32_t rank = 0;
  for (const Json& merge : merges) {
    COLONNADE_ASSIGN(const auto pair, read_merge(merge, static_cast<std::size_t>(rank)));
    std::array<std::int32_t, 3> found{};
    std::size_t i = 0;
    for (const std::string& content : {pair.first, pair.second, pair.first + pair.second}) {
      const auto id = ids.find(content);
      if (id == ids.end()) {
        return wrong_field(text("model.merges[", rank, "]"), text("of tokens in model.vocab, which lacks \"", content, "\""),
                           merge);
      }
      found[i++] = id->second;
    }
    table.add(found[0], found[1], rank++, found[2]);
  }
  return {};
}

/// Options that change the result and that nothing here implements must be absent or empty.
Status refuse_unsupported(const Json& part) {
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json& value = member_or_null(part, name);
    if (!value.is_null() && value != "") return unsupported_part("model BPE", text("with ", name), "null");
  }
  const Json& dropout = member_or_null(part, "dropout");
  if (!dropout.is_null() && dropout != 0.0) return unsupported_part("model BPE", "with dropout", "null");
  return {};
}

std::string byte_token_content(std::size_t byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return text("<0x", kDigits[byte / 16], kDigits[byte % 16], ">");
}

}  // namespace

int byte_of_token(std::string_view content) {
  if (content.size() != 6 || !content.starts_with("<0x") || content[5] != '>') return -1;
  int value = 0;
  for (const char digit : content.substr(3, 2)) {
    value *= 16;
    if (digit >= '0' && digit <= '9') value += digit - '0';
    else if (digit >= 'A' && digit <= 'F') value += digit - 'A' + 10;
    else if (digit >= 'a' && digit <= 'f') value += digit - 'a' + 10;
    else return -1;
  }
  return value;
}

Result<std::unique_ptr<TokenModel>> make_token_model(const Json& part) {
  if (!part.is_object()) return wrong_field("model", "an object", part);
  // Old files leave the type of BPE out.
  const bool untyped = member_or_null(part, "type").is_null() && part.contains("merges");
  if (!untyped) {
    COLONNADE_ASSIGN(const std::string type, part_type(part, "model"));
    if (type != "BPE") return unsupported_part("model", type, "BPE");
  }
  COLONNADE_TRY(refuse_unsupported(part));
  BpeTables tables;
  COLONNADE_TRY(read_vocabulary(member_or_null(part, "vocab"), tables.vocabulary));
  COLONNADE_TRY(read_merges(member_or_null(part, "merges"), tables.vocabulary, tables.merges));
  COLONNADE_ASSIGN(tables.fuse_unknown, bool_member(part, "fuse_unk", "model", false));
  COLONNADE_ASSIGN(tables.ignore_merges, bool_member(part, "ignore_merges", "model", false));
  COLONNADE_ASSIGN(const bool byte_fallback, bool_member(part, "byte_fallback", "model", false));
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const auto found = tables.vocabulary.find(byte_token_content(byte));
    tables.byte_tokens[byte] = byte_fallback && found != tables.vocabulary.end() ? found->second : -1;
  }
  if (const Json& unknown = member_or_null(part, "unk_token"); !unknown.is_null()) {
    COLONNADE_ASSIGN(const std::string content, string_member(part, "unk_token", "model"));
    const auto found = tables.vocabulary.find(content);
    if (found == tables.vocabulary.end()) return wrong_field("model.unk_token", "a token of model.vocab", unknown);
    tables.unknown = found->second;
  }
  return std::unique_ptr<TokenModel>(std::make_unique<Bpe>(std::move(tables)));
}

}  // namespace colonnade::engine
