// GGUF files written by tests, good and bad ones.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace colonnade::tests {

struct GgufTestTensor {
  std::string name;
  std::vector<std::uint64_t> dims;  // the fastest first, as in the file
  std::uint32_t type = 0;
  std::string bytes = {};
  std::int64_t offset = -1;         // of the data; -1: behind the one before
};

/// Writes a file of version 3 by the format's description.
class GgufWriter {
 public:
  void add(const std::string& key, std::uint32_t value) { entry(key, 4), number(values_, value); }
  void add(const std::string& key, float value) { entry(key, 6), number(values_, value); }
  void add(const std::string& key, const std::string& value) { entry(key, 8), string(values_, value); }
  void add(const std::string& key, const std::vector<std::string>& list) {
    entry(key, 9), number(values_, std::uint32_t{8}), number(values_, std::uint64_t{list.size()});
    for (const std::string& value : list) string(values_, value);
  }
  void add(GgufTestTensor tensor) { tensors_.push_back(std::move(tensor)); }

  std::uint32_t version = 3;
  std::uint64_t extra_tensors = 0;  // that the header only claims

  std::string bytes() const {
    constexpr std::uint64_t kAlignment = 32;
    std::string infos, data;
    for (const GgufTestTensor& tensor : tensors_) {
      string(infos, tensor.name);
      number(infos, static_cast<std::uint32_t>(tensor.dims.size()));
      for (const std::uint64_t n : tensor.dims) number(infos, n);
      number(infos, tensor.type);
      number(infos, tensor.offset >= 0 ? static_cast<std::uint64_t>(tensor.offset) : std::uint64_t{data.size()});
      data += tensor.bytes;
      data.resize((data.size() + kAlignment - 1) / kAlignment * kAlignment, '\0');
    }
    std::string out = "GGUF";
    number(out, version);
    number(out, std::uint64_t{tensors_.size()} + extra_tensors);
    number(out, n_values_);
    out += values_ + infos;
    out.resize((out.size() + kAlignment - 1) / kAlignment * kAlignment, '\0');
    return out + data;
  }

 private:
  template <typename T>
  static void number(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  static void string(std::string& out, const std::string& value) {
    number(out, std::uint64_t{value.size()});
    out += value;
  }
  void entry(const std::string& key, std::uint32_t type) {
    string(values_, key);
    number(values_, type);
    ++n_values_;
  }

  std::string values_;
  std::uint64_t n_values_ = 0;
  std::vector<GgufTestTensor> tensors_;
};

}  // namespace colonnade::tests
