#include "shard/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "engine/base/format_text.h"
#include "shard/safetensors_header.h"

namespace colonnade::shard {
namespace {

struct DtypeInfo {
  Dtype dtype;
  const char* name;
  std::uint64_t bytes;
};
constexpr std::array<DtypeInfo, 16> kDtypes{{
    {Dtype::kF64, "F64", 8}, {Dtype::kF32, "F32", 4}, {Dtype::kF16, "F16", 2}, {Dtype::kBf16, "BF16", 2},
    {Dtype::kI64, "I64", 8}, {Dtype::kI32, "I32", 4}, {Dtype::kI16, "I16", 2}, {Dtype::kI8, "I8", 1},
    {Dtype::kU64, "U64", 8}, {Dtype::kU32, "U32", 4}, {Dtype::kU16, "U16", 2}, {Dtype::kU8, "U8", 1},
    {Dtype::kBool, "BOOL", 1}, {Dtype::kF8E4M3, "F8_E4M3", 1}, {Dtype::kF8E5M2, "F8_E5M2", 1}, {Dtype::kF8E8M0, "F8_E8M0", 1},
}};

// The limit of the reference implementation: 100 MB hold a million tensors.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

const DtypeInfo& info(Dtype dtype) {
  return *std::find_if(kDtypes.begin(), kDtypes.end(), [&](const DtypeInfo& d) { return d.dtype == dtype; });
}

Error corrupt(std::string message) { return Error{ErrorCode::kCorrupt, std::move(message)}; }

/// Product of the shape and the element size, or nothing when it overflows.
bool tensor_bytes(std::span<const std::uint64_t> shape, std::uint64_t element_bytes, std::uint64_t& bytes) {
  bytes = element_bytes;
  for (const std::uint64_t n : shape)
    if (__builtin_mul_overflow(bytes, n, &bytes)) return false;
  return true;
}

Result<Tensor> check_tensor(HeaderTensor&& entry, std::span<const std::byte> data, std::string_view what) {
  const auto dtype = std::find_if(kDtypes.begin(), kDtypes.end(),
                                  [&](const DtypeInfo& d) { return entry.dtype == d.name; });
  if (dtype == kDtypes.end())
    return Error{ErrorCode::kUnsupported, text(what, ": tensor ", entry.name, " has unknown dtype ", entry.dtype)};
  if (entry.begin > entry.end || entry.end > data.size())
    return corrupt(text(what, ": tensor ", entry.name, " lies at bytes ", entry.begin, " to ", entry.end,
                        " of the data, but the file has ", data.size(), " bytes of data (truncated?)"));
  std::uint64_t expected = 0;
  if (!tensor_bytes(entry.shape, dtype->bytes, expected) || expected != entry.end - entry.begin)
    return corrupt(text(what, ": tensor ", entry.name, " of shape ", shape_text(entry.shape), " ", entry.dtype,
                        " has ", entry.end - entry.begin, " bytes, which does not fit the shape"));
  return Tensor{std::move(entry.name), dtype->dtype, std::move(entry.shape),
                data.subspan(entry.begin, entry.end - entry.begin)};
}

}  // namespace

const char* dtype_name(Dtype dtype) { return info(dtype).name; }
std::uint64_t dtype_bytes(Dtype dtype) { return info(dtype).bytes; }

Result<std::vector<Tensor>> parse_safetensors(std::span<const std::byte> file, std::string_view what) {
  if (file.size() < 8)
    return corrupt(text(what, ": expected a safetensors file of at least 8 bytes, found ", file.size(), " bytes"));
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), 8);
  if (header_bytes > kMaxHeaderBytes)
    return corrupt(text(what, ": header length is ", header_bytes, " bytes, the limit is ", kMaxHeaderBytes,
                        " (not a safetensors file?)"));
  if (header_bytes > file.size() - 8)
    return corrupt(text(what, ": header needs ", header_bytes, " bytes, the file has ", file.size() - 8,
                        " after the length (truncated?)"));
  const std::string_view json(reinterpret_cast<const char*>(file.data()) + 8, header_bytes);
  COLONNADE_ASSIGN(std::vector<HeaderTensor> entries, parse_safetensors_json(json, what));

  const auto data = file.subspan(8 + header_bytes);
  std::vector<Tensor> tensors;
  tensors.reserve(entries.size());
  for (HeaderTensor& entry : entries) {
    COLONNADE_ASSIGN(Tensor tensor, check_tensor(std::move(entry), data, what));
    tensors.push_back(std::move(tensor));
  }

  // The format knows no holes and no overlap, so in file order each tensor begins where the one before ends.
  std::sort(tensors.begin(), tensors.end(), [](const Tensor& a, const Tensor& b) {
    return std::pair(a.data.data(), a.data.size()) < std::pair(b.data.data(), b.data.size());
  });
  const std::byte* end = data.data();
  for (const Tensor& tensor : tensors) {
    if (tensor.data.data() != end)
      return corrupt(text(what, ": tensor ", tensor.name, " begins at byte ", tensor.data.data() - data.data(),
                          " of the data, expected ", end - data.data(),
                          tensor.data.data() < end ? " (it overlaps another)" : " (there is a hole)"));
    end = tensor.data.data() + tensor.data.size();
  }
  if (end != data.data() + data.size())
    return corrupt(text(what, ": the header describes ", end - data.data(), " bytes of data, the file has ",
                        data.size()));

  std::sort(tensors.begin(), tensors.end(), [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(tensors.begin(), tensors.end(),
                                        [](const Tensor& a, const Tensor& b) { return a.name == b.name; });
  if (twice != tensors.end()) return corrupt(text(what, ": tensor ", twice->name, " is described twice"));
  return tensors;
}

}  // namespace colonnade::shard
