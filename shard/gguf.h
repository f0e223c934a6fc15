// The header of a GGUF file (ggml's format, versions 2 and 3): its metadata and where its tensors lie.
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::shard {

/// Integers of all widths and booleans are std::int64_t, numbers with a fraction double. Lists of lists are read over and
/// kept as an empty list.
using GgufValue = std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>,
                               std::vector<std::string>>;

struct GgufTensor {
  std::string name;
  std::vector<std::uint64_t> dims;  // the fastest first, at most 4
  std::uint32_t type = 0;           // ggml_type
  std::uint64_t offset = 0;         // from GgufHeader::data_begin
};

struct GgufHeader {
  std::map<std::string, GgufValue, std::less<>> values;
  std::vector<GgufTensor> tensors;
  std::uint64_t alignment = 32;  // general.alignment
  std::uint64_t data_begin = 0;  // of the file, after padding to it

  const GgufValue* find(std::string_view key) const;
  /// nullopt when the key is missing; kCorrupt when its value is of another kind.
  Result<std::optional<std::int64_t>> integer(std::string_view key) const;
  Result<std::optional<bool>> boolean(std::string_view key) const;
  Result<std::optional<std::string>> string(std::string_view key) const;
  /// Integers count as numbers.
  Result<std::optional<double>> number(std::string_view key) const;
  /// Empty when the key is missing.
  Result<std::vector<std::string>> strings(std::string_view key) const;
  Result<std::vector<std::int64_t>> integers(std::string_view key) const;
  Result<std::vector<double>> numbers(std::string_view key) const;
};

/// Whether a file begins as a GGUF file does.
bool is_gguf(std::string_view bytes);

/// `bytes` is the file, or its beginning up to the tensors' data. `name` stands for it in messages. Memory is bounded by a
/// multiple of bytes.size(), whatever the counts in the file say. kUnsupported: another version, or big-endian.
Result<GgufHeader> read_gguf_header(std::string_view bytes, std::string_view name);

/// A GGUF file without tensors that has only the keys that begin with `prefix`: what a packed model keeps of a GGUF source.
std::string write_gguf_metadata(const GgufHeader& header, std::string_view prefix);

}  // namespace colonnade::shard
