// Regular expressions of tokenizer files, on text from anywhere: the door to PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::engine {

/// Whose rules a pattern follows. They differ in \s, \w, ^ and $, {n,m}+, and class operations.
enum class RegexDialect {
  kOniguruma,  // tokenizer.json
  kRust,       // tiktoken
};

struct RegexMatch {
  std::size_t begin;
  std::size_t end;
};

/// Immutable, thread-safe.
class Regex {
 public:
  /// kUnsupported names what in the pattern cannot be used (recursion, verbs) or what PCRE2 says of it.
  static Result<Regex> compile(std::string_view pattern, RegexDialect dialect);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  /// Appends all matches from the left that do not overlap; an empty one does not follow a match directly. `text` is
  /// valid UTF-8. Patterns come from untrusted files, so the work is bounded by a multiple of text.size(): a pattern
  /// that needs more (nested repetition) finds nothing behind the point that it has reached.
  void find_all(std::string_view text, std::vector<RegexMatch>& matches) const;

 private:
  struct Code;
  explicit Regex(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code_;
};

}  // namespace colonnade::engine
