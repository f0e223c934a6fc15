// WordPiece: the longest token that a word begins with, then the longest of the rest; and WordLevel: words that are tokens.
#include <algorithm>
#include <utility>

#include "engine/text/tokenizer/prefix_trie.h"
#include "engine/text/tokenizer/token_model.h"
#include "engine/text/utf8.h"

namespace colonnade::engine {
namespace {

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

class WordPiece final : public TokenModel {
 public:
  WordPiece(PrefixTrie first, PrefixTrie continuing, const WordPieceTables& tables)
      : first_(std::move(first)),
        continuing_(std::move(continuing)),
        unknown_(tables.unknown),
        most_characters_(tables.most_characters) {}

  void tokenize(std::string_view word, std::vector<std::int32_t>& ids) const override {
    const std::size_t n_before = ids.size();
    bool known = word.size() <= most_characters_ || count_characters(word) <= most_characters_;
    for (std::size_t at = 0; known && at < word.size();) {
      const PrefixTrie::Found found = (at == 0 ? first_ : continuing_).longest_prefix(word.substr(at));
      known = found.size != 0;
      if (known) ids.push_back(found.value);
      at += found.size;
    }
    if (known) return;
    ids.resize(n_before);
    if (unknown_) ids.push_back(*unknown_);
  }

 private:
  PrefixTrie first_;
  PrefixTrie continuing_;
  std::optional<std::int32_t> unknown_;
  std::size_t most_characters_;
};

class WordLevel final : public TokenModel {
 public:
  WordLevel(std::shared_ptr<const StringIds> ids, std::optional<std::int32_t> unknown)
      : ids_(std::move(ids)), unknown_(unknown) {}

  void tokenize(std::string_view word, std::vector<std::int32_t>& ids) const override {
    const std::int32_t id = ids_->find(word);
    if (id >= 0) ids.push_back(id);
    else if (unknown_) ids.push_back(*unknown_);
  }

 private:
  std::shared_ptr<const StringIds> ids_;
  std::optional<std::int32_t> unknown_;
};

}  // namespace

Result<std::unique_ptr<TokenModel>> make_word_piece(const WordPieceTables& tables) {
  PrefixTrie first, continuing;
  // Of tokens with the same content the last one counts.
  for (auto token = tables.vocabulary->rbegin(); token != tables.vocabulary->rend(); ++token) {
    const std::string_view content = token->content;
    COLONNADE_TRY(check_token_size(content));
    for (const auto& [prefix, trie] : {std::pair{&tables.start_prefix, &first}, std::pair{&tables.continuing_prefix, &continuing}}) {
      if (!content.starts_with(*prefix) || content.size() == prefix->size()) continue;
      if (!trie->insert(content.substr(prefix->size()), token->id)) return too_large_vocabulary();
    }
  }
  return std::unique_ptr<TokenModel>(std::make_unique<WordPiece>(std::move(first), std::move(continuing), tables));
}
std::unique_ptr<TokenModel> make_word_level(std::shared_ptr<const StringIds> ids, std::optional<std::int32_t> unknown) {
  return std::make_unique<WordLevel>(std::move(ids), unknown);
}

}  // namespace colonnade::engine
