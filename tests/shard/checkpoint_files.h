// Checkpoints written by tests, good and bad ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "tests/support/shared_data.h"

namespace colonnade::tests {

struct FileTensor {
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::string bytes;
};
using FileTensors = std::map<std::string, FileTensor>;

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

inline std::string with_length(const std::string& json) {
  const std::uint64_t length = json.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + json;
}

inline std::string json_list(const std::vector<std::uint64_t>& values) {
  std::string out;
  for (const std::uint64_t v : values) out.append(out.empty() ? "" : ",").append(std::to_string(v));
  return "[" + out + "]";
}

/// The bytes of a safetensors file.
inline std::string safetensors_bytes(const FileTensors& tensors) {
  std::string json = "{\"__metadata__\":{\"format\":\"pt\"}";
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    json += ",\"" + name + "\":{\"dtype\":\"" + tensor.dtype + "\",\"shape\":" + json_list(tensor.shape) +
            ",\"data_offsets\":" + json_list({data.size(), data.size() + tensor.bytes.size()}) + "}";
    data += tensor.bytes;
  }
  return with_length(json + "}") + data;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

inline void write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

/// A small golden of the repository's own.
inline std::filesystem::path golden(const std::string& name) {
  return source_folder() / "tests/data/golden" / name;
}

/// A writable copy of a golden's config.json and model.safetensors.
inline std::filesystem::path copy_golden(const std::string& name, const std::filesystem::path& to) {
  std::filesystem::create_directories(to);
  for (const char* file : {"config.json", "model.safetensors"}) write_file(to / file, read_file(golden(name) / file));
  return to;
}

/// `text` with the first `from` replaced by `to`.
inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

}  // namespace colonnade::tests
