// Options whose value is a list with commas: "1,4,16".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::cli {

/// The parts between commas. kInvalidArgument, naming `option`, for an empty part; "" is an empty list.
Result<std::vector<std::string>> word_list(std::string_view option, std::string_view list);

/// kInvalidArgument names `option` and the part that is no number within min … max.
Result<std::vector<double>> number_list(std::string_view option, std::string_view list, double min, double max);
Result<std::vector<int>> integer_list(std::string_view option, std::string_view list, int min, int max);

}  // namespace colonnade::cli
