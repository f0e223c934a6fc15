#include "shard/prune/pruned_tensors.h"

#include <cstring>

#include "engine/base/check.h"
#include "engine/base/format_text.h"
#include "engine/formats/bf16.h"

namespace colonnade::shard {
namespace {

constexpr std::string_view kWeight = ".weight";

template <typename T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

void add_bitmask(const std::string& module, std::uint64_t rows, std::uint64_t cols, const std::vector<std::uint16_t>& values,
                 SafetensorsFile& file) {
  const std::size_t mask_bytes = (cols + 7) / 8;
  std::vector<std::uint16_t> kept;
  std::vector<std::uint8_t> mask(rows * mask_bytes);
  std::vector<std::int64_t> offsets;
  for (std::size_t r = 0; r < rows; ++r) {
    offsets.push_back(static_cast<std::int64_t>(kept.size()));
    for (std::size_t c = 0; c < cols; ++c) {
      const std::uint16_t value = values[r * cols + c];
      if ((value & 0x7fffu) == 0) continue;
      std::uint8_t& byte = mask[r * mask_bytes + c / 8];
      byte = static_cast<std::uint8_t>(byte | 1u << c % 8);
      kept.push_back(value);
    }
  }
  const std::vector<std::uint64_t> shape{rows, cols};
  file.add_owned(module + ".compressed", Dtype::kBf16, {kept.size()}, bytes_of(kept));
  file.add_owned(module + ".bitmask", Dtype::kU8, {rows, mask_bytes}, bytes_of(mask));
  file.add_owned(module + ".row_offsets", Dtype::kI64, {rows}, bytes_of(offsets));
  file.add_owned(module + ".shape", Dtype::kI64, {2}, bytes_of(shape));
}

}  // namespace

Result<PrunedLayout> parse_pruned_layout(std::string_view text) {
  for (const PrunedLayout layout : {PrunedLayout::kDense, PrunedLayout::kBitmask})
    if (text == pruned_layout_name(layout)) return layout;
  return Error{ErrorCode::kInvalidArgument, colonnade::text("layout: expected dense or sparse-bitmask, found ", text)};
}

const char* pruned_layout_name(PrunedLayout layout) { return layout == PrunedLayout::kDense ? "dense" : "sparse-bitmask"; }

Status PrunedTensors::put(const TensorPart& source_part, MatrixShape whole, RowRange rows, std::span<const std::uint16_t> values) {
  COLONNADE_CHECK(values.size() == rows.count() * whole.cols, "rows of a pruned matrix have another size than was said");
  const TensorRows& source = model_.tensor(source_part.tensor);
  const TensorPart part = model_.plain_part(source_part);
  const auto [at, is_new] = pending_.try_emplace(source.name());
  Pending& tensor = at->second;
  if (is_new) {
    tensor.shape = model_.plain_shape(part.tensor);
    tensor.cols = tensor.shape.empty() ? 1 : tensor.shape.back();
    tensor.values.resize(source.rows() * source.cols());
    // Of a stack that is turned every matrix is put.
    if (whole.rows * whole.cols != tensor.values.size() && tensor.shape == source.shape()) {
      std::vector<float> row(tensor.cols);
      for (std::uint64_t r = 0; r < source.rows(); ++r) {
        COLONNADE_TRY(source.read({r, 1, 0, tensor.cols}, row.data(), tensor.cols));
        for (std::size_t c = 0; c < tensor.cols; ++c) tensor.values[r * tensor.cols + c] = engine::f32_to_bf16(row[c]);
      }
    }
  }
  for (std::size_t r = rows.first; r < rows.last; ++r) {
    const std::size_t place = part.source_row(r);
    const std::uint16_t* const row = values.data() + (r - rows.first) * whole.cols;
    for (std::size_t c = 0; c < whole.cols; ++c) {
      const std::size_t index = part.transposed ? (part.slice_row + c) * tensor.cols + place : (part.slice_row + place) * tensor.cols + c;
      tensor.values[index] = row[c];
    }
  }
  tensor.filled += values.size();
  if (whole.rows * whole.cols == tensor.values.size() && tensor.filled == tensor.values.size()) {
    add(at->first, tensor);
    pending_.erase(at);
  }
  return {};
}

void PrunedTensors::finish() {
  for (const auto& [name, tensor] : pending_) add(name, tensor);
  pending_.clear();
}

void PrunedTensors::add(const std::string& name, const Pending& tensor) {
  if (layout_ == PrunedLayout::kBitmask && tensor.shape.size() == 2 && name.ends_with(kWeight)) {
    add_bitmask(name.substr(0, name.size() - kWeight.size()), tensor.shape[0], tensor.shape[1], tensor.values, file_);
  } else {
    file_.add_owned(name, Dtype::kBf16, tensor.shape, bytes_of(tensor.values));
  }
}

}  // namespace colonnade::shard
