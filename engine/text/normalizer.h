// The normalizer of a tokenizer file: text to text, before anything is split.
// Kinds: Sequence, Prepend, Replace (with a String pattern).
#pragma once

#include <memory>
#include <string>

#include "engine/base/json.h"
#include "engine/base/result.h"

namespace colonnade::engine {

/// Immutable, thread-safe. Bytes that are not UTF-8 pass through.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual std::string apply(std::string text) const = 0;
};

/// From the file's "normalizer"; null gives one that changes nothing.
Result<std::unique_ptr<Normalizer>> make_normalizer(const Json& part);

/// Every non-overlapping occurrence of `pattern`, from the left.
std::string replace_all(std::string text, const std::string& pattern, const std::string& content);

}  // namespace colonnade::engine
