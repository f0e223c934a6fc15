// WordPiece: the longest token that a word begins with, then the longest of the rest; and WordLevel: words that are tokens.
#include <algorithm>
#include <utility>

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
  explicit WordPiece(WordPieceTables tables) : tables_(std::move(tables)) {}

  void tokenize(std::string_view word, std::vector<std::int32_t>& ids) const override {
    const std::size_t n_before = ids.size();
    bool known = word.size() <= tables_.most_characters || count_characters(word) <= tables_.most_characters;
    std::string spelled = tables_.start_prefix;
    for (std::size_t at = 0; known && at < word.size();) {
      const std::size_t prefix = spelled.size();
      const std::size_t longest = tables_.ids->longest_key();
      std::size_t size = std::min(word.size() - at, longest < prefix ? 0 : longest - prefix);
      spelled += word.substr(at, size);
      std::int32_t id = -1;
      for (; size > 0; --size) {
        spelled.resize(prefix + size);
        // Half characters are no tokens, but asking for them is cheaper than finding the borders.
        if ((id = tables_.ids->find(spelled)) >= 0) break;
      }
      known = id >= 0;
      if (known) ids.push_back(id);
      at += size;
      spelled = tables_.continuing_prefix;
    }
    if (known) return;
    ids.resize(n_before);
    if (tables_.unknown) ids.push_back(*tables_.unknown);
  }

 private:
  WordPieceTables tables_;
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

std::unique_ptr<TokenModel> make_word_piece(WordPieceTables tables) { return std::make_unique<WordPiece>(std::move(tables)); }
std::unique_ptr<TokenModel> make_word_level(std::shared_ptr<const StringIds> ids, std::optional<std::int32_t> unknown) {
  return std::make_unique<WordLevel>(std::move(ids), unknown);
}

}  // namespace colonnade::engine
