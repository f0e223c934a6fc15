// Stop strings in a text that comes in pieces: text is given out as soon as it cannot belong to a stop string.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace colonnade::coordinator {

/// The stop string that is complete first ends the text right before it; of those that complete together, the
/// longest. The result does not depend on how the text is cut into pieces. Stop strings are not empty.
class StopFilter {
 public:
  explicit StopFilter(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// Text that is certain now. After a stop nothing more comes.
  std::string push(std::string_view piece);
  /// What was held back, when the text ends by itself.
  std::string finish();

  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;  // the longest end of the text that begins a stop string
  bool stopped_ = false;
};

}  // namespace colonnade::coordinator
