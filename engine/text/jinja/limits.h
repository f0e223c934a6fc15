// What a template may use up. Templates come from files that nobody checked.
#pragma once

#include <cstddef>
#include <cstdint>

namespace colonnade::engine::jinja {

struct Limits {
  std::uint64_t steps = 10'000'000;                 // nodes evaluated and items looked at, plus one for 64 bytes made
  std::size_t live_bytes = std::size_t{256} << 20;  // of all values and of the output, at any time
  int depth = 400;                                  // of nested calls, expressions, statements and values
};

/// Deepest nesting of a template's source: blocks, brackets and operators.
inline constexpr int kMaxSourceDepth = 150;
/// Longest template. The largest published ones have 20 KB.
inline constexpr std::size_t kMaxSourceBytes = std::size_t{4} << 20;

}  // namespace colonnade::engine::jinja
