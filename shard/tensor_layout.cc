#include "shard/tensor_layout.h"

#include <cstring>
#include <string_view>
#include <vector>

#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

Error unsupported(const std::string& prefix, std::string_view layout) {
  return Error{ErrorCode::kUnsupported, text("module ", prefix, " is stored as ", layout,
                                             "; supported are plain weights and sparse-bitmask")};
}

/// Layouts that are recognised in order to be refused. `module` is the name without ".weight".
Status refuse_quantised(const Checkpoint& checkpoint, const std::string& module) {
  const auto has = [&](const char* suffix) { return checkpoint.find(module + suffix) != nullptr; };
  if (has(".weight_packed") && has(".meta")) return unsupported(module, "marlin-24");
  if (has(".weight_packed")) return unsupported(module, "pack-quantized");
  if (has(".weight_blocks") || has("_blocks")) return unsupported(module, "mxfp4");
  if (has(".weight_scale_inv")) return unsupported(module, "block-scaled fp8");
  if (has(".qweight")) return unsupported(module, "GPTQ or AWQ integers");
  if (!has(".weight_scale")) return {};
  if (has(".bitmask")) return unsupported(module, "sparse over quantised weights");
  const Tensor* weight = checkpoint.find(module + ".weight");
  const bool is_float = weight != nullptr && weight->dtype != Dtype::kI8;
  return unsupported(module, is_float ? "float-quantized" : "int-quantized");
}

Status expect(const Checkpoint& checkpoint, const Tensor& tensor, Dtype dtype,
              const std::vector<std::uint64_t>& shape) {
  if (tensor.dtype == dtype && tensor.shape == shape) return {};
  return Error{ErrorCode::kCorrupt,
               text("tensor ", tensor.name, " in ", checkpoint.file_of(tensor), ": expected ", dtype_name(dtype), " ",
                    shape_text(shape), ", found ", dtype_name(tensor.dtype), " ", shape_text(tensor.shape))};
}

}  // namespace

Result<std::string> sparse_prefix(const Checkpoint& checkpoint, const std::string& name) {
  constexpr std::string_view kWeight = ".weight";
  std::string module;
  if (name.ends_with(kWeight)) {
    module = name.substr(0, name.size() - kWeight.size());
    COLONNADE_TRY(refuse_quantised(checkpoint, module));
  }
  for (const std::string& prefix : {module, name}) {
    if (prefix.empty()) continue;
    const Tensor* shape = checkpoint.find(prefix + ".shape");
    const bool compressed = checkpoint.find(prefix + ".compressed") != nullptr;
    const bool bitmask = checkpoint.find(prefix + ".bitmask") != nullptr;
    const bool offsets = checkpoint.find(prefix + ".row_offsets") != nullptr;
    if (shape == nullptr && !compressed && !bitmask && !offsets) continue;
    if (shape != nullptr && compressed && bitmask && !offsets && shape->shape.size() == 2)
      return unsupported(prefix, "sparse-24-bitmask");
    if (shape == nullptr || !compressed || !bitmask || !offsets) {
      const char* lacks = shape == nullptr ? ".shape" : !compressed ? ".compressed" : !bitmask ? ".bitmask" : ".row_offsets";
      return Error{ErrorCode::kCorrupt,
                   text("module ", prefix, " has some sparse-bitmask tensors but lacks ", prefix, lacks)};
    }
    return prefix;
  }
  return std::string{};
}

Result<BitmaskTensors> check_bitmask(const Checkpoint& checkpoint, const std::string& prefix, std::uint64_t rows,
                                     std::uint64_t cols) {
  const Tensor& shape = *checkpoint.find(prefix + ".shape");
  const BitmaskTensors tensors{checkpoint.find(prefix + ".compressed"), checkpoint.find(prefix + ".bitmask"),
                               checkpoint.find(prefix + ".row_offsets")};
  const bool is_vector = rows == 0;
  COLONNADE_TRY(expect(checkpoint, shape, Dtype::kI64, {is_vector ? 1u : 2u}));
  std::vector<std::uint64_t> found(shape.shape[0]);
  std::memcpy(found.data(), shape.data.data(), found.size() * 8);
  const std::vector<std::uint64_t> expected = is_vector ? std::vector{cols} : std::vector{rows, cols};
  if (found != expected)
    return Error{ErrorCode::kCorrupt, text("tensor ", prefix, " in ", checkpoint.file_of(shape), ": expected shape ",
                                           shape_text(expected), ", found ", shape_text(found))};

  const std::uint64_t mask_bytes = (cols + 7) / 8;
  using Shape = std::vector<std::uint64_t>;
  COLONNADE_TRY(expect(checkpoint, *tensors.bitmask, Dtype::kU8, is_vector ? Shape{mask_bytes} : Shape{rows, mask_bytes}));
  COLONNADE_TRY(expect(checkpoint, *tensors.row_offsets, Dtype::kI64, is_vector ? Shape{} : Shape{rows}));
  const Dtype dtype = tensors.compressed->dtype;
  if (dtype == Dtype::kI8 || dtype == Dtype::kF8E4M3) return unsupported(prefix, "sparse over quantised weights");
  if (dtype != Dtype::kF32 && dtype != Dtype::kF16 && dtype != Dtype::kBf16)
    return Error{ErrorCode::kUnsupported, text("tensor ", prefix, ".compressed has dtype ", dtype_name(dtype),
                                               "; supported are F32, F16 and BF16")};
  if (tensors.compressed->shape.size() != 1)
    return Error{ErrorCode::kCorrupt, text("tensor ", prefix, ".compressed: expected one dimension, found ",
                                           shape_text(tensors.compressed->shape))};
  return tensors;
}

}  // namespace colonnade::shard
