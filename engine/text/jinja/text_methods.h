// What Python's str methods do to texts, for methods and filters alike. Marks follow the bytes.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "engine/text/jinja/context.h"

namespace colonnade::engine::jinja {

enum class Case { kUpper, kLower, kTitle, kCapitalize, kSwap, kFold };
MarkedText with_case(Context& context, const MarkedText& text, Case wanted);
bool is_lower_text(std::string_view text);
bool is_upper_text(std::string_view text);
bool is_title_text(std::string_view text);

enum class Side { kBoth, kLeft, kRight };
/// Without `letters`: white space.
MarkedText stripped(const MarkedText& text, Side side, const MarkedText* letters = nullptr);
/// The range of bytes that stripping leaves.
ByteRange strip_range(std::string_view text, Side side, std::string_view letters, bool white_space);

/// Byte ranges of the pieces; `most` splits at most, negative: all. Without a separator at runs of white space.
std::vector<ByteRange> split_ranges(Context& context, std::string_view text, const MarkedText* separator, std::int64_t most, bool from_right);
std::vector<ByteRange> line_ranges(std::string_view text, bool keep_ends);

MarkedText replaced(Context& context, const MarkedText& text, const MarkedText& from, const MarkedText& to, std::int64_t most);

/// Filled with `fill` to `width` letters: kLeft has the text on the left (ljust).
MarkedText padded(Context& context, const MarkedText& text, std::int64_t width, std::string_view fill, Side side);

/// text[start:stop] in letters as Python slices do, as bytes; nullopt when start lies behind the end.
std::optional<ByteRange> letter_range(std::string_view text, std::optional<std::int64_t> start, std::optional<std::int64_t> stop);

}  // namespace colonnade::engine::jinja
