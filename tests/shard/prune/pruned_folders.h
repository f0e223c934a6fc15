// What tests of whole prunes share: text, and what a directory holds.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/shared_data.h"

namespace colonnade::tests {

inline std::filesystem::path golden_folder(const std::string& name) { return source_folder() / "tests/data/golden" / name; }

inline std::filesystem::path new_folder(const std::string& name) {
  const auto folder = scratch_folder() / name;
  std::filesystem::remove_all(folder);
  return folder;
}

/// Windows of tokens that repeat in the way of no text, of unequal lengths.
inline std::vector<std::vector<std::int32_t>> some_windows(int vocab_size, std::size_t count, std::size_t length = 48) {
  std::vector<std::vector<std::int32_t>> windows(count);
  std::uint32_t state = 12345;
  for (std::size_t w = 0; w < count; ++w)
    for (std::size_t t = 0; t < (w + 1 == count ? 17 : length); ++t) {
      state = state * 1664525u + 1013904223u;
      windows[w].push_back(static_cast<std::int32_t>((state >> 8) % static_cast<std::uint32_t>(vocab_size)));
    }
  return windows;
}

/// By name.
inline std::map<std::string, std::string> contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::stringstream content;
    content << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    files[entry.path().filename().string()] = content.str();
  }
  return files;
}

}  // namespace colonnade::tests
