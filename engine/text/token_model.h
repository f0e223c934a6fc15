// The model of a tokenizer file: one word to token ids. Kinds: BPE (with byte fallback).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"

namespace colonnade::engine {

/// Lets maps with std::string keys be searched by std::string_view.
struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
};
/// Content of a token to its id.
using TokenIds = std::unordered_map<std::string, std::int32_t, StringHash, std::equal_to<>>;

/// Immutable, thread-safe.
class TokenModel {
 public:
  virtual ~TokenModel() = default;
  /// Appends the ids of one word. Any bytes.
  virtual void tokenize(std::string_view word, std::vector<std::int32_t>& ids) const = 0;
  virtual const TokenIds& vocabulary() const = 0;
};

/// From the file's "model".
Result<std::unique_ptr<TokenModel>> make_token_model(const Json& part);

/// The byte that a token such as "<0x0A>" stands for, or -1.
int byte_of_token(std::string_view content);

}  // namespace colonnade::engine
