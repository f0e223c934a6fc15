// Which KV pages a sliding window needs: the arithmetic that the coordinator and the ranks share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace colonnade {

/// The page of the first position that is seen from `position`; pages before it are needed no more.
constexpr int first_window_page(int position, int window_tokens, int page_tokens) {
  return std::max(0, position - window_tokens + 1) / page_tokens;
}

/// Pages that a step of n_tokens consecutive positions needs at most, wherever they begin.
constexpr int window_step_pages(int n_tokens, int window_tokens, int page_tokens) {
  const std::int64_t positions = std::int64_t{window_tokens} - 1 + n_tokens;  // a window may be as long as an int
  return static_cast<int>(std::min<std::int64_t>((positions + page_tokens - 2) / page_tokens + 1, std::numeric_limits<int>::max()));
}

}  // namespace colonnade
