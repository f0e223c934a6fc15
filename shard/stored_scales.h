// The scales and zero points of a quantised weight in a safetensors checkpoint: which weights share one, by their shapes and
// by what the configuration says.
#pragma once

#include <string>

#include "engine/base/result.h"
#include "shard/checkpoint.h"
#include "shard/quantization_config.h"
#include "shard/stored_codes.h"

namespace colonnade::shard {

/// `codes`, of the weight `module`.weight, with the scales of the module: its rows are weights then. kCorrupt names the tensor
/// that is missing or of another shape than the codes need, the expected and the found one.
Result<StoredCodes> apply_scales(const Checkpoint& checkpoint, const QuantizationScheme& scheme, const std::string& module, StoredCodes codes);

}  // namespace colonnade::shard
