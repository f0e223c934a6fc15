#include "shard/stored_codes.h"

#include <cstring>
#include <utility>

#include "engine/base/format_text.h"
#include "shard/bitmask_rows.h"
#include "shard/mxfp4_rows.h"
#include "shard/plain_rows.h"
#include "shard/tensor_layout.h"

namespace colonnade::shard {
namespace {

StoredCodes make_codes(Shape shape, const std::string& file, std::shared_ptr<const RowReader> rows, std::string form, std::uint64_t bytes) {
  StoredCodes codes;
  codes.shape = std::move(shape);
  codes.file = file;
  codes.rows = std::move(rows);
  codes.form.name = std::move(form);
  codes.form.bytes = bytes;
  return codes;
}

bool needs_scale(Dtype dtype) { return dtype == Dtype::kI8 || dtype == Dtype::kF8E4M3 || dtype == Dtype::kF8E5M2; }

Error unsupported_dtype(const std::string& name, Dtype dtype) {
  return {ErrorCode::kUnsupported, text("tensor ", name, " has dtype ", dtype_name(dtype),
                                        "; supported are F64, F32, F16, BF16 and, with scales, I8, F8_E4M3 and F8_E5M2")};
}

Result<StoredCodes> open_sparse(const Checkpoint& checkpoint, const std::string& name, const std::string& prefix) {
  COLONNADE_ASSIGN(const SparseTensors tensors, check_sparse(checkpoint, prefix));
  const Dtype dtype = tensors.compressed->dtype;
  if (!is_weight_dtype(dtype) && !needs_scale(dtype)) return unsupported_dtype(tensors.compressed->name, dtype);
  const bool every_other = tensors.row_offsets == nullptr;
  std::uint64_t bytes = tensors.compressed->data.size() + tensors.bitmask->data.size();
  if (!every_other) bytes += tensors.row_offsets->data.size();
  const std::uint64_t rows = tensors.shape.size() == 2 ? tensors.shape[0] : 1;
  auto reader = bitmask_rows({.title = text("tensor ", name),
                              .rows = rows,
                              .cols = tensors.shape.back(),
                              .dtype = dtype,
                              .values = tensors.compressed->data.data(),
                              .n_values = tensors.compressed->data.size() / dtype_bytes(dtype),
                              .bitmask = tensors.bitmask->data.data(),
                              .offsets = every_other ? nullptr : tensors.row_offsets->data.data()});
  StoredCodes codes = make_codes(tensors.shape, checkpoint.file_of(*tensors.compressed), std::move(reader),
                                 text(every_other ? "sparse-24-bitmask " : "sparse-bitmask ", dtype_name(dtype)), bytes);
  codes.form.sparse = true;
  codes.need_scale = needs_scale(dtype);
  return codes;
}

/// Rows and columns of a packed matrix.
Result<Shape> read_packed_shape(const Checkpoint& checkpoint, const std::string& module) {
  const Tensor* shape = checkpoint.find(module + ".weight_shape");
  if (shape == nullptr) return Error{ErrorCode::kCorrupt, text("module ", module, " has weight_packed but lacks ", module, ".weight_shape")};
  const bool wide = shape->dtype == Dtype::kI64;
  if ((!wide && shape->dtype != Dtype::kI32) || shape->shape != Shape{2})
    return Error{ErrorCode::kCorrupt, text("tensor ", shape->name, " in ", checkpoint.file_of(*shape), ": expected I64 [2], found ",
                                           dtype_name(shape->dtype), " ", shape_text(shape->shape))};
  Shape found(2);
  for (std::size_t i = 0; i < 2; ++i)
    found[i] = wide ? load_bits<std::uint64_t>(shape->data.data() + 8 * i) : load_bits<std::uint32_t>(shape->data.data() + 4 * i);
  COLONNADE_TRY(check_extent(checkpoint, *shape, found));
  return found;
}

Result<StoredCodes> open_packed(const Checkpoint& checkpoint, const QuantizationConfig& config, const Tensor& words, const std::string& module) {
  COLONNADE_ASSIGN(Shape shape, read_packed_shape(checkpoint, module));
  const std::string& file = checkpoint.file_of(words);
  const int bits = config.scheme_of(module).bits;
  if (bits < 1 || bits > 8)
    return Error{ErrorCode::kUnsupported, text("tensor ", words.name, " in ", file, ": expected a num_bits of 1 to 8 for it in quantization_config, found ",
                                               bits == 0 ? std::string("none") : std::to_string(bits))};
  // The count of words tells the two ways of packing apart, where it can.
  FieldLayout layout{bits, config.packs_across_words()};
  const FieldLayout other{bits, !layout.across_words};
  if (words.shape == Shape{shape[0], other.words(shape[1])} && other.words(shape[1]) != layout.words(shape[1])) layout = other;
  if (words.dtype != Dtype::kI32 || words.shape != Shape{shape[0], layout.words(shape[1])})
    return Error{ErrorCode::kCorrupt, text("tensor ", words.name, " in ", file, ": expected I32 ", shape_text(Shape{shape[0], layout.words(shape[1])}), " for ",
                                           shape_text(shape), " integers of ", bits, " bits, found ", dtype_name(words.dtype), " ", shape_text(words.shape))};
  const std::uint64_t cols = shape[1];
  StoredCodes codes = make_codes(std::move(shape), file, packed_rows(layout, words.data.data(), cols), text("int", bits), words.data.size());
  codes.need_scale = true;
  codes.packed = layout;
  return codes;
}

Result<StoredCodes> open_mxfp4(const Checkpoint& checkpoint, const Tensor& blocks, const Tensor& scales) {
  Shape expected = blocks.shape;
  const std::string& file = checkpoint.file_of(blocks);
  if (blocks.dtype != Dtype::kU8 || expected.size() < 3 || expected.back() != kMxfp4Block / 2)
    return Error{ErrorCode::kCorrupt, text("tensor ", blocks.name, " in ", file, ": expected U8 of [..., rows, groups, ", kMxfp4Block / 2, "], found ",
                                           dtype_name(blocks.dtype), " ", shape_text(blocks.shape))};
  expected.pop_back();
  if (scales.dtype != Dtype::kU8 || scales.shape != expected)
    return Error{ErrorCode::kCorrupt, text("tensor ", scales.name, " in ", checkpoint.file_of(scales), ": expected U8 ", shape_text(expected), ", found ",
                                           dtype_name(scales.dtype), " ", shape_text(scales.shape))};
  const std::uint64_t groups = expected.back();
  Shape shape = expected;
  shape.back() *= kMxfp4Block;
  StoredCodes codes = make_codes(std::move(shape), file, mxfp4_rows(blocks.data.data(), scales.data.data(), groups), "MXFP4", blocks.data.size() + scales.data.size());
  codes.form.outputs_first = true;
  return codes;
}

}  // namespace

Result<StoredCodes> open_codes(const Checkpoint& checkpoint, const QuantizationConfig& config, const std::string& name) {
  const std::string module = module_of_weight(name);
  if (!module.empty()) COLONNADE_TRY(refuse_layouts(checkpoint, module));
  COLONNADE_ASSIGN(const std::string prefix, sparse_prefix(checkpoint, name));
  if (!prefix.empty()) return open_sparse(checkpoint, name, prefix);
  if (!module.empty())
    if (const Tensor* words = checkpoint.find(module + ".weight_packed")) return open_packed(checkpoint, config, *words, module);
  const Tensor *blocks = checkpoint.find(name + "_blocks"), *scales = checkpoint.find(name + "_scales");
  if (blocks != nullptr && scales != nullptr) return open_mxfp4(checkpoint, *blocks, *scales);
  if (blocks != nullptr || scales != nullptr)
    return Error{ErrorCode::kCorrupt, text("tensor ", name, " has ", name, blocks != nullptr ? "_blocks but lacks " : "_scales but lacks ", name,
                                           blocks != nullptr ? "_scales" : "_blocks")};
  const Tensor* tensor = checkpoint.find(name);
  if (tensor == nullptr)
    return Error{ErrorCode::kNotFound, text("tensor ", name, " is missing: expected in ", checkpoint.file_names().front(),
                                            checkpoint.file_names().size() > 1 ? " or the other files" : "")};
  const std::string& file = checkpoint.file_of(*tensor);
  if (!is_weight_dtype(tensor->dtype) && !needs_scale(tensor->dtype)) return unsupported_dtype(text(name, " in ", file), tensor->dtype);
  const std::uint64_t cols = tensor->shape.empty() ? 1 : tensor->shape.back();
  StoredCodes codes = make_codes(tensor->shape, file, plain_rows(tensor->dtype, tensor->data.data(), cols), dtype_name(tensor->dtype), tensor->data.size());
  codes.need_scale = needs_scale(tensor->dtype);
  return codes;
}

}  // namespace colonnade::shard
