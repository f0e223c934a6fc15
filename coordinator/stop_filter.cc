#include "coordinator/stop_filter.h"

#include <algorithm>
#include <utility>

namespace colonnade::coordinator {

std::string StopFilter::push(std::string_view piece) {
  if (stopped_) return {};
  std::string text = std::exchange(held_, {});
  text.append(piece);
  std::size_t first_end = std::string::npos;
  std::size_t cut = std::string::npos;
  for (const std::string& stop : stops_) {
    const std::size_t at = text.find(stop);
    if (at == std::string::npos) continue;
    const std::size_t end = at + stop.size();
    if (end < first_end || (end == first_end && at < cut)) {
      first_end = end;
      cut = at;
    }
  }
  if (cut != std::string::npos) {
    stopped_ = true;
    return text.substr(0, cut);
  }
  std::size_t hold = 0;
  for (const std::string& stop : stops_) {
    std::size_t size = std::min(stop.size() - 1, text.size());
    while (size > hold && !text.ends_with(std::string_view(stop).substr(0, size))) --size;
    hold = std::max(hold, size);
  }
  held_ = text.substr(text.size() - hold);
  text.resize(text.size() - hold);
  return text;
}

std::string StopFilter::finish() { return stopped_ ? std::string() : std::exchange(held_, {}); }

}  // namespace colonnade::coordinator
