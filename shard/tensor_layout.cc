#include "shard/tensor_layout.h"

#include <cstring>
#include <string_view>

#include "engine/base/format_text.h"
#include "shard/plain_rows.h"

namespace colonnade::shard {
namespace {

// Far above every real tensor; rows * cols fits 64 bits.
constexpr std::uint64_t kMostExtent = 1u << 31;

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
              const Shape& shape) {
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

Result<BitmaskTensors> check_bitmask(const Checkpoint& checkpoint, const std::string& prefix) {
  const Tensor& shape = *checkpoint.find(prefix + ".shape");
  BitmaskTensors tensors{{}, checkpoint.find(prefix + ".compressed"), checkpoint.find(prefix + ".bitmask"),
                         checkpoint.find(prefix + ".row_offsets")};
  if (shape.dtype != Dtype::kI64 || (shape.shape != Shape{1} && shape.shape != Shape{2}))
    return Error{ErrorCode::kCorrupt, text("tensor ", shape.name, " in ", checkpoint.file_of(shape), ": expected I64 [2] or [1], found ",
                                           dtype_name(shape.dtype), " ", shape_text(shape.shape))};
  tensors.shape.resize(shape.shape[0]);
  std::memcpy(tensors.shape.data(), shape.data.data(), tensors.shape.size() * 8);
  const bool is_vector = tensors.shape.size() == 1;
  const std::uint64_t rows = is_vector ? 1 : tensors.shape[0];
  const std::uint64_t cols = tensors.shape.back();
  if (rows == 0 || rows > kMostExtent || cols == 0 || cols > kMostExtent)
    return Error{ErrorCode::kCorrupt, text("tensor ", shape.name, " in ", checkpoint.file_of(shape), ": expected 1 to ", kMostExtent,
                                           " rows and columns, found ", shape_text(tensors.shape))};

  const std::uint64_t mask_bytes = (cols + 7) / 8;
  COLONNADE_TRY(expect(checkpoint, *tensors.bitmask, Dtype::kU8, is_vector ? Shape{mask_bytes} : Shape{rows, mask_bytes}));
  COLONNADE_TRY(expect(checkpoint, *tensors.row_offsets, Dtype::kI64, is_vector ? Shape{} : Shape{rows}));
  const Dtype dtype = tensors.compressed->dtype;
  if (dtype == Dtype::kI8 || dtype == Dtype::kF8E4M3) return unsupported(prefix, "sparse over quantised weights");
  if (!is_weight_dtype(dtype))
    return Error{ErrorCode::kUnsupported, text("tensor ", prefix, ".compressed has dtype ", dtype_name(dtype),
                                               "; supported are F64, F32, F16 and BF16")};
  if (tensors.compressed->shape.size() != 1)
    return Error{ErrorCode::kCorrupt, text("tensor ", prefix, ".compressed: expected one dimension, found ",
                                           shape_text(tensors.compressed->shape))};
  const auto first = load_bits<std::uint64_t>(tensors.row_offsets->data.data());
  if (first != 0)
    return Error{ErrorCode::kCorrupt, text("tensor ", prefix, ".row_offsets: expected the first offset to be 0, found ", first)};
  return tensors;
}

std::string weight_of_part(const std::string& name) {
  constexpr std::string_view kParts[] = {".compressed", ".bitmask", ".row_offsets", ".shape"};
  for (const std::string_view part : kParts) {
    if (!name.ends_with(part)) continue;
    const std::string prefix = name.substr(0, name.size() - part.size());
    return prefix.ends_with(".weight") || prefix.ends_with(".bias") ? prefix : prefix + ".weight";
  }
  return name;
}

}  // namespace colonnade::shard
