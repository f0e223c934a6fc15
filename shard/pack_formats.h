// The formats that a model is packed in: every matrix of the checkpoint is looked at, and gets the one that suits its zeros.
#pragma once

#include <vector>

#include "engine/base/result.h"
#include "shard/format_choice.h"
#include "shard/paths.h"
#include "shard/source_model.h"

namespace colonnade::shard {

struct ChosenFormats {
  int neuron_group = 256;  // ModelConfig::neuron_group: wide_neuron_group() where that suits the zeros
  std::vector<PathSpec> paths;
};

/// All paths of `model` with the chosen formats; density and bytes of their matrices are those of a few strips that were read.
/// A matrix of the checkpoint (of one layer, one expert) gets one format whatever it is cut into. `output_heads` is that of the
/// configuration to pack with. Uses `n_threads` threads;
/// the result does not depend on them. Errors are those of reading `model`.
Result<ChosenFormats> choose_formats(const SourceModel& model, FormatRules rules, int output_heads, int n_threads);

}  // namespace colonnade::shard
