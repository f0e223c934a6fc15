#include "engine/text/chat_output/marked_stage.h"

#include <algorithm>

namespace colonnade::engine {
namespace {

/// How much of the end of `text` may be the beginning of a marker.
std::size_t open_end(std::string_view text, std::span<const std::string_view> markers) {
  std::size_t longest = 0;
  for (const std::string_view marker : markers) {
    std::size_t size = std::min(marker.size() - 1, text.size());
    while (size > longest && !text.ends_with(marker.substr(0, size))) --size;
    longest = std::max(longest, size);
  }
  return longest;
}

}  // namespace

void MarkedStage::drain(bool all) {
  std::size_t done = 0;
  while (done < buffer_.size()) {
    const std::string_view rest = std::string_view(buffer_).substr(done);
    const Markers active = markers();
    std::size_t at = std::string_view::npos;
    std::string_view found;
    for (const std::string_view marker : active) {
      if (const std::size_t place = rest.find(marker); place < at) {
        at = place;
        found = marker;
      }
    }
    if (at == 0) {
      done += found.size();
      on_marker(found);
      continue;
    }
    const std::size_t plain = at != std::string_view::npos ? at : rest.size() - (all ? 0 : open_end(rest, active));
    if (plain == 0) break;
    done += on_text(rest.substr(0, plain));
  }
  buffer_.erase(0, done);
}

void MarkedStage::text(std::string_view piece) {
  buffer_ += piece;
  drain(false);
}

void MarkedStage::special(std::string_view spelling) {
  drain(true);  // no marker reaches over a special token
  const Markers active = markers();
  const auto found = std::find(active.begin(), active.end(), spelling);
  if (found != active.end()) on_marker(*found);
  else on_special(spelling);
}

void MarkedStage::finish() {
  drain(true);
  on_end();
}

}  // namespace colonnade::engine
