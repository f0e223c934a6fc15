// What the tokens of a generation may be, where a request says so: a grammar, a JSON schema.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace colonnade::coordinator {

/// Follows one generation. Used by the generator's thread only.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;
  /// Sets the bits of the tokens that may come next (bit i % 32 of word i / 32) and clears all others; returns how many
  /// may. `bits` has a bit for each token of the model. End tokens are not its business.
  virtual std::size_t mask(std::span<std::uint32_t> bits) = 0;
  /// The token was chosen; false when it cannot be.
  virtual bool accept(std::int32_t token) = 0;
  /// The text so far is complete.
  virtual bool may_end() const = 0;
};

/// Immutable, thread-safe; shared by the choices of a request and by requests that ask for the same.
class ConstraintSource {
 public:
  virtual ~ConstraintSource() = default;
  virtual std::unique_ptr<TokenConstraint> start() const = 0;
};

}  // namespace colonnade::coordinator
