#include "shard/stored_scales.h"

#include "engine/base/format_text.h"
#include "shard/plain_rows.h"
#include "shard/scaled_rows.h"

namespace colonnade::shard {
namespace {

std::uint64_t blocks_of(std::uint64_t n, std::uint64_t size) { return (n + size - 1) / size; }

bool is_scale_dtype(Dtype dtype) { return is_weight_dtype(dtype) || dtype == Dtype::kF8E8M0; }
bool is_zero_point_dtype(Dtype dtype) {
  return is_weight_dtype(dtype) || dtype == Dtype::kI8 || dtype == Dtype::kU8 || dtype == Dtype::kI32 || dtype == Dtype::kI64;
}

Error wrong(const Checkpoint& checkpoint, const Tensor& tensor, const std::string& expected) {
  return {ErrorCode::kCorrupt, text("tensor ", tensor.name, " in ", checkpoint.file_of(tensor), ": expected ", expected, ", found ",
                                    dtype_name(tensor.dtype), " ", shape_text(tensor.shape))};
}

/// How weights share scales, and what that is called.
struct Sharing {
  ScaleGrid grid;
  Shape shape;  // of the scales as a matrix
  std::string name;
};

/// Columns belong to groups by a list of their own.
Result<const std::byte*> read_group_list(const Checkpoint& checkpoint, const std::string& module, std::uint64_t cols, std::uint64_t groups) {
  const std::byte* const none = nullptr;
  const Tensor* list = checkpoint.find(module + ".weight_g_idx");
  if (list == nullptr) return none;
  if (list->dtype != Dtype::kI32 || list->shape != Shape{cols}) return wrong(checkpoint, *list, text("I32 ", shape_text(Shape{cols})));
  for (std::uint64_t c = 0; c < cols; ++c)
    if (load_bits<std::int32_t>(list->data.data() + 4 * c) == -1) return none;
  for (std::uint64_t c = 0; c < cols; ++c) {
    const auto group = load_bits<std::int32_t>(list->data.data() + 4 * c);
    if (group < 0 || static_cast<std::uint64_t>(group) >= groups)
      return Error{ErrorCode::kCorrupt, text("tensor ", list->name, " in ", checkpoint.file_of(*list), ": column ", c, ": expected a group from 0 to ",
                                             groups - 1, ", found ", group)};
  }
  return list->data.data();
}

Result<Sharing> share_in_groups(const Checkpoint& checkpoint, const QuantizationScheme& scheme, const std::string& module, const Tensor& scale,
                                std::uint64_t rows, std::uint64_t cols) {
  const std::uint64_t groups = scale.shape[1];
  COLONNADE_ASSIGN(const std::byte* list, read_group_list(checkpoint, module, cols, groups));
  const std::uint64_t size = scheme.group_size > 0 ? scheme.group_size : groups > 0 ? blocks_of(cols, groups) : 0;
  if (size == 0 || scale.shape[0] != rows || groups != blocks_of(cols, size))
    return wrong(checkpoint, scale, size == 0 ? text(shape_text(Shape{rows, 1})) : shape_text(Shape{rows, blocks_of(cols, size)}));
  if (list == nullptr && cols % size != 0)
    return Error{ErrorCode::kCorrupt, text("module ", module, ": expected a group size that divides its ", cols, " columns, found ", size)};
  return Sharing{{.cols = groups, .block_rows = 1, .block_cols = size, .group_of = list}, {rows, groups},
                 text(list != nullptr ? "in listed groups of " : "in groups of ", size)};
}

Result<Sharing> sharing_of(const Checkpoint& checkpoint, const QuantizationScheme& scheme, const std::string& module, const Tensor& scale,
                           std::uint64_t rows, std::uint64_t cols) {
  const bool by_blocks = scheme.block_rows > 0;
  std::uint64_t count = 1;
  for (const std::uint64_t n : scale.shape) count = n == 0 || count == 0 ? 0 : count > UINT64_MAX / n ? UINT64_MAX : count * n;
  if (by_blocks) {
    const Shape blocks{blocks_of(rows, scheme.block_rows), blocks_of(cols, scheme.block_cols)};
    if (scale.shape != blocks)
      return wrong(checkpoint, scale, text(shape_text(blocks), " for ", shape_text(Shape{rows, cols}), " in blocks of ", scheme.block_rows, " x ", scheme.block_cols));
    return Sharing{{.cols = blocks[1], .block_rows = scheme.block_rows, .block_cols = scheme.block_cols}, blocks,
                   text("in blocks of ", scheme.block_rows, " x ", scheme.block_cols)};
  }
  if (scale.name.ends_with("_inv") && count != 1)
    return Error{ErrorCode::kUnsupported, text("tensor ", scale.name, " in ", checkpoint.file_of(scale), ": expected a weight_block_size in quantization_config, found none")};
  if (count == 1) return Sharing{{.cols = 1, .block_rows = rows, .block_cols = cols}, {1, 1}, "with one scale"};
  if (scale.shape == Shape{rows} || scale.shape == Shape{rows, 1})
    return Sharing{{.cols = 1, .block_rows = 1, .block_cols = cols}, {rows, 1}, "with a scale for each row"};
  if (scale.shape.size() != 2) return wrong(checkpoint, scale, text("[1], ", shape_text(Shape{rows, 1}), " or [", rows, ", groups]"));
  return share_in_groups(checkpoint, scheme, module, scale, rows, cols);
}

Result<ZeroPoints> read_zero_points(const Checkpoint& checkpoint, const std::string& module, const StoredCodes& codes, const Tensor& scale, const Shape& shape) {
  const Tensor* points = checkpoint.find(module + ".weight_zero_point");
  if (points == nullptr) return ZeroPoints{};
  if (points->shape == scale.shape && is_zero_point_dtype(points->dtype) && !(codes.packed && shape != Shape{1, 1} && points->dtype == Dtype::kI32))
    return ZeroPoints{.dtype = points->dtype, .values = points->data.data(), .packed = {}};
  if (!codes.packed) return wrong(checkpoint, *points, text("I8 ", shape_text(scale.shape)));
  const Shape expected{codes.packed->words(shape[0]), shape[1]};
  if (points->dtype != Dtype::kI32 || points->shape != expected) return wrong(checkpoint, *points, text("I32 ", shape_text(expected)));
  return ZeroPoints{.packed = {*codes.packed, points->data.data(), shape[1]}};
}

}  // namespace

Result<StoredCodes> apply_scales(const Checkpoint& checkpoint, const QuantizationScheme& scheme, const std::string& module, StoredCodes codes) {
  const Tensor* scale = nullptr;
  for (const char* ending : {".weight_scale", ".weight_scale_inv"})
    if (scale == nullptr) scale = checkpoint.find(module + ending);
  if (scale == nullptr)
    return Error{ErrorCode::kCorrupt, text("module ", module, " in ", codes.file, " has weights of ", codes.form.name, " but lacks their scales: expected ", module,
                                           ".weight_scale or ", module, ".weight_scale_inv")};
  if (codes.shape.size() != 2)
    return Error{ErrorCode::kUnsupported, text("module ", module, " in ", codes.file, ": expected two dimensions of quantised weights, found ", shape_text(codes.shape))};
  if (!is_scale_dtype(scale->dtype)) return wrong(checkpoint, *scale, "F32, F16, BF16, F64 or F8_E8M0");
  COLONNADE_ASSIGN(Sharing sharing, sharing_of(checkpoint, scheme, module, *scale, codes.shape[0], codes.shape[1]));
  sharing.grid.dtype = scale->dtype;
  sharing.grid.scales = scale->data.data();
  COLONNADE_ASSIGN(const ZeroPoints zero_points, read_zero_points(checkpoint, module, codes, *scale, sharing.shape));
  const bool has_zero_points = zero_points.values != nullptr || zero_points.packed.words != nullptr;
  codes.form.name += text(" ", sharing.name, has_zero_points ? ", asymmetric" : "");
  codes.form.bytes += scale->data.size();
  codes.rows = scaled_rows(std::move(codes.rows), sharing.grid, zero_points);
  codes.need_scale = false;
  return codes;
}

}  // namespace colonnade::shard
