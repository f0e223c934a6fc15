// Sees what the matrices of a model are multiplied with: how pruning learns which weights matter.
#pragma once

#include "engine/formats/format.h"
#include "engine/kernels/kernels.h"

namespace colonnade::engine {

class ActivationTap {
 public:
  virtual ~ActivationTap() = default;

  /// `matrix` was multiplied with n_tokens rows of input.values (row t of them: input.rows[t]). Called by the step
  /// thread once for every matrix of a layer that has tokens, after the block that it belongs to; matrices that read the
  /// same rows are given the same pointers. Valid during the call.
  virtual void multiplied(const MatrixView& matrix, const Activations& input, int n_tokens) = 0;
};

}  // namespace colonnade::engine
