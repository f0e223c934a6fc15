#include "shard/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>

#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kMostAlignment = 1 << 20;
constexpr std::uint32_t kMostDims = 4;
constexpr int kMostNesting = 4;

enum ValueType : std::uint32_t {
  kUint8, kInt8, kUint16, kInt16, kUint32, kInt32, kFloat32, kBool, kString, kArray, kUint64, kInt64, kFloat64
};

/// Reads little-endian values one after another; remembers the first failure.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  T number() {
    T value{};
    if (bytes_.size() - at_ < sizeof value) failed_ = true;
    if (failed_) return value;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::string string() {
    const auto size = number<std::uint64_t>();
    if (size > bytes_.size() - at_) failed_ = true;
    if (failed_) return {};
    std::string value(bytes_.substr(at_, static_cast<std::size_t>(size)));
    at_ += static_cast<std::size_t>(size);
    return value;
  }
  /// A count of things that take at least `least_bytes` each.
  std::uint64_t count(std::uint64_t least_bytes) {
    const auto value = number<std::uint64_t>();
    if (value > (bytes_.size() - at_) / least_bytes) failed_ = true;
    return failed_ ? 0 : value;
  }
  bool failed() const { return failed_; }
  void fail() { failed_ = true; }
  std::size_t at() const { return at_; }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

std::int64_t read_integer(Reader& reader, std::uint32_t type) {
  switch (type) {
    case kUint8: case kBool: return reader.number<std::uint8_t>();
    case kInt8: return reader.number<std::int8_t>();
    case kUint16: return reader.number<std::uint16_t>();
    case kInt16: return reader.number<std::int16_t>();
    case kUint32: return reader.number<std::uint32_t>();
    case kInt32: return reader.number<std::int32_t>();
    // Nothing that is counted comes near 2^63.
    case kUint64: return static_cast<std::int64_t>(reader.number<std::uint64_t>());
    default: return reader.number<std::int64_t>();
  }
}

double read_fraction(Reader& reader, std::uint32_t type) {
  return type == kFloat32 ? static_cast<double>(reader.number<float>()) : reader.number<double>();
}

std::uint64_t least_bytes(std::uint32_t type) {
  constexpr std::uint64_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
  return type < std::size(kBytes) ? kBytes[type] : 1;
}

GgufValue read_array(Reader& reader, int depth) {
  const auto type = reader.number<std::uint32_t>();
  if (type > kFloat64 || depth > kMostNesting) reader.fail();
  const std::uint64_t n = reader.count(least_bytes(type));
  if (type == kString) {
    std::vector<std::string> values;
    for (std::uint64_t i = 0; i < n && !reader.failed(); ++i) values.push_back(reader.string());
    return values;
  }
  if (type == kFloat32 || type == kFloat64) {
    std::vector<double> values;
    for (std::uint64_t i = 0; i < n; ++i) values.push_back(read_fraction(reader, type));
    return values;
  }
  std::vector<std::int64_t> values;
  for (std::uint64_t i = 0; i < n && !reader.failed(); ++i) {
    if (type == kArray) read_array(reader, depth + 1);
    else values.push_back(read_integer(reader, type));
  }
  return values;
}

GgufValue read_value(Reader& reader) {
  const auto type = reader.number<std::uint32_t>();
  if (type > kFloat64) reader.fail();
  if (type == kString) return reader.string();
  if (type == kArray) return read_array(reader, 0);
  if (type == kFloat32 || type == kFloat64) return read_fraction(reader, type);
  return read_integer(reader, type);
}

GgufTensor read_tensor(Reader& reader) {
  GgufTensor tensor;
  tensor.name = reader.string();
  const auto n_dims = reader.number<std::uint32_t>();
  if (n_dims > kMostDims) reader.fail();
  for (std::uint32_t i = 0; i < n_dims && !reader.failed(); ++i) tensor.dims.push_back(reader.number<std::uint64_t>());
  tensor.type = reader.number<std::uint32_t>();
  tensor.offset = reader.number<std::uint64_t>();
  return tensor;
}

}  // namespace

bool is_gguf(std::string_view bytes) { return bytes.starts_with(kMagic); }

Result<GgufHeader> read_gguf_header(std::string_view bytes, std::string_view name) {
  static_assert(std::endian::native == std::endian::little, "values are copied as they lie in the file");
  if (!is_gguf(bytes)) return Error{ErrorCode::kCorrupt, text(name, ": a GGUF file begins with \"GGUF\", found other bytes")};
  Reader reader(bytes.substr(kMagic.size()));
  const auto version = reader.number<std::uint32_t>();
  if (version != 0 && (version & 0xffffu) == 0) {
    return Error{ErrorCode::kUnsupported, text(name, ": a big-endian GGUF file; only little-endian ones are read")};
  }
  if (version < 2 || version > 3) {
    return Error{ErrorCode::kUnsupported, text(name, ": GGUF version must be 2 or 3, found ", version)};
  }
  const auto broken = [&](std::string_view what) {
    return Error{ErrorCode::kCorrupt, text(name, ": GGUF header is cut off or damaged in ", what, " (byte ",
                                           kMagic.size() + reader.at(), " of ", bytes.size(), ")")};
  };
  GgufHeader header;
  const std::uint64_t n_tensors = reader.count(24);
  const std::uint64_t n_values = reader.count(13);
  if (reader.failed()) return broken("its counts");
  for (std::uint64_t i = 0; i < n_values; ++i) {
    std::string key = reader.string();
    GgufValue value = read_value(reader);
    if (reader.failed()) return broken(text("the value of key ", i, " of ", n_values));
    header.values.insert_or_assign(std::move(key), std::move(value));
  }
  for (std::uint64_t i = 0; i < n_tensors; ++i) {
    header.tensors.push_back(read_tensor(reader));
    if (reader.failed()) return broken(text("tensor ", i, " of ", n_tensors));
  }
  COLONNADE_ASSIGN(const auto alignment_value, header.integer("general.alignment"));
  const auto alignment = static_cast<std::uint64_t>(alignment_value.value_or(kDefaultAlignment));
  if (!std::has_single_bit(alignment) || alignment > kMostAlignment) {
    return Error{ErrorCode::kCorrupt, text(name, ": general.alignment must be a power of two up to ", kMostAlignment,
                                           ", found ", alignment)};
  }
  const std::uint64_t end = kMagic.size() + reader.at();
  header.alignment = alignment;
  header.data_begin = (end + alignment - 1) / alignment * alignment;
  return header;
}

std::string write_gguf_metadata(const GgufHeader& header, std::string_view prefix) {
  std::string out(kMagic);
  const auto put = [&](auto value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); };
  const auto put_string = [&](std::string_view value) {
    put(std::uint64_t{value.size()});
    out += value;
  };
  const auto put_one = [&](const auto& value) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) put_string(value);
    else put(value);
  };
  std::uint64_t n_values = 0;
  for (const auto& [key, value] : header.values) n_values += key.starts_with(prefix) ? 1 : 0;
  put(std::uint32_t{3});
  put(std::uint64_t{0});
  put(n_values);
  constexpr std::uint32_t kTypes[] = {kInt64, kFloat64, kString};  // of the variant's first three, and of lists of them
  for (const auto& [key, value] : header.values) {
    if (!key.starts_with(prefix)) continue;
    put_string(key);
    const bool is_list = value.index() >= std::size(kTypes);
    if (is_list) put(std::uint32_t{kArray});
    put(kTypes[value.index() % std::size(kTypes)]);
    std::visit(
        [&](const auto& held) {
          if constexpr (std::is_arithmetic_v<std::decay_t<decltype(held)>> ||
                        std::is_same_v<std::decay_t<decltype(held)>, std::string>) {
            put_one(held);
          } else {
            put(std::uint64_t{held.size()});
            for (const auto& one : held) put_one(one);
          }
        },
        value);
  }
  return out;
}

}  // namespace colonnade::shard
