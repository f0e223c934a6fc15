#include "tests/support/shared_data.h"

#include <cstdlib>
#include <string>
#include <vector>

namespace colonnade::tests {

std::filesystem::path source_folder() { return COLONNADE_SOURCE_DIR; }

std::filesystem::path shared_data() {
  if (const char* path = std::getenv("COLONNADE_SHARED")) return path;
  const std::filesystem::path beside = source_folder() / ".." / "shared";
  return std::filesystem::exists(beside / "golden") ? beside : std::filesystem::path{};
}

namespace {
struct ScratchFolders {
  std::vector<std::filesystem::path> paths;
  ~ScratchFolders() {
    std::error_code ignored;
    for (const auto& path : paths) std::filesystem::remove_all(path, ignored);
  }
};
}  // namespace

std::filesystem::path scratch_folder() {
  static ScratchFolders folders;
  std::string name = (std::filesystem::temp_directory_path() / "colonnade-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::abort();
  folders.paths.emplace_back(name);
  return name;
}

}  // namespace colonnade::tests
