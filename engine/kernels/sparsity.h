// How zeros lie in a matrix, and random weights of that kind: for measurements and models without files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/formats/zeros.h"

namespace colonnade::engine {

struct Sparsity {
  double density = 1.0;  // of the weights are kept, 0 … 1
  int block = 0;         // 0: anywhere; else the same number of each `block` consecutive columns of a row is kept
  bool in_blocks = false;  // blocks of kBlockWeights weights are kept or zero as a whole; not with `block`

  /// Weights kept of a whole block; 0 without blocks.
  int kept() const;

  /// What formats need to know of it.
  Zeros zeros() const;

  bool operator==(const Sparsity&) const = default;
};

inline constexpr int kMaxSparsityBlock = 4096;

/// `structure` is "unstructured", "1x4" (blocks of one row and four neighbouring columns), "n:64" (of any block: as many as `sparsity` leaves, rounded, at least one) or "4:64" (sets the
/// density; kInvalidArgument when a `sparsity` above 0 says another one). `sparsity` is the fraction of zeros, 0 … 1.
Result<Sparsity> parse_sparsity(double sparsity, std::string_view structure);

/// "dense", "unstructured", "1x4", "4:64".
std::string structure_name(const Sparsity& sparsity);

/// Writes (n_rows, cols) weights: zero, or uniform within ±bound but never zero. The same arguments give the same weights.
void fill_random_weights(const Sparsity& sparsity, std::uint64_t seed, float bound, std::size_t n_rows, std::size_t cols,
                         float* out);

}  // namespace colonnade::engine
