// Lists of CPUs as Linux writes them: "0-3,8".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::engine {

/// Ascending, without repeats. kInvalidArgument names the text. "" is the empty list.
Result<std::vector<int>> parse_cpu_list(std::string_view text);

/// {0, 1, 2, 3, 8} -> "0-3,8". `cpus` in any order.
std::string format_cpu_list(std::vector<int> cpus);

}  // namespace colonnade::engine
