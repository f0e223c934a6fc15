#include "coordinator/cli/calibration_text.h"

#include <algorithm>

namespace colonnade::cli {
namespace {

/// No tokenizer makes longer tokens of ordinary text, on average.
constexpr std::size_t kBytesPerToken = 8;

/// The part of a text that a window is taken from, from the first whole line (or character) on.
std::string_view part(std::string_view text, std::size_t index, std::size_t count, std::size_t bytes) {
  std::size_t begin = text.size() / count * index;
  if (begin > 0) {
    const std::size_t line = text.find('\n', begin);
    if (line != std::string_view::npos && line - begin < bytes) begin = line + 1;
    while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) ++begin;
  }
  return text.substr(begin, std::min(bytes, text.size() / count));
}

}  // namespace

std::vector<std::vector<std::int32_t>> calibration_windows(const engine::Tokenizer& tokenizer, std::string_view text,
                                                           std::size_t count, std::size_t length) {
  const std::vector<std::int32_t> start = tokenizer.encode("", engine::SpecialTokens::kPlain, true);
  const std::size_t body = length > start.size() ? length - start.size() : 1;
  std::vector<std::vector<std::int32_t>> windows;
  const auto add = [&](const std::vector<std::int32_t>& tokens, std::size_t begin) {
    const std::size_t end = std::min(begin + body, tokens.size());
    if (begin >= end) return;
    std::vector<std::int32_t> window = start;
    window.insert(window.end(), tokens.begin() + static_cast<std::ptrdiff_t>(begin), tokens.begin() + static_cast<std::ptrdiff_t>(end));
    windows.push_back(std::move(window));
  };
  if (text.size() / kBytesPerToken >= count * body) {
    for (std::size_t i = 0; i < count; ++i)
      add(tokenizer.encode(part(text, i, count, body * kBytesPerToken), engine::SpecialTokens::kPlain, false), 0);
    return windows;
  }
  const std::vector<std::int32_t> tokens = tokenizer.encode(text, engine::SpecialTokens::kPlain, false);
  const std::size_t n = std::min(count, (tokens.size() + body - 1) / body);
  for (std::size_t i = 0; i < n; ++i) add(tokens, n * body >= tokens.size() ? i * body : i * (tokens.size() / n));
  return windows;
}

}  // namespace colonnade::cli
