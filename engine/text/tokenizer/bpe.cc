// Byte-pair encoding: the symbols of a word are looked up in the vocabulary, then merged by rank.
#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "engine/text/tokenizer/token_model.h"
#include "engine/text/utf8.h"

namespace colonnade::engine {
namespace {

class Bpe final : public TokenModel {
 public:
  explicit Bpe(BpeTables tables) : tables_(std::move(tables)), known_(tables_.ids->size() + 1024) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      one_byte_[byte] = tables_.ids->find(std::string_view(&c, 1));
      fallback_[byte] = tables_.byte_fallback ? tables_.ids->find(byte_token_content(byte)) : -1;
    }
    plain_symbols_ = tables_.continuing_prefix.empty() && tables_.end_suffix.empty();
  }

  void tokenize(std::string_view word, std::vector<std::int32_t>& ids) const override {
    if (tables_.ignore_merges) {
      if (const std::int32_t whole = tables_.ids->find(word); whole >= 0 && whole < tables_.first_character) {
        ids.push_back(whole);
        return;
      }
    }
    if (tables_.joints.empty()) return tokenize_part(word, ids);
    std::size_t begin = 0;
    std::string_view before = JointFilter::first_character(word);
    for (std::size_t at = before.size(); at < word.size();) {
      const std::string_view here = JointFilter::first_character(word.substr(at));
      // Unknown characters in a row belong together.
      if (!tables_.joints.may_join(before, here) && (is_known(before) || is_known(here))) {
        tokenize_part(word.substr(begin, at - begin), ids);
        begin = at;
      }
      at += here.size();
      before = here;
    }
    tokenize_part(word.substr(begin), ids);
  }

 private:
  static constexpr std::size_t kMostKept = 1 << 16;

  std::int32_t find_character(std::string_view character) const {
    return character.size() == 1 ? one_byte_[static_cast<unsigned char>(character[0])] : tables_.ids->find(character);
  }
  bool is_known(std::string_view character) const {
    const std::int32_t id = find_character(character);
    return id >= 0 && id < tables_.first_character;
  }

  void tokenize_part(std::string_view word, std::vector<std::int32_t>& ids) const {
    const std::int32_t whole = tables_.ids->find(word);
    if (whole >= 0 && comes_whole(word, whole)) {
      ids.push_back(whole);
      return;
    }
    thread_local std::vector<std::int32_t> symbols;
    merge(word, symbols);
    if (tables_.first_character == INT32_MAX && tables_.unused.empty()) {
      ids.insert(ids.end(), symbols.begin(), symbols.end());
    } else {
      for (const std::int32_t symbol : symbols) add_spelled(symbol, ids);
    }
    if (symbols.capacity() > kMostKept) symbols = {};
  }

  /// What is left of characters that are no tokens, and of tokens that are not used.
  void add_spelled(std::int32_t symbol, std::vector<std::int32_t>& ids) const {
    if (const auto parts = tables_.unused.find(symbol); parts != tables_.unused.end()) {
      add_spelled(parts->second.first, ids);
      add_spelled(parts->second.second, ids);
    } else if (symbol < tables_.first_character) {
      ids.push_back(symbol);
    } else {
      const std::string& spelled = tables_.characters[static_cast<std::size_t>(symbol - tables_.first_character)];
      if (has_bytes(spelled)) {
        for (const char byte : spelled) ids.push_back(fallback_[static_cast<unsigned char>(byte)]);
      } else if (tables_.unknown && (ids.empty() || ids.back() != *tables_.unknown || !tables_.fuse_unknown)) {
        ids.push_back(*tables_.unknown);
      }
    }
  }

  /// Whether the merges of a word that is a token give that token: nearly always, but not by necessity. Remembered for
  /// each token; threads that ask at the same time find the same.
  bool comes_whole(std::string_view word, std::int32_t id) const {
    enum : std::uint8_t { kNotAsked, kYes, kNo };
    const auto index = static_cast<std::size_t>(id);
    const bool remembers = index < known_.size();
    const std::uint8_t known = remembers ? known_[index].load(std::memory_order_relaxed) : std::uint8_t{kNotAsked};
    if (known != kNotAsked) return known == kYes;
    std::vector<std::int32_t> symbols;
    merge(word, symbols);
    const bool whole = symbols.size() == 1 && symbols[0] == id && id < tables_.first_character && !tables_.unused.contains(id);
    if (remembers) known_[index].store(whole ? kYes : kNo, std::memory_order_relaxed);
    return whole;
  }

  void merge(std::string_view word, std::vector<std::int32_t>& symbols) const {
    symbols.clear();
    bool unknown_waits = false;
    if (tables_.byte_symbols) {
      for (const char& byte : word) {
        add_symbol(one_byte_[static_cast<unsigned char>(byte)], std::string_view(&byte, 1), symbols, unknown_waits);
      }
    } else {
      add_characters(word, symbols, unknown_waits);
    }
    if (unknown_waits) symbols.push_back(*tables_.unknown);
    tables_.merges.apply(symbols);
  }

  void add_characters(std::string_view word, std::vector<std::int32_t>& symbols, bool& unknown_waits) const {
    for (std::size_t at = 0; at < word.size();) {
      const Utf8Head head = read_utf8(word.substr(at));
      const std::string_view character = word.substr(at, head.kind == Utf8Head::kCharacter ? head.size : 1);
      const bool first = at == 0;
      at += character.size();
      if (plain_symbols_) {
        add_symbol(find_character(character), character, symbols, unknown_waits);
        continue;
      }
      std::string spelled = first ? "" : tables_.continuing_prefix;
      spelled += character;
      if (at == word.size()) spelled += tables_.end_suffix;
      add_symbol(tables_.ids->find(spelled), spelled, symbols, unknown_waits);
    }
  }

  /// `id` is that of `spelled`, or -1. The unknown token waits for what follows, which may belong to it; as in the
  /// original, tokens of bytes do not end the wait.
  void add_symbol(std::int32_t id, std::string_view spelled, std::vector<std::int32_t>& symbols, bool& unknown_waits) const {
    if (id >= 0) {
      if (unknown_waits) symbols.push_back(*tables_.unknown);
      unknown_waits = false;
      symbols.push_back(id);
    } else if (has_bytes(spelled)) {
      for (const char byte : spelled) symbols.push_back(fallback_[static_cast<unsigned char>(byte)]);
    } else if (tables_.unknown) {
      // Without an unknown token the character is left out, as the file asks.
      if (unknown_waits && !tables_.fuse_unknown) symbols.push_back(*tables_.unknown);
      unknown_waits = true;
    }
  }

  bool has_bytes(std::string_view spelled) const {
    return tables_.byte_fallback && std::all_of(spelled.begin(), spelled.end(), [&](char byte) {
             return fallback_[static_cast<unsigned char>(byte)] >= 0;
           });
  }

  BpeTables tables_;
  bool plain_symbols_ = true;
  std::array<std::int32_t, 256> one_byte_{};  // ids of tokens of one byte, or -1
  std::array<std::int32_t, 256> fallback_{};  // ids of "<0x00>" …, or -1
  mutable std::vector<std::atomic<std::uint8_t>> known_;  // by id
};

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

std::string byte_token_content(unsigned byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte / 16], kDigits[byte % 16], '>'};
}

std::unique_ptr<TokenModel> make_bpe(BpeTables tables) { return std::make_unique<Bpe>(std::move(tables)); }

}  // namespace colonnade::engine
