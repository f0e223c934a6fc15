// The numbers of a weight as a safetensors checkpoint stores them, before scales: plain values, stored sparsely, or packed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "shard/checkpoint.h"
#include "shard/packed_fields.h"
#include "shard/quantization_config.h"
#include "shard/tensor_rows.h"

namespace colonnade::shard {

struct StoredCodes {
  Shape shape;
  std::string file;
  StoredForm form;
  bool need_scale = false;            // they are no weights by themselves
  std::optional<FieldLayout> packed;  // of pack-quantized
  std::shared_ptr<const RowReader> rows;
};

/// Of the weight or bias `name`, in whatever layout its tensors show. kNotFound; kCorrupt names the tensor that disagrees with
/// another; kUnsupported the layout or dtype. `config` says the bits of packed integers.
Result<StoredCodes> open_codes(const Checkpoint& checkpoint, const QuantizationConfig& config, const std::string& name);

}  // namespace colonnade::shard
