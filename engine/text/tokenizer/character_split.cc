// Pre-tokenizers that go by what single characters are.
#include <utility>

#include "engine/text/tokenizer/pre_tokenizer.h"
#include "engine/text/tokenizer/unicode.h"

namespace colonnade::engine {
namespace {

/// Calls visit(begin, end, sets) for every character.
template <typename Visit>
void for_each_character(std::string_view text, Visit visit) {
  const CharSets& sets = CharSets::get();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t character = next_character(text, at);
    visit(begin, at, character, sets.of(character));
  }
}

bool is_bert_punctuation(char32_t character, unsigned sets) {
  return (sets & kBertPunctuation) != 0 || (character < 0x80 && (sets & kSymbol) != 0);
}

/// What becomes of a character.
enum class Kind { kGap, kAlone, kFirstRun, kSecondRun };

Kind kind_of(CharacterSplit split, char32_t character, unsigned sets) {
  const bool space = (sets & kWhiteSpace) != 0;
  switch (split) {
    case CharacterSplit::kBert:
      return space ? Kind::kGap : is_bert_punctuation(character, sets) ? Kind::kAlone : Kind::kFirstRun;
    case CharacterSplit::kDigits: return (sets & kNumber) != 0 ? Kind::kAlone : Kind::kFirstRun;
    case CharacterSplit::kDigitRuns: return (sets & kNumber) != 0 ? Kind::kSecondRun : Kind::kFirstRun;
    case CharacterSplit::kWhitespace:
      return space ? Kind::kGap : (sets & kWord) != 0 ? Kind::kFirstRun : Kind::kSecondRun;
    case CharacterSplit::kWhitespaceSplit: return space ? Kind::kGap : Kind::kFirstRun;
  }
  return Kind::kFirstRun;
}

class KindSplit final : public PreTokenizer {
 public:
  explicit KindSplit(CharacterSplit split) : split_(split) {}

  void apply(Pieces& pieces) const override {
    pieces.cut_each([&](const Piece& piece, auto add) {
      std::size_t begin = 0;
      Kind before = Kind::kGap;
      for_each_character(piece.text, [&](std::size_t at, std::size_t, char32_t character, unsigned sets) {
        const Kind kind = kind_of(split_, character, sets);
        if (kind != before || kind == Kind::kAlone) {
          if (before != Kind::kGap) add(piece.text.substr(begin, at - begin));
          begin = at;
          before = kind;
        }
      });
      if (before != Kind::kGap) add(piece.text.substr(begin));
    });
  }

 private:
  CharacterSplit split_;
};

class PunctuationSplit final : public PreTokenizer {
 public:
  explicit PunctuationSplit(SplitBehavior behavior) : behavior_(behavior) {}

  void apply(Pieces& pieces) const override {
    std::vector<Segment> segments;
    pieces.cut_each([&](const Piece& piece, auto add) {
      segments.clear();
      std::size_t done = 0;
      for_each_character(piece.text, [&](std::size_t at, std::size_t end, char32_t character, unsigned sets) {
        if (!is_bert_punctuation(character, sets)) return;
        if (at > done) segments.push_back({piece.text.substr(done, at - done), false});
        segments.push_back({piece.text.substr(at, end - at), true});
        done = end;
      });
      if (done < piece.text.size()) segments.push_back({piece.text.substr(done), false});
      add_segments(segments, behavior_, add);
    });
  }

 private:
  SplitBehavior behavior_;
};

/// Cuts where the script changes. A space has any script; kana count as Han. As in the original, spaces before the
/// first other character are lost.
class ScriptSplit final : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    constexpr int kNone = -2;
    constexpr int kAny = -1;
    pieces.cut_each([&](const Piece& piece, auto add) {
      int last = kNone;
      std::size_t begin = piece.text.size();
      for_each_character(piece.text, [&](std::size_t at, std::size_t, char32_t character, unsigned) {
        int script = character == ' ' ? kAny : script_of(character);
        if (character == 0x30FC || is_kana_script(script)) script = han_script();
        if (script == kAny) return;
        if (script != last) {
          if (last != kNone) add(piece.text.substr(begin, at - begin));
          begin = at;
        }
        last = script;
      });
      add(piece.text.substr(begin));
    });
  }
};

class FixedLength final : public PreTokenizer {
 public:
  explicit FixedLength(std::size_t n_characters) : n_characters_(n_characters) {}

  void apply(Pieces& pieces) const override {
    pieces.cut_each([&](const Piece& piece, auto add) {
      std::size_t begin = 0;
      std::size_t n = 0;
      for_each_character(piece.text, [&](std::size_t, std::size_t end, char32_t, unsigned) {
        if (++n < n_characters_) return;
        add(piece.text.substr(begin, end - begin));
        begin = end;
        n = 0;
      });
      add(piece.text.substr(begin));
    });
  }

 private:
  std::size_t n_characters_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_character_split(CharacterSplit kind) { return std::make_unique<KindSplit>(kind); }
std::unique_ptr<PreTokenizer> make_punctuation_split(SplitBehavior behavior) {
  return std::make_unique<PunctuationSplit>(behavior);
}
std::unique_ptr<PreTokenizer> make_script_split() { return std::make_unique<ScriptSplit>(); }
std::unique_ptr<PreTokenizer> make_fixed_length(std::size_t n_characters) {
  return std::make_unique<FixedLength>(n_characters);
}

}  // namespace colonnade::engine
