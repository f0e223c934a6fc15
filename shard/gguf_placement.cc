// Where the tensors of a GGUF file lie: checks of what its header says.
#include <algorithm>
#include <limits>

#include "engine/base/format_text.h"
#include "shard/gguf_file.h"

namespace colonnade::shard {
namespace {

Error corrupt(std::string message) { return {ErrorCode::kCorrupt, std::move(message)}; }

/// Bytes of a tensor, or an error: dimensions of zero, a first one that is not whole blocks, a product beyond 2^63.
Result<std::uint64_t> tensor_bytes(const GgufTensor& tensor, const GgufType& type, const std::string& where) {
  std::uint64_t values = 1;
  bool fits = !tensor.dims.empty();
  for (const std::uint64_t n : tensor.dims) fits = fits && n > 0 && !__builtin_mul_overflow(values, n, &values);
  if (!fits || values > std::uint64_t{std::numeric_limits<std::int64_t>::max()} / 8)
    return corrupt(text(where, ": expected 1 to 4 dimensions above 0 whose product is below 2^60, found ", shape_text(tensor.dims)));
  if (tensor.dims[0] % type.block_values != 0)
    return corrupt(text(where, ": expected rows of a multiple of ", type.block_values, " numbers for ", type.name, ", found ", tensor.dims[0]));
  return values / type.block_values * type.block_bytes;
}

}  // namespace

Result<std::vector<GgufPlacedTensor>> place_gguf_tensors(const GgufHeader& header, std::span<const std::byte> file, std::string_view name) {
  const std::uint64_t data_bytes = file.size() > header.data_begin ? file.size() - header.data_begin : 0;
  std::vector<GgufPlacedTensor> placed;
  placed.reserve(header.tensors.size());
  for (const GgufTensor& tensor : header.tensors) {
    const std::string where = text(name, ": tensor ", tensor.name);
    const GgufType* type = find_gguf_type(tensor.type);
    if (type == nullptr)
      return Error{ErrorCode::kUnsupported, text(where, " is of type ", gguf_type_name(tensor.type), ", which is not read; read are ", known_gguf_types())};
    COLONNADE_ASSIGN(const std::uint64_t bytes, tensor_bytes(tensor, *type, where));
    if (tensor.offset % header.alignment != 0)
      return corrupt(text(where, ": expected an offset that is a multiple of general.alignment ", header.alignment, ", found ", tensor.offset));
    if (tensor.offset > data_bytes || bytes > data_bytes - tensor.offset)
      return corrupt(text(where, ": needs ", bytes, " bytes from ", tensor.offset, " on, the file has ", data_bytes, " bytes of data (truncated?)"));
    placed.push_back({.name = tensor.name,
                      .shape = Shape(tensor.dims.rbegin(), tensor.dims.rend()),
                      .type = type,
                      .data = file.subspan(header.data_begin + tensor.offset, bytes)});
  }
  std::vector<const GgufPlacedTensor*> order;
  for (const GgufPlacedTensor& tensor : placed) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->data.data() < b->data.data(); });
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i]->data.data() < order[i - 1]->data.data() + order[i - 1]->data.size())
      return corrupt(text(name, ": tensor ", order[i]->name, " overlaps tensor ", order[i - 1]->name));
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i]->name == order[i - 1]->name) return corrupt(text(name, ": tensor ", order[i]->name, " is described twice"));
  return placed;
}

}  // namespace colonnade::shard
