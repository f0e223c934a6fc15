// Sees what the matrices of a model are multiplied with: how pruning learns which weights matter.
#pragma once

#include "engine/formats/format.h"
#include "engine/kernels/kernels.h"

namespace colonnade::engine {

class ActivationTap {
 public:
  virtual ~ActivationTap() = default;

  /// `matrix` was multiplied with n_tokens rows of input.values (row t of them: input.rows[t]). Called by the step
  /// thread for every matrix of a layer that has tokens: once, after the block that it belongs to, or in the block, for one run of
  /// tokens after the other; matrices that read the same rows are given the same pointers. Valid during the call. What heads make of latents
  /// (into_latent, out_of_latent) is shown with the normalised latents of the tokens: with them the checkpoint's own
  /// matrix is multiplied, from which these come.
  virtual void multiplied(const MatrixView& matrix, const Activations& input, int n_tokens) = 0;
};

}  // namespace colonnade::engine
