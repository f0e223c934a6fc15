// A run of bytes within a text.
#pragma once

#include <cstddef>

namespace colonnade::engine {

struct ByteRange {
  std::size_t begin = 0;
  std::size_t end = 0;  // exclusive
  bool operator==(const ByteRange&) const = default;
};

}  // namespace colonnade::engine
