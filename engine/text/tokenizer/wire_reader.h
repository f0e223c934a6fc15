// The fields of a Protobuf message, read one after another from untrusted bytes: enough for tokenizer.model, without the
// library.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>

namespace colonnade::engine {

struct WireField {
  std::uint32_t number = 0;
  std::uint64_t value = 0;     // varint, or the bits of a fixed field
  std::string_view bytes;      // of a field with a length
  bool has_length = false;

  bool flag() const { return value != 0; }
  std::int32_t integer() const { return static_cast<std::int32_t>(static_cast<std::uint32_t>(value)); }
  float number_32() const { return std::bit_cast<float>(static_cast<std::uint32_t>(value)); }
};

/// Reads until the end or the first thing that is not a field.
class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}

  /// The next field; nullopt at the end, or when the bytes are no Protobuf: then failed().
  std::optional<WireField> next() {
    if (rest_.empty() || failed_) return std::nullopt;
    const std::uint64_t key = varint();
    WireField field;
    field.number = static_cast<std::uint32_t>(key >> 3);
    switch (key & 7) {
      case 0: field.value = varint(); break;
      case 1: field.value = fixed(8); break;
      case 2: {
        const std::uint64_t size = varint();
        if (size > rest_.size()) failed_ = true;
        if (failed_) break;
        field.bytes = rest_.substr(0, static_cast<std::size_t>(size));
        field.has_length = true;
        rest_.remove_prefix(static_cast<std::size_t>(size));
        break;
      }
      case 5: field.value = fixed(4); break;
      default: failed_ = true;
    }
    if (failed_ || field.number == 0) failed_ = true;
    return failed_ ? std::nullopt : std::optional(field);
  }
  bool failed() const { return failed_; }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) break;
      const auto byte = static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    failed_ = true;
    return 0;
  }
  std::uint64_t fixed(std::size_t size) {
    if (rest_.size() < size) return failed_ = true, 0;
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(rest_[i]);
    rest_.remove_prefix(size);
    return value;
  }

  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace colonnade::engine
