// A text on its way to the model: the pieces that pre-tokenizers cut it into, one after another.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace colonnade::engine {

struct Piece {
  std::string_view text;
  bool at_start = false;  // begins where the whole input begins
};

/// Not thread-safe. Texts that a step has changed are kept here.
class Pieces {
 public:
  /// `text` must outlive this.
  Pieces(std::string_view text, bool at_start) {
    if (!text.empty()) list_.push_back({text, at_start});
  }

  const std::vector<Piece>& list() const { return list_; }

  /// Replaces every piece by what `cut(piece, add)` gives with add(text); empty texts are left out. What is added lies
  /// within the piece or was kept; the first text that was kept is taken for the beginning of the piece.
  template <typename Cut>
  void cut_each(Cut cut) {
    std::vector<Piece> before;
    before.swap(list_);
    list_.reserve(before.size());
    for (const Piece& piece : before) {
      bool first = true;
      const char* const begin = piece.text.data();
      cut(piece, [&](std::string_view part) {
        const bool within = !std::less<>{}(part.data(), begin) && std::less<>{}(part.data(), begin + piece.text.size());
        if (!part.empty()) list_.push_back({part, piece.at_start && (within ? part.data() == begin : first)});
        first = false;
      });
    }
  }

  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

 private:
  std::vector<Piece> list_;
  std::deque<std::string> kept_;
};

/// What becomes of the matches of a pattern.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// A run of a text: a match, or what lies between two.
struct Segment {
  std::string_view text;
  bool is_match;
};
/// Joins segments, which follow each other and together are a text, by the behavior, and adds them.
template <typename Add>
void add_segments(const std::vector<Segment>& segments, SplitBehavior behavior, Add add) {
  const auto joined = [](std::string_view a, std::string_view b) {
    return std::string_view(a.data(), a.size() + b.size());
  };
  std::string_view open;  // may still grow
  bool previous_match = false;
  for (const Segment& one : segments) {
    bool grows = false;
    switch (behavior) {
      case SplitBehavior::kRemoved:
        if (one.is_match) continue;
        break;
      case SplitBehavior::kIsolated: break;
      case SplitBehavior::kContiguous: grows = one.is_match == previous_match; break;
      case SplitBehavior::kMergedWithPrevious: grows = one.is_match && !previous_match; break;
      case SplitBehavior::kMergedWithNext: grows = previous_match && !one.is_match; break;
    }
    previous_match = one.is_match;
    if (grows && open.data() != nullptr) {
      open = joined(open, one.text);
    } else {
      if (open.data() != nullptr) add(open);
      open = one.text;
    }
  }
  if (open.data() != nullptr) add(open);
}

}  // namespace colonnade::engine
