// The base of the tool call forms: what begins like a call is kept until it is one, and comes back as content otherwise.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/text/chat_output/marked_stage.h"

namespace colonnade::engine {

class CallStage : public MarkedStage {
 public:
  CallStage(OutputSink& sink, const std::vector<ToolSignature>& tools) : MarkedStage(sink), tools_(tools) {}

  /// From now on what is kept is the call's own. A function's name is not empty and has no blank in it.
  bool begin_call(std::string_view name, std::string id = {}) {
    if (writing_ || !is_name(name)) return false;
    kept_.clear();
    writing_ = true;
    sink().begin_call(std::string(name), std::move(id));
    return true;
  }
  void arguments(std::string_view fragment) { sink().arguments(fragment); }
  void end_call() {
    writing_ = false;
    kept_.clear();
    sink().end_call();
  }
  /// A call has begun and goes on.
  bool writing() const { return writing_; }

  /// The function that the request offers under this name, or nullptr.
  const ToolSignature* tool(std::string_view name) const {
    const auto found = std::find_if(tools_.begin(), tools_.end(), [&](const ToolSignature& one) { return one.name == name; });
    return found == tools_.end() ? nullptr : &*found;
  }

  static bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= kMaxNameBytes && std::none_of(text.begin(), text.end(), is_blank);
  }
  static constexpr std::size_t kMaxNameBytes = 256;

 protected:
  /// Text that may turn out to be content.
  void keep(std::string_view text) {
    if (!writing_) kept_ += text;
  }
  /// It was no content.
  void drop_kept() { kept_.clear(); }
  /// It broke off, or the stream ends: a call that has begun ends, anything else was content.
  void give_up() {
    if (writing_) return end_call();
    sink().content(std::exchange(kept_, {}));
  }

 private:
  const std::vector<ToolSignature>& tools_;
  std::string kept_;
  bool writing_ = false;
};

}  // namespace colonnade::engine
