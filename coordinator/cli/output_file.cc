#include "coordinator/cli/output_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "engine/base/format_text.h"

namespace colonnade::cli {

Status check_output_file(std::string_view option, const std::string& path) {
  const auto refuse = [&](const std::string& why) {
    return Error{ErrorCode::kInvalidArgument, text(option, ": expected a file that can be written, found ", path, ": ", why)};
  };
  std::error_code ignored;
  const std::filesystem::path file(path);
  if (std::filesystem::is_directory(file, ignored)) return refuse("a directory");
  if (std::filesystem::exists(file, ignored)) return access(path.c_str(), W_OK) == 0 ? Status{} : Status{refuse(std::strerror(errno))};
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  if (!std::filesystem::is_directory(folder, ignored)) return refuse(text("there is no directory ", folder.string()));
  if (access(folder.c_str(), W_OK) != 0) return refuse(std::strerror(errno));
  return {};
}

}  // namespace colonnade::cli
