#include "engine/text/jinja/letters.h"

#include <unicode/uchar.h>
#include <unicode/ustring.h>

#include "engine/text/utf8.h"

namespace colonnade::engine::jinja {
namespace {

UChar32 point(char32_t code) { return static_cast<UChar32>(code); }

bool in_categories(char32_t code, std::uint32_t mask) { return (U_GET_GC_MASK(point(code)) & mask) != 0; }

int numeric_type(char32_t code) { return u_getIntPropertyValue(point(code), UCHAR_NUMERIC_TYPE); }

using CaseFunction = std::int32_t (*)(UChar*, std::int32_t, const UChar*, std::int32_t, UErrorCode*);

std::string mapped(char32_t code, CaseFunction map) {
  UChar from[2], to[8];
  std::int32_t n_from = 0;
  U16_APPEND_UNSAFE(from, n_from, point(code));
  UErrorCode error = U_ZERO_ERROR;
  const std::int32_t n_to = map(to, 8, from, n_from, &error);
  std::string out;
  if (U_FAILURE(error)) {
    append_utf8(code, out);
    return out;
  }
  for (std::int32_t i = 0; i < n_to;) {
    UChar32 next;
    U16_NEXT(to, i, n_to, next);
    append_utf8(static_cast<char32_t>(next), out);
  }
  return out;
}

}  // namespace

Letter letter_at(std::string_view text, std::size_t position) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[position + i])); };
  if (byte(0) < 0x80) return {byte(0), 1};
  const Utf8Head head = read_utf8(text.substr(position, 4));
  if (head.kind != Utf8Head::kCharacter) return {0xFFFD, 1};
  switch (head.size) {
    case 2: return {(byte(0) & 0x1F) << 6 | (byte(1) & 0x3F), 2};
    case 3: return {(byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
    default: return {(byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
  }
}

std::size_t letter_before(std::string_view text, std::size_t end) {
  for (std::size_t size = 2; size <= 4 && size <= end; ++size) {
    if ((static_cast<unsigned char>(text[end - 1]) & 0xC0) != 0x80) break;
    if (letter_at(text.substr(0, end), end - size).size == size) return end - size;
  }
  return end - 1;
}

bool is_ascii(std::string_view text) {
  unsigned char bits = 0;
  for (const char c : text) bits |= static_cast<unsigned char>(c);
  return bits < 0x80;
}

std::size_t count_letters(std::string_view text) {
  if (is_ascii(text)) return text.size();
  std::size_t n = 0;
  for (std::size_t at = 0; at < text.size(); at += letter_at(text, at).size) ++n;
  return n;
}

std::size_t letter_offset(std::string_view text, std::size_t n) {
  std::size_t at = 0;
  for (; n > 0 && at < text.size(); --n) at += letter_at(text, at).size;
  return at;
}

bool is_space(char32_t code) {
  if (code < 0x80) return (code >= 9 && code <= 13) || (code >= 0x1C && code <= 0x20);
  const auto direction = u_charDirection(point(code));
  return u_charType(point(code)) == U_SPACE_SEPARATOR || direction == U_WHITE_SPACE_NEUTRAL ||
         direction == U_BLOCK_SEPARATOR || direction == U_SEGMENT_SEPARATOR;
}

bool is_line_break(char32_t code) {
  return (code >= 10 && code <= 13) || (code >= 0x1C && code <= 0x1E) || code == 0x85 || code == 0x2028 || code == 0x2029;
}

bool is_alpha(char32_t code) { return in_categories(code, U_GC_L_MASK); }
bool is_decimal(char32_t code) { return numeric_type(code) == U_NT_DECIMAL; }
bool is_digit(char32_t code) { return numeric_type(code) == U_NT_DECIMAL || numeric_type(code) == U_NT_DIGIT; }
bool is_numeric(char32_t code) { return numeric_type(code) != U_NT_NONE; }
bool is_lower(char32_t code) { return u_hasBinaryProperty(point(code), UCHAR_LOWERCASE) != 0; }
bool is_upper(char32_t code) { return u_hasBinaryProperty(point(code), UCHAR_UPPERCASE) != 0; }
bool is_title(char32_t code) { return u_charType(point(code)) == U_TITLECASE_LETTER; }
bool is_printable(char32_t code) {
  return code == ' ' || !in_categories(code, U_GC_C_MASK | U_GC_Z_MASK);
}
bool is_word(char32_t code) { return code == '_' || is_alpha(code) || is_numeric(code); }
bool is_identifier_start(char32_t code) { return code == '_' || u_hasBinaryProperty(point(code), UCHAR_XID_START) != 0; }
bool is_identifier_part(char32_t code) { return code == '_' || u_hasBinaryProperty(point(code), UCHAR_XID_CONTINUE) != 0; }
bool is_cased(char32_t code) { return u_hasBinaryProperty(point(code), UCHAR_CASED) != 0; }
bool is_case_ignorable(char32_t code) { return u_hasBinaryProperty(point(code), UCHAR_CASE_IGNORABLE) != 0; }
int decimal_value(char32_t code) { return is_decimal(code) ? u_charDigitValue(point(code)) : -1; }

std::string upper_of(char32_t code) {
  return mapped(code, [](UChar* to, std::int32_t n_to, const UChar* from, std::int32_t n_from, UErrorCode* error) {
    return u_strToUpper(to, n_to, from, n_from, "", error);
  });
}

std::string lower_of(char32_t code) {
  return mapped(code, [](UChar* to, std::int32_t n_to, const UChar* from, std::int32_t n_from, UErrorCode* error) {
    return u_strToLower(to, n_to, from, n_from, "", error);
  });
}

std::string title_of(char32_t code) {
  // ICU's title case skips what is no letter and needs a break iterator; the table of single letters and the few that
  // become several do not.
  const UChar32 simple = u_totitle(point(code));
  std::string upper = upper_of(code);
  if (simple != point(code) || count_letters(upper) == 1) {
    upper.clear();
    append_utf8(static_cast<char32_t>(simple), upper);
    return upper;
  }
  // "SS" → "Ss": the first letter stays, the others are lowered.
  const Letter first = letter_at(upper, 0);
  std::string out = upper.substr(0, first.size);
  for (std::size_t at = first.size; at < upper.size();) {
    const Letter next = letter_at(upper, at);
    out += lower_of(next.code);
    at += next.size;
  }
  return out;
}

std::string folded(char32_t code) {
  return mapped(code, [](UChar* to, std::int32_t n_to, const UChar* from, std::int32_t n_from, UErrorCode* error) {
    return u_strFoldCase(to, n_to, from, n_from, U_FOLD_CASE_DEFAULT, error);
  });
}

}  // namespace colonnade::engine::jinja
