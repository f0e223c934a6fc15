// Files that commands write at their end.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace colonnade::cli {

/// Whether `path` could be written: a file that may be replaced, or a new one in a directory that takes files. To be found
/// out before work that takes long; changes nothing. Errors (kInvalidArgument) name the option.
Status check_output_file(std::string_view option, const std::string& path);

}  // namespace colonnade::cli
