// The KV pages of layers with windows. Where they need fewer pages than the other layers, they have a pool and page tables of
// their own, in which the pages before a window are given back. Layers of different windows share one pool: that of the widest.
#pragma once

#include <algorithm>

#include "engine/base/page_window.h"
#include "engine/base/units.h"
#include "engine/kernels/kv_block.h"
#include "engine/model/config.h"

namespace colonnade::engine {

/// A conversation is taken to have this many tokens, or four windows: then windows of all conversations fit at once. A pool
/// for shorter ones would be as large as the other.
inline constexpr int kConversationTokens = 2048;
inline constexpr int kConversationWindows = 4;
/// As many windows there are at least.
inline constexpr int kFewestWindows = 4;

/// Pages of the pool of windowed layers beside n_pages for the others; 0: they use the pages of the others, because there are no
/// windows or little would be saved.
inline int window_pages(const ModelConfig& config, int n_pages, int max_step_tokens) {
  const int window = config.window_reach();
  if (window == 0) return 0;
  const int conversation = std::max(kConversationTokens, kConversationWindows * std::min(window, 1 << 20));
  const int windows = std::max(kFewestWindows, n_pages / (conversation / kPageTokens));
  const std::int64_t pages = std::int64_t{windows} * window_step_pages(1, window, kPageTokens) +
                             window_step_pages(max_step_tokens, window, kPageTokens);
  return pages < n_pages ? static_cast<int>(pages) : 0;
}

}  // namespace colonnade::engine
