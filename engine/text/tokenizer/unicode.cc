#include "engine/text/tokenizer/unicode.h"

#include <unicode/brkiter.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>
#include <unicode/uscript.h>
#include <unicode/utext.h>

#include <algorithm>
#include <map>
#include <memory>

#include "engine/base/check.h"

namespace colonnade::engine {
namespace {

/// The flags of each general category.
std::uint16_t flags_of_category(UCharCategory category) {
  const unsigned mask = U_MASK(category);
  unsigned flags = 0;
  if (mask & U_GC_L_MASK) flags |= kLetter;
  if (mask & U_GC_N_MASK) flags |= kNumber;
  if (mask & U_GC_M_MASK) flags |= kMark | kAccent | kWord | kUpperLike | kLowerLike;
  if (mask & U_GC_P_MASK) flags |= kPunctuation | kBertPunctuation;
  if (mask & U_GC_S_MASK) flags |= kSymbol;
  if (mask & (U_GC_LU_MASK | U_GC_LT_MASK | U_GC_LM_MASK | U_GC_LO_MASK)) flags |= kUpperLike;
  if (mask & (U_GC_LL_MASK | U_GC_LM_MASK | U_GC_LO_MASK)) flags |= kLowerLike;
  if (mask & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) flags |= kBertControl;
  if (mask & U_GC_MN_MASK) flags |= kBertAccent;
  if (mask & (U_GC_ND_MASK | U_GC_PC_MASK)) flags |= kWord;
  return static_cast<std::uint16_t>(flags);
}

UBool add_range(const void* context, UChar32 first, UChar32 limit, UCharCategory category) {
  auto& flags = *static_cast<std::vector<std::uint16_t>*>(const_cast<void*>(context));
  std::fill(flags.begin() + first, flags.begin() + limit, flags_of_category(category));
  return true;
}

void add_set(std::vector<std::uint16_t>& flags, UProperty property, int value, unsigned flag) {
  UErrorCode status = U_ZERO_ERROR;
  icu::UnicodeSet set;
  set.applyIntPropertyValue(property, value, status);
  COLONNADE_CHECK(U_SUCCESS(status), "ICU knows the property");
  for (int32_t i = 0; i < set.getRangeCount(); ++i) {
    for (UChar32 c = set.getRangeStart(i); c <= set.getRangeEnd(i); ++c) {
      flags[static_cast<std::size_t>(c)] = static_cast<std::uint16_t>(flags[static_cast<std::size_t>(c)] | flag);
    }
  }
}

const icu::Normalizer2& normalizer_of(NormalForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* found = nullptr;
  switch (form) {
    case NormalForm::kNfc: found = icu::Normalizer2::getNFCInstance(status); break;
    case NormalForm::kNfd: found = icu::Normalizer2::getNFDInstance(status); break;
    case NormalForm::kNfkc: found = icu::Normalizer2::getNFKCInstance(status); break;
    case NormalForm::kNfkd: found = icu::Normalizer2::getNFKDInstance(status); break;
  }
  COLONNADE_CHECK(U_SUCCESS(status) && found != nullptr, "ICU has its normalization data");
  return *found;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

const CharSets& CharSets::get() {
  static const CharSets sets;
  return sets;
}

CharSets::CharSets() {
  std::vector<std::uint16_t> flags(0x110000);
  u_enumCharTypes(add_range, &flags);
  add_set(flags, UCHAR_WHITE_SPACE, 1, kWhiteSpace);
  add_set(flags, UCHAR_ALPHABETIC, 1, kWord);
  add_set(flags, UCHAR_JOIN_CONTROL, 1, kWord);
  add_set(flags, UCHAR_SCRIPT, USCRIPT_HAN, kHan);
  constexpr unsigned kBert = kBertPunctuation | kBertControl | kBertAccent;
  for (std::size_t c = 0; c < flags.size(); ++c) {
    if ((flags[c] & (kBert | kAccent)) == 0) continue;
    UVersionInfo age;
    u_charAge(static_cast<UChar32>(c), age);
    const unsigned newer = (age[0] > 8 ? kBert : 0) | (age[0] > 9 ? unsigned{kAccent} : 0);
    flags[c] = static_cast<std::uint16_t>(flags[c] & ~newer);
  }
  flags[0x166D] |= kBertPunctuation;  // became a symbol in Unicode 12
  std::map<std::vector<std::uint16_t>, std::uint16_t> known;
  for (std::size_t block = 0; block < index_.size(); ++block) {
    const auto begin = flags.begin() + static_cast<std::ptrdiff_t>(block << 8);
    const std::vector<std::uint16_t> content(begin, begin + 256);
    const auto [found, is_new] = known.try_emplace(content, static_cast<std::uint16_t>(known.size()));
    if (is_new) blocks_.insert(blocks_.end(), content.begin(), content.end());
    index_[block] = found->second;
  }
}

std::string normalize(std::string text, NormalForm form) {
  if (is_ascii(text)) return text;
  const icu::Normalizer2& normalizer = normalizer_of(form);
  UErrorCode status = U_ZERO_ERROR;
  if (normalizer.isNormalizedUTF8(text, status) && U_SUCCESS(status)) return text;
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  icu::StringByteSink<std::string> sink(&out);
  status = U_ZERO_ERROR;
  normalizer.normalizeUTF8(0, text, sink, nullptr, status);
  COLONNADE_CHECK(U_SUCCESS(status), "valid UTF-8 can be normalized");
  return out;
}

void append_lower_case(char32_t character, std::string& out) {
  if (character == 0x130) return static_cast<void>(out += "i\xCC\x87");  // the only one that becomes two
  append_utf8(static_cast<char32_t>(u_tolower(static_cast<UChar32>(character))), out);
}

std::vector<std::size_t> grapheme_ends(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  // Making one is slow, and one object serves one text at a time.
  thread_local const std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  COLONNADE_CHECK(U_SUCCESS(status), "ICU has its rules for grapheme clusters");
  UText input = UTEXT_INITIALIZER;
  utext_openUTF8(&input, text.data(), static_cast<std::int64_t>(text.size()), &status);
  breaks->setText(&input, status);
  COLONNADE_CHECK(U_SUCCESS(status), "a text can be read by ICU");
  std::vector<std::size_t> ends;
  breaks->first();
  for (std::int32_t end = breaks->next(); end != icu::BreakIterator::DONE; end = breaks->next()) {
    ends.push_back(static_cast<std::size_t>(end));
  }
  utext_close(&input);
  return ends;
}

int script_of(char32_t character) {
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(static_cast<UChar32>(character), &status);
  return U_FAILURE(status) || script == USCRIPT_UNKNOWN ? -1 : script;
}
int han_script() { return USCRIPT_HAN; }
bool is_kana_script(int script) { return script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA; }

}  // namespace colonnade::engine
