// A run of bytes within a text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

namespace colonnade::engine {

struct ByteRange {
  std::size_t begin = 0;
  std::size_t end = 0;  // exclusive
  bool operator==(const ByteRange&) const = default;
};

/// Whether a byte of [begin, end) lies in one of `ranges`, which are ascending and disjoint.
inline bool overlaps(std::span<const ByteRange> ranges, std::size_t begin, std::size_t end) {
  const auto found = std::partition_point(ranges.begin(), ranges.end(), [&](const ByteRange& one) { return one.end <= begin; });
  return found != ranges.end() && found->begin < end;
}

}  // namespace colonnade::engine
