// SentencePiece's "precompiled charsmap": strings and what replaces them, as a double-array trie (darts-clone) followed by
// the replacements, each ending with a zero byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::engine {

/// Immutable, thread-safe. Every look-up stays within what was read, whatever the bytes say.
class Charsmap {
 public:
  /// Empty bytes give a map that replaces nothing. kCorrupt when the sizes do not fit.
  static Result<Charsmap> parse(std::string_view bytes);

  struct Rule {
    std::size_t size = 0;  // bytes of the text that it replaces; 0: no rule
    std::string_view replacement;
  };
  enum class Prefer { kShortest, kLongest };
  /// The rule for a prefix of `text`.
  Rule find(std::string_view text, Prefer prefer) const;
  bool empty() const { return units_.empty(); }

 private:
  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace colonnade::engine
