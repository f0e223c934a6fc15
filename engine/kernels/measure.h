// How fast this machine multiplies: weights a second by format, instruction set and number of tokens, from a cache or
// from memory. For `colonnade bench kernels` and for whoever chooses formats by cost.
#pragma once

#include <cstddef>

#include "engine/base/parallel.h"
#include "engine/base/result.h"
#include "engine/kernels/kernels.h"

namespace colonnade::engine {

struct StripsCase {
  const KernelTable* kernels = nullptr;
  FormatId format = FormatId::kInt8;
  int n_tokens = 1;
  std::uint32_t cols = 2048;
  std::size_t bytes_each = 0;  // strips that each thread walks over, again and again: says where they lie
  double seconds = 0.2;
};

/// Sums over the threads of the team.
struct StripsRate {
  double weights_per_second = 0;  // passed over; every one is multiplied with n_tokens activations
  double bytes_per_second = 0;    // of packed strips
};

/// Packs random strips and multiplies them on every thread of `team` for about `seconds`. kExhausted when there is not
/// the memory. Needs bytes_each (at least one strip) and the activations on every thread.
Result<StripsRate> measure_strips(const StripsCase& what, Parallel& team);

}  // namespace colonnade::engine
