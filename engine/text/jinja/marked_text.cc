#include "engine/text/jinja/marked_text.h"

#include <algorithm>

namespace colonnade::engine::jinja {

MarkedText::MarkedText(std::string bytes, bool from_input) : bytes_(std::move(bytes)) {
  if (from_input) mark(0, bytes_.size());
}

void MarkedText::mark(std::size_t begin, std::size_t end) {
  if (begin == end) return;
  if (!marks_.empty() && marks_.back().end == begin) marks_.back().end = end;
  else marks_.push_back({begin, end});
}

std::vector<ByteRange>::const_iterator MarkedText::first_mark_after(std::size_t position) const {
  return std::partition_point(marks_.begin(), marks_.end(), [&](const ByteRange& range) { return range.end <= position; });
}

bool MarkedText::is_marked(std::size_t begin, std::size_t end) const {
  const auto found = first_mark_after(begin);
  return found != marks_.end() && found->begin < end;
}

void MarkedText::append(const MarkedText& other) { append(other, 0, other.size()); }

void MarkedText::append(const MarkedText& other, std::size_t begin, std::size_t end) {
  const std::size_t at = bytes_.size();
  bytes_.append(other.bytes_, begin, end - begin);
  for (auto range = other.first_mark_after(begin); range != other.marks_.end() && range->begin < end; ++range)
    mark(at + std::max(range->begin, begin) - begin, at + std::min(range->end, end) - begin);
}

void MarkedText::append_as(std::string_view bytes, const MarkedText& other, std::size_t begin, std::size_t end) {
  const std::size_t at = bytes_.size();
  bytes_ += bytes;
  if (other.is_marked(begin, end)) mark(at, bytes_.size());
}

MarkedText MarkedText::part(std::size_t begin, std::size_t end) const {
  MarkedText piece;
  piece.append(*this, begin, end);
  return piece;
}

}  // namespace colonnade::engine::jinja
