// Characters as Python's str sees them: code points with Unicode's properties and case mappings. The only place of the
// interpreter that knows Unicode tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/text/utf8.h"

namespace colonnade::engine::jinja {

/// A code point and the bytes it takes; what is no UTF-8 counts as U+FFFD, byte by byte.
struct Letter {
  char32_t code;
  std::size_t size;
};
/// `position` is below text.size().
Letter letter_at(std::string_view text, std::size_t position);
/// Where the letter that ends at `end` begins; end > 0.
std::size_t letter_before(std::string_view text, std::size_t end);

bool is_ascii(std::string_view text);
std::size_t count_letters(std::string_view text);
/// The byte where letter `n` begins; text.size() when there are no more than n.
std::size_t letter_offset(std::string_view text, std::size_t n);

bool is_space(char32_t code);  // str.isspace, str.strip, and \s
bool is_line_break(char32_t code);  // str.splitlines
bool is_alpha(char32_t code);
bool is_decimal(char32_t code);
bool is_digit(char32_t code);
bool is_numeric(char32_t code);
bool is_lower(char32_t code);
bool is_upper(char32_t code);
bool is_title(char32_t code);
bool is_printable(char32_t code);
bool is_word(char32_t code);  // \w
bool is_identifier_start(char32_t code);
bool is_identifier_part(char32_t code);
bool is_cased(char32_t code);
bool is_case_ignorable(char32_t code);
/// -1 when it is no decimal digit.
int decimal_value(char32_t code);

// One letter may become several.
std::string upper_of(char32_t code);
std::string lower_of(char32_t code);
std::string title_of(char32_t code);
std::string folded(char32_t code);

}  // namespace colonnade::engine::jinja
