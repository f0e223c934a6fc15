#include "engine/text/jinja/text_methods.h"

#include <algorithm>

#include "engine/text/jinja/error.h"
#include "engine/text/jinja/letters.h"

namespace colonnade::engine::jinja {
namespace {

constexpr char32_t kCapitalSigma = 0x3A3;

/// Σ is lowered to ς at the end of a word, else to σ (Unicode's Final_Sigma).
bool is_final_sigma(std::string_view text, std::size_t at, std::size_t size) {
  bool cased_before = false;
  for (std::size_t i = at; i > 0;) {
    i = letter_before(text, i);
    const char32_t code = letter_at(text, i).code;
    if (is_case_ignorable(code)) continue;
    cased_before = is_cased(code);
    break;
  }
  if (!cased_before) return false;
  for (std::size_t i = at + size; i < text.size(); i += letter_at(text, i).size) {
    const char32_t code = letter_at(text, i).code;
    if (!is_case_ignorable(code)) return !is_cased(code);
  }
  return true;
}

std::string lowered(std::string_view text, std::size_t at, const Letter& letter) {
  if (letter.code == kCapitalSigma) return is_final_sigma(text, at, letter.size) ? "\u03c2" : "\u03c3";
  return lower_of(letter.code);
}

/// The first letter of a word in `title`, all others lower: per letter, given whether the one before is cased.
std::string cased(std::string_view text, std::size_t at, const Letter& letter, Case wanted, bool after_cased) {
  switch (wanted) {
    case Case::kUpper: return upper_of(letter.code);
    case Case::kLower: return lowered(text, at, letter);
    case Case::kFold: return folded(letter.code);
    case Case::kSwap: return is_upper(letter.code) ? lowered(text, at, letter) : is_lower(letter.code) ? upper_of(letter.code) : "";
    case Case::kCapitalize: return at == 0 ? title_of(letter.code) : lowered(text, at, letter);
    case Case::kTitle: return after_cased ? lowered(text, at, letter) : title_of(letter.code);
  }
  return "";
}

char ascii_cased(char c, Case wanted, bool first, bool after_cased) {
  const bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z';
  bool want_upper = false;
  switch (wanted) {
    case Case::kUpper: want_upper = true; break;
    case Case::kSwap: want_upper = lower; break;
    case Case::kCapitalize: want_upper = first; break;
    case Case::kTitle: want_upper = !after_cased; break;
    default: break;
  }
  if (want_upper) return lower ? static_cast<char>(c - 32) : c;
  return upper ? static_cast<char>(c + 32) : c;
}

template <typename Accepts>
bool cased_as(std::string_view text, Accepts accepts, bool (*refused)(char32_t)) {
  bool any = false;
  for (std::size_t at = 0; at < text.size();) {
    const Letter letter = letter_at(text, at);
    if (refused(letter.code) || is_title(letter.code)) return false;
    any = any || accepts(letter.code);
    at += letter.size;
  }
  return any;
}

}  // namespace

MarkedText with_case(Context& context, const MarkedText& text, Case wanted) {
  TextBuilder out(context);
  bool after_cased = false;
  for (std::size_t at = 0; at < text.size();) {
    const Letter letter = letter_at(text.view(), at);
    std::string mapped;
    if (letter.code < 0x80) mapped = std::string(1, ascii_cased(static_cast<char>(letter.code), wanted, at == 0, after_cased));
    else mapped = cased(text.view(), at, letter, wanted, after_cased);
    if (mapped.empty()) out.append(text, at, at + letter.size);
    else out.append_as(mapped, text, at, at + letter.size);
    if (wanted == Case::kTitle) {
      after_cased = is_cased(letter.code);
    }
    at += letter.size;
  }
  return out.take();
}

bool is_lower_text(std::string_view text) { return cased_as(text, is_lower, is_upper); }

bool is_upper_text(std::string_view text) { return cased_as(text, is_upper, is_lower); }

bool is_title_text(std::string_view text) {
  bool any = false, after_cased = false;
  for (std::size_t at = 0; at < text.size();) {
    const Letter letter = letter_at(text, at);
    const bool begins = is_upper(letter.code) || is_title(letter.code);
    const bool goes_on = is_lower(letter.code);
    if (begins ? after_cased : goes_on && !after_cased) return false;
    after_cased = begins || goes_on;
    any = any || after_cased;
    at += letter.size;
  }
  return any;
}

ByteRange strip_range(std::string_view text, Side side, std::string_view letters, bool white_space) {
  const auto goes = [&](std::size_t at, std::size_t size) {
    if (white_space) return is_space(letter_at(text, at).code);
    const std::string_view one = text.substr(at, size);
    for (std::size_t i = 0; i < letters.size();) {
      const std::size_t n = letter_at(letters, i).size;
      if (letters.substr(i, n) == one) return true;
      i += n;
    }
    return false;
  };
  ByteRange range{0, text.size()};
  if (side != Side::kRight) {
    while (range.begin < range.end) {
      const std::size_t size = letter_at(text, range.begin).size;
      if (!goes(range.begin, size)) break;
      range.begin += size;
    }
  }
  if (side != Side::kLeft) {
    while (range.end > range.begin) {
      const std::size_t last = letter_before(text, range.end);
      if (!goes(last, range.end - last)) break;
      range.end = last;
    }
  }
  return range;
}

MarkedText stripped(const MarkedText& text, Side side, const MarkedText* letters) {
  const ByteRange range = strip_range(text.view(), side, letters != nullptr ? letters->view() : "", letters == nullptr);
  return text.part(range.begin, range.end);
}

std::vector<ByteRange> split_ranges(Context& context, std::string_view text, const MarkedText* separator, std::int64_t most,
                                    bool from_right) {
  context.budget.step_bytes(text.size());
  std::vector<ByteRange> pieces;
  const auto may_split = [&] { return most < 0 || static_cast<std::int64_t>(pieces.size()) < most; };
  if (separator != nullptr) {
    const std::string_view between = separator->view();
    if (between.empty()) fail("empty separator");
    std::size_t begin = 0, end = text.size();
    while (may_split()) {
      const std::size_t found = from_right ? text.substr(0, end).rfind(between) : text.find(between, begin);
      if (found == std::string_view::npos) break;
      context.budget.step();
      if (from_right) {
        pieces.push_back({found + between.size(), end});
        end = found;
      } else {
        pieces.push_back({begin, found});
        begin = found + between.size();
      }
    }
    pieces.push_back({begin, end});
    if (from_right) std::reverse(pieces.begin(), pieces.end());
    return pieces;
  }
  std::string_view rest = text;
  const auto base = [&] { return static_cast<std::size_t>(rest.data() - text.data()); };
  const auto strip = [&](Side side) {
    const ByteRange range = strip_range(rest, side, "", true);
    rest = rest.substr(range.begin, range.end - range.begin);
  };
  strip(from_right ? Side::kRight : Side::kLeft);
  while (!rest.empty()) {
    context.budget.step();
    if (!may_split()) {
      // The rest as it is but for the side that splitting comes from: "a b " split once gives "b ".
      pieces.push_back(from_right ? ByteRange{0, base() + rest.size()} : ByteRange{base(), text.size()});
      break;
    }
    std::size_t at = from_right ? rest.size() : 0;
    if (from_right) {
      while (at > 0 && !is_space(letter_at(rest, letter_before(rest, at)).code)) at = letter_before(rest, at);
      pieces.push_back({base() + at, base() + rest.size()});
      rest = rest.substr(0, at);
      strip(Side::kRight);
    } else {
      while (at < rest.size() && !is_space(letter_at(rest, at).code)) at += letter_at(rest, at).size;
      pieces.push_back({base(), base() + at});
      rest = rest.substr(at);
      strip(Side::kLeft);
    }
  }
  if (from_right) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

std::vector<ByteRange> line_ranges(std::string_view text, bool keep_ends) {
  std::vector<ByteRange> lines;
  for (std::size_t begin = 0, at = 0; at < text.size();) {
    const Letter letter = letter_at(text, at);
    std::size_t after = at + letter.size;
    if (is_line_break(letter.code)) {
      if (letter.code == '\r' && after < text.size() && text[after] == '\n') ++after;
      lines.push_back({begin, keep_ends ? after : at});
      begin = after;
    } else if (after == text.size()) {
      lines.push_back({begin, after});
    }
    at = after;
  }
  return lines;
}

MarkedText replaced(Context& context, const MarkedText& text, const MarkedText& from, const MarkedText& to, std::int64_t most) {
  context.budget.step_bytes(text.size());
  TextBuilder out(context);
  std::size_t begin = 0;
  if (from.empty()) {
    // Before every letter and at the end.
    for (std::size_t at = 0; most != 0; --most) {
      context.budget.step();
      out.append(to);
      if (at == text.size()) return out.take();
      const std::size_t size = letter_at(text.view(), at).size;
      out.append(text, at, at + size);
      at += size;
      begin = at;
    }
  } else {
    for (; most != 0; --most) {
      const std::size_t found = text.view().find(from.view(), begin);
      if (found == std::string_view::npos) break;
      context.budget.step();
      out.append(text, begin, found);
      out.append(to);
      begin = found + from.size();
    }
  }
  out.append(text, begin, text.size());
  return out.take();
}

MarkedText padded(Context& context, const MarkedText& text, std::int64_t width, std::string_view fill, Side side) {
  const auto letters = static_cast<std::int64_t>(count_letters(text.view()));
  const std::int64_t missing = width > letters ? width - letters : 0;
  // Where str.center puts the odd one.
  const std::int64_t left = side == Side::kLeft ? 0 : side == Side::kRight ? missing : missing / 2 + (missing & width & 1);
  TextBuilder out(context);
  out.repeat(fill, left);
  out.append(text);
  out.repeat(fill, missing - left);
  return out.take();
}

std::optional<ByteRange> letter_range(std::string_view text, std::optional<std::int64_t> start, std::optional<std::int64_t> stop) {
  const auto n = static_cast<std::int64_t>(count_letters(text));
  const auto clamped = [&](std::int64_t i) { return i < 0 ? std::max<std::int64_t>(i + n, 0) : i; };
  const std::int64_t from = clamped(start.value_or(0));
  const std::int64_t to = std::min(clamped(stop.value_or(n)), n);
  if (from > n || from > to) return std::nullopt;
  return ByteRange{letter_offset(text, static_cast<std::size_t>(from)), letter_offset(text, static_cast<std::size_t>(to))};
}

}  // namespace colonnade::engine::jinja
