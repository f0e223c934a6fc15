#include "engine/text/tokenizer/scanner.h"

#include <utility>

#include "engine/text/tokenizer/unicode.h"

namespace colonnade::engine {
namespace {

/// A place in a text and what stands there.
class Cursor {
 public:
  Cursor(std::string_view text, std::size_t at) : text_(text), next_(at), sets_(&CharSets::get()) { advance(); }

  std::size_t at() const { return at_; }
  bool done() const { return at_ == text_.size(); }
  char32_t character() const { return character_; }
  /// Whether the character is in one of the sets; never at the end.
  bool is(unsigned sets) const { return (flags_ & sets) != 0; }
  bool is_line_end() const { return character_ == '\n' || character_ == '\r'; }
  void advance() {
    at_ = next_;
    if (at_ < text_.size()) {
      character_ = next_character(text_, next_);
      flags_ = sets_->of(character_);
    } else {
      character_ = 0xFFFFFFFF;
      flags_ = 0;
    }
  }
  template <typename Condition>
  void skip_while(Condition condition) {
    while (!done() && condition(*this)) advance();
  }
  void skip(unsigned sets) {
    while (is(sets)) advance();
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t next_;
  const CharSets* sets_;
  char32_t character_ = 0;
  std::uint16_t flags_ = 0;
};

char32_t lower(char32_t c) {
  if (c >= 'A' && c <= 'Z') return c + ('a' - 'A');
  return c == 0x17F ? U's' : c;  // the long s is an s in another case
}

/// The end of 's, 't, 're, 've, 'm, 'll or 'd at the cursor, or 0.
std::size_t contraction_end(Cursor c, bool any_case) {
  if (c.character() != '\'') return 0;
  const auto letter = [&] { return any_case ? lower(c.character()) : c.character(); };
  c.advance();
  const char32_t first = letter();
  c.advance();
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return c.at();
  const char32_t second = letter();
  if (((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l')) {
    c.advance();
    return c.at();
  }
  return 0;
}

/// White space at the cursor: \s*[\r\n]+ (if `line_ends`), \s+(?!\S), \s+.
std::size_t space_end(Cursor c, bool line_ends) {
  std::size_t behind_line_end = 0;
  std::size_t last_begin = c.at();
  const std::size_t begin = c.at();
  while (c.is(kWhiteSpace)) {
    last_begin = c.at();
    const bool line_end = c.is_line_end();
    c.advance();
    if (line_end) behind_line_end = c.at();
  }
  if (line_ends && behind_line_end != 0) return behind_line_end;
  return c.done() || last_begin == begin ? c.at() : last_begin;
}

bool is_other(const Cursor& c) { return !c.done() && !c.is(kWhiteSpace | kLetter | kNumber); }

std::size_t scan_gpt2(std::string_view text, std::size_t at) {
  Cursor c(text, at);
  if (const std::size_t end = contraction_end(c, false)) return end;
  Cursor word = c;
  if (c.character() == ' ') word.advance();
  for (const unsigned kind : {kLetter, kNumber}) {
    if (word.is(kind)) {
      word.skip(kind);
      return word.at();
    }
  }
  if (is_other(word)) {
    word.skip_while(is_other);
    return word.at();
  }
  return space_end(c, false);
}

/// Up to `most` numbers, or 0 where there is none.
std::size_t number_end(Cursor c, int most) {
  if (!c.is(kNumber)) return 0;
  for (int i = 0; i < most && c.is(kNumber); ++i) c.advance();
  return c.at();
}

/// " ?[^\s\p{L}\p{N}]+[\r\n]*" (and '/' with `slashes`) and white space: how most patterns end.
std::size_t rest_end(const Cursor& c, bool slashes) {
  Cursor word = c;
  if (c.character() == ' ') word.advance();
  if (!is_other(word)) return space_end(c, true);
  word.skip_while(is_other);
  word.skip_while([&](const Cursor& one) { return one.is_line_end() || (slashes && one.character() == '/'); });
  return word.at();
}

bool may_lead_word(const Cursor& c) { return !c.done() && !c.is(kLetter | kNumber) && !c.is_line_end(); }

template <int kDigits>
std::size_t scan_llama3(std::string_view text, std::size_t at) {
  const Cursor c(text, at);
  if (const std::size_t end = contraction_end(c, true)) return end;
  Cursor word = c;
  if (may_lead_word(c)) word.advance();
  if (word.is(kLetter)) {
    word.skip(kLetter);
    return word.at();
  }
  if (const std::size_t end = number_end(c, kDigits)) return end;
  return rest_end(c, false);
}

/// [upper-like]*[lower-like]+ at the cursor, or 0.
std::size_t lower_word_end(Cursor c) {
  std::size_t after_both = 0;  // where the last character ends that is in both sets: [upper]* can leave it to [lower]+
  while (c.is(kUpperLike)) {
    const bool both = c.is(kLowerLike);
    c.advance();
    if (both) after_both = c.at();
  }
  if (!c.is(kLowerLike)) return after_both;
  c.skip(kLowerLike);
  return c.at();
}

template <int kDigits, bool kContractions>
std::size_t scan_o200k(std::string_view text, std::size_t at) {
  const Cursor c(text, at);
  Cursor after_lead = c;
  const bool has_lead = may_lead_word(c);
  if (has_lead) after_lead.advance();
  std::size_t end = has_lead ? lower_word_end(after_lead) : 0;
  if (end == 0) end = lower_word_end(c);
  for (const Cursor& start : {after_lead, c}) {
    if (end != 0) break;
    Cursor word = start;
    word.skip(kUpperLike);
    if (word.at() > start.at()) end = word.at();
  }
  if (end != 0) {
    const std::size_t contracted = kContractions && end < text.size() ? contraction_end(Cursor(text, end), true) : 0;
    return contracted != 0 ? contracted : end;
  }
  end = number_end(c, kDigits);
  return end != 0 ? end : rest_end(c, true);
}

bool is_ascii_letter(const Cursor& c) { return c.character() < 0x80 && c.is(kLetter); }

std::size_t scan_deepseek(std::string_view text, std::size_t at) {
  const Cursor c(text, at);
  if (c.character() < 0x80 && c.is(kPunctuation | kSymbol)) {
    Cursor word = c;
    word.advance();
    if (is_ascii_letter(word)) {
      word.skip_while(is_ascii_letter);
      return word.at();
    }
  }
  Cursor word = c;
  // A mark may lead a word or belong to it.
  if (!c.is(kLetter | kPunctuation | kSymbol) && !c.is_line_end()) word.advance();
  if (!word.is(kLetter | kMark)) word = c;
  if (word.is(kLetter | kMark)) {
    word.skip(kLetter | kMark);
    return word.at();
  }
  if (c.character() == ' ') word.advance();
  if (word.is(kPunctuation | kSymbol)) {
    word.skip(kPunctuation | kSymbol);
    word.skip_while([](const Cursor& one) { return one.is_line_end(); });
    return word.at();
  }
  if (c.is(kWhiteSpace)) return space_end(c, true);
  return at;  // a number or a control character: no match
}

}  // namespace

Scanner find_scanner(std::string_view pattern) {
  static constexpr std::pair<std::string_view, Scanner> kScanners[] = {
      {kGpt2Pattern, scan_gpt2},
      {kLlama3Pattern, scan_llama3<3>},
      {kQwen2Pattern, scan_llama3<1>},
      {kO200kPattern, scan_o200k<3, true>},
      {kTekkenPattern, scan_o200k<1, false>},
      {kDeepseekPattern, scan_deepseek},
      // As tiktoken writes them.
      {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", scan_gpt2},
      {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       scan_llama3<3>}};
  for (const auto& [known, scanner] : kScanners) {
    if (known == pattern) return scanner;
  }
  return nullptr;
}

}  // namespace colonnade::engine
