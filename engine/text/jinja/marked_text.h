// Text that remembers which of its bytes came out of the conversation rather than out of the template.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/text/byte_range.h"

namespace colonnade::engine::jinja {

/// A value. UTF-8.
class MarkedText {
 public:
  MarkedText() = default;
  explicit MarkedText(std::string bytes, bool from_input = false);

  const std::string& bytes() const { return bytes_; }
  std::string_view view() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  /// Ascending, not touching, not empty.
  const std::vector<ByteRange>& marks() const { return marks_; }
  /// Whether a byte of [begin, end) is marked.
  bool is_marked(std::size_t begin, std::size_t end) const;

  /// What is not marked.
  void append(std::string_view plain) { bytes_ += plain; }
  void append(char plain) { bytes_ += plain; }
  void append(const MarkedText& other);
  void append(const MarkedText& other, std::size_t begin, std::size_t end);
  /// `bytes` stand for other's [begin, end), say in upper case: marked when any of those is.
  void append_as(std::string_view bytes, const MarkedText& other, std::size_t begin, std::size_t end);
  MarkedText part(std::size_t begin, std::size_t end) const;

  std::string take_bytes() && { return std::move(bytes_); }
  std::vector<ByteRange> take_marks() && { return std::move(marks_); }

 private:
  void mark(std::size_t begin, std::size_t end);
  std::vector<ByteRange>::const_iterator first_mark_after(std::size_t position) const;

  std::string bytes_;
  std::vector<ByteRange> marks_;
};

}  // namespace colonnade::engine::jinja
