// How SentencePiece treats text before its model, and tokens on their way back to text.
#include <utility>

#include "engine/text/tokenizer/prefix_trie.h"
#include "engine/text/tokenizer/sentencepiece.h"
#include "engine/text/tokenizer/token_model.h"
#include "engine/text/tokenizer/unicode.h"
#include "engine/text/utf8.h"

namespace colonnade::engine {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // "▁"

class SentencePieceNormalizer final : public Normalizer {
 public:
  SentencePieceNormalizer(SpaceRules spaces, Charsmap map, const std::vector<std::string>& untouched)
      : spaces_(spaces), map_(std::move(map)) {
    for (const std::string& one : untouched) untouched_.insert(one, 0);
  }

  std::string apply(std::string text) const override {
    std::string_view rest = text;
    if (spaces_.remove_extra) {
      for (Prefix prefix = next(rest); !rest.empty() && prefix.becomes == " "; prefix = next(rest)) {
        rest.remove_prefix(prefix.size);
      }
    }
    if (rest.empty()) return {};
    std::string out;
    out.reserve(rest.size() + rest.size() / 2 + kSpaceSymbol.size());
    if (spaces_.add_dummy_prefix && !spaces_.as_suffix) append(" ", out);
    bool after_space = spaces_.remove_extra;
    while (!rest.empty()) {
      const Prefix prefix = next(rest);
      rest.remove_prefix(prefix.size);
      std::string_view becomes = prefix.becomes;
      while (after_space && becomes.starts_with(' ')) becomes.remove_prefix(1);
      if (becomes.empty()) continue;
      append(becomes, out);
      after_space = spaces_.remove_extra && becomes.ends_with(' ');
    }
    const std::string_view space = spaces_.escape ? kSpaceSymbol : " ";
    while (spaces_.remove_extra && out.ends_with(space)) out.resize(out.size() - space.size());
    if (spaces_.add_dummy_prefix && spaces_.as_suffix) append(" ", out);
    return map_.empty() || is_valid_utf8(out) ? out : replace_invalid_utf8(out);
  }

 private:
  struct Prefix {
    std::size_t size = 0;
    std::string_view becomes;
  };
  Prefix next(std::string_view text) const {
    if (text.empty()) return {};
    if (untouched_.may_begin(text[0])) {
      if (const std::size_t size = untouched_.longest_prefix(text).size; size != 0) return {size, text.substr(0, size)};
    }
    if (const Charsmap::Rule rule = map_.find(text, Charsmap::Prefer::kLongest); rule.size != 0) {
      return {rule.size, rule.replacement};
    }
    std::size_t size = 0;
    next_character(text, size);
    return {size, text.substr(0, size)};
  }
  void append(std::string_view text, std::string& out) const {
    if (!spaces_.escape || text.find(' ') == text.npos) {
      out += text;
      return;
    }
    for (const char c : text) {
      if (c == ' ') out += kSpaceSymbol;
      else out += c;
    }
  }

  SpaceRules spaces_;
  Charsmap map_;
  PrefixTrie untouched_;
};

class SentencePieceDecoder final : public DecoderStep {
 public:
  SentencePieceDecoder(SpaceRules spaces, std::string unknown_piece, std::string unknown_surface, bool byte_fallback)
      : spaces_(spaces),
        unknown_piece_(std::move(unknown_piece)),
        unknown_surface_(std::move(unknown_surface)),
        byte_fallback_(byte_fallback) {}

  std::string push(std::string piece) override {
    std::string out = decoded(piece);
    at_start_ = at_start_ && out.empty();
    return out;
  }
  std::unique_ptr<DecoderStep> fresh() const override {
    return std::make_unique<SentencePieceDecoder>(spaces_, unknown_piece_, unknown_surface_, byte_fallback_);
  }

 private:
  std::string decoded(std::string_view piece) {
    if (piece == unknown_piece_) return unknown_surface_;
    if (const int byte = byte_fallback_ ? byte_of_token(piece) : -1; byte >= 0) return std::string(1, static_cast<char>(byte));
    if (at_start_ && (spaces_.add_dummy_prefix || spaces_.remove_extra) && piece.starts_with(kSpaceSymbol)) {
      piece.remove_prefix(kSpaceSymbol.size());
      // Only one space is the one that was added; all are where they are taken away.
      at_start_ = spaces_.remove_extra;
    }
    return replace_all(std::string(piece), std::string(kSpaceSymbol), " ");
  }

  SpaceRules spaces_;
  std::string unknown_piece_;
  std::string unknown_surface_;
  bool byte_fallback_;
  bool at_start_ = true;
};

}  // namespace

std::unique_ptr<Normalizer> make_sentencepiece_normalizer(SpaceRules spaces, Charsmap map,
                                                          const std::vector<std::string>& untouched) {
  return std::make_unique<SentencePieceNormalizer>(spaces, std::move(map), untouched);
}
std::unique_ptr<DecoderStep> make_sentencepiece_decoder(SpaceRules spaces, std::string unknown_piece,
                                                        std::string unknown_surface, bool byte_fallback) {
  return std::make_unique<SentencePieceDecoder>(spaces, std::move(unknown_piece), std::move(unknown_surface), byte_fallback);
}

}  // namespace colonnade::engine
