#include "shard/tensor_layout.h"

#include <cstring>
#include <string_view>

#include "engine/base/format_text.h"
#include "shard/plain_rows.h"

namespace colonnade::shard {
namespace {

// Far above every real tensor; rows * cols fits 64 bits.
constexpr std::uint64_t kMostExtent = 1u << 31;

Error unsupported(const std::string& module, std::string_view layout) {
  return Error{ErrorCode::kUnsupported,
               text("module ", module, " is stored as ", layout, "; supported are plain weights, sparse-bitmask, sparse-24-bitmask, "
                    "int-quantized, float-quantized, pack-quantized, fp8 and mxfp4")};
}

Status expect(const Checkpoint& checkpoint, const Tensor& tensor, Dtype dtype, const Shape& shape) {
  if (tensor.dtype == dtype && tensor.shape == shape) return {};
  return Error{ErrorCode::kCorrupt,
               text("tensor ", tensor.name, " in ", checkpoint.file_of(tensor), ": expected ", dtype_name(dtype), " ",
                    shape_text(shape), ", found ", dtype_name(tensor.dtype), " ", shape_text(tensor.shape))};
}

/// "m.bitmask" without ".bitmask"; "" when `name` does not end so.
std::string without(const std::string& name, std::string_view ending) {
  return name.ends_with(ending) ? name.substr(0, name.size() - ending.size()) : "";
}

}  // namespace

std::string module_of_weight(const std::string& name) { return without(name, ".weight"); }

std::string weight_of_part(const std::string& name) {
  for (const std::string_view part : {".weight_packed", ".weight_scale", ".weight_scale_inv", ".weight_zero_point", ".weight_shape", ".weight_g_idx"})
    if (std::string module = without(name, part); !module.empty()) return module + ".weight";
  for (const std::string_view part : {".compressed", ".bitmask", ".row_offsets", ".shape"}) {
    std::string prefix = without(name, part);
    if (!prefix.empty()) return prefix.ends_with(".weight") || prefix.ends_with(".bias") ? prefix : prefix + ".weight";
  }
  for (const std::string_view part : {"_blocks", "_scales"})
    if (std::string tensor = without(name, part); !tensor.empty()) return tensor;
  for (const std::string_view other : {".input_scale", ".input_zero_point", ".output_scale", ".k_scale", ".v_scale", ".activation_scale"})
    if (name.ends_with(other)) return "";
  return name;
}

Status refuse_layouts(const Checkpoint& checkpoint, const std::string& module) {
  const auto has = [&](const char* suffix) { return checkpoint.find(module + suffix) != nullptr; };
  if (has(".weight_packed") && has(".meta")) return unsupported(module, "marlin-24");
  if (has(".weight_packed") && has(".weight_global_scale")) return unsupported(module, "nvfp4-pack-quantized");
  if (has(".qweight")) return unsupported(module, "GPTQ or AWQ integers");
  return {};
}

Result<std::string> sparse_prefix(const Checkpoint& checkpoint, const std::string& name) {
  for (const std::string& prefix : {module_of_weight(name), name}) {
    if (prefix.empty()) continue;
    const Tensor* shape = checkpoint.find(prefix + ".shape");
    const bool compressed = checkpoint.find(prefix + ".compressed") != nullptr;
    const bool bitmask = checkpoint.find(prefix + ".bitmask") != nullptr;
    const bool offsets = checkpoint.find(prefix + ".row_offsets") != nullptr;
    if (shape == nullptr && !compressed && !bitmask && !offsets) continue;
    const bool every_other = shape != nullptr && shape->shape.size() == 2;  // sparse-24-bitmask has no offsets
    if (shape == nullptr || !compressed || !bitmask || (!offsets && !every_other)) {
      const char* lacks = shape == nullptr ? ".shape" : !compressed ? ".compressed" : !bitmask ? ".bitmask" : ".row_offsets";
      return Error{ErrorCode::kCorrupt, text("module ", prefix, " has some sparse tensors but lacks ", prefix, lacks)};
    }
    return prefix;
  }
  return std::string{};
}

Status check_extent(const Checkpoint& checkpoint, const Tensor& shape, const Shape& found) {
  for (const std::uint64_t n : found)
    if (n == 0 || n > kMostExtent)
      return Error{ErrorCode::kCorrupt, text("tensor ", shape.name, " in ", checkpoint.file_of(shape), ": expected 1 to ", kMostExtent,
                                             " rows and columns, found ", shape_text(found))};
  return {};
}

Result<SparseTensors> check_sparse(const Checkpoint& checkpoint, const std::string& prefix) {
  const Tensor& shape = *checkpoint.find(prefix + ".shape");
  SparseTensors tensors{{}, checkpoint.find(prefix + ".compressed"), checkpoint.find(prefix + ".bitmask"), checkpoint.find(prefix + ".row_offsets")};
  const bool every_other = tensors.row_offsets == nullptr;
  if (shape.dtype != Dtype::kI64 || (every_other ? shape.shape != Shape{2, 1} : shape.shape != Shape{1} && shape.shape != Shape{2}))
    return Error{ErrorCode::kCorrupt, text("tensor ", shape.name, " in ", checkpoint.file_of(shape), ": expected I64 ", every_other ? "[2, 1]" : "[2] or [1]",
                                           ", found ", dtype_name(shape.dtype), " ", shape_text(shape.shape))};
  tensors.shape.resize(shape.shape[0]);
  std::memcpy(tensors.shape.data(), shape.data.data(), tensors.shape.size() * 8);
  COLONNADE_TRY(check_extent(checkpoint, shape, tensors.shape));
  const bool is_vector = tensors.shape.size() == 1;
  const std::uint64_t rows = is_vector ? 1 : tensors.shape[0], cols = tensors.shape.back();
  const std::uint64_t mask_bytes = (cols + 7) / 8;
  COLONNADE_TRY(expect(checkpoint, *tensors.bitmask, Dtype::kU8, is_vector ? Shape{mask_bytes} : Shape{rows, mask_bytes}));
  if (every_other) {
    if (cols % 4 != 0)
      return Error{ErrorCode::kCorrupt, text("tensor ", shape.name, " in ", checkpoint.file_of(shape), ": expected a multiple of 4 columns, found ", cols)};
    COLONNADE_TRY(expect(checkpoint, *tensors.compressed, tensors.compressed->dtype, Shape{rows, cols / 2}));
    return tensors;
  }
  COLONNADE_TRY(expect(checkpoint, *tensors.row_offsets, Dtype::kI64, is_vector ? Shape{} : Shape{rows}));
  if (tensors.compressed->shape.size() != 1)
    return Error{ErrorCode::kCorrupt, text("tensor ", prefix, ".compressed: expected one dimension, found ",
                                           shape_text(tensors.compressed->shape))};
  const auto first = load_bits<std::uint64_t>(tensors.row_offsets->data.data());
  if (first != 0)
    return Error{ErrorCode::kCorrupt, text("tensor ", prefix, ".row_offsets: expected the first offset to be 0, found ", first)};
  return tensors;
}

}  // namespace colonnade::shard
