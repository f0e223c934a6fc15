// A made-up /proc and /sys in a scratch folder.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/shared_data.h"

namespace colonnade::tests {

class FixtureTree {
 public:
  FixtureTree& file(const std::string& path, const std::string& content) {
    const std::filesystem::path full = root_.string() + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << content << '\n';
    return *this;
  }
  std::string root() const { return root_.string(); }

 private:
  std::filesystem::path root_ = scratch_folder();
};

}  // namespace colonnade::tests
