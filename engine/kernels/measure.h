// How fast this machine multiplies: weights a second by format, instruction set and number of tokens, from a cache or
// from memory. For `colonnade bench kernels` and for whoever chooses formats by cost.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/base/result.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/sparsity.h"

namespace colonnade::engine {

struct StripsCase {
  const KernelTable* kernels = nullptr;
  FormatId format = FormatId::kInt8;
  Sparsity sparsity;
  int n_tokens = 1;
  std::uint32_t cols = 2048;
  double seconds = 0.2;
  /// One for each thread, 64-byte aligned, for its strips: the size says from where they are read. Touched first by that
  /// thread.
  std::vector<std::span<std::byte>> memory;
};

/// Sums over the threads of the team.
struct StripsRate {
  double weights_per_second = 0;  // passed over, zeros included; every one is multiplied with n_tokens activations
  double bytes_per_second = 0;    // of packed strips
  double bits_per_weight = 0;     // of these strips
};

/// Fills the memory with random strips and multiplies them on every thread of `team`, again and again, for about
/// `seconds`. kInvalidArgument when a thread's memory does not hold a strip.
Result<StripsRate> measure_strips(const StripsCase& what, Parallel& team);

}  // namespace colonnade::engine
