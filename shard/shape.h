// Shapes of tensors.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace colonnade::shard {

using Shape = std::vector<std::uint64_t>;

/// "[64, 128]"
inline std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) out.append(i > 0 ? ", " : "").append(std::to_string(shape[i]));
  return out + "]";
}

}  // namespace colonnade::shard
