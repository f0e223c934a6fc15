// A folder in memory for fuzz targets of code that opens files; removed at the end.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace colonnade::tests {

class FuzzFolder {
 public:
  FuzzFolder() {
    // A disk would be a hundred times slower.
    const std::filesystem::path memory = "/dev/shm";
    const auto base = std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
    std::string name = (base / "colonnade-fuzz-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  FuzzFolder(const FuzzFolder&) = delete;
  FuzzFolder& operator=(const FuzzFolder&) = delete;
  ~FuzzFolder() {
    std::error_code left;
    std::filesystem::remove_all(path_, left);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline const std::filesystem::path& fuzz_folder() {
  static const FuzzFolder folder;
  return folder.path();
}

inline std::filesystem::path write_fuzz_file(const char* name, const void* data, std::size_t size) {
  const auto file = fuzz_folder() / name;
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (descriptor < 0 || ::write(descriptor, data, size) != static_cast<ssize_t>(size)) std::abort();
  ::close(descriptor);
  return file;
}

}  // namespace colonnade::tests
