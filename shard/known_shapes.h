// Shapes of well-known models, for sizing and measuring without their files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/config.h"

namespace colonnade::shard {

/// "llama-3.2-1b", …
std::vector<std::string> known_shape_names();

/// kNotFound lists the names.
Result<engine::ModelConfig> known_shape(std::string_view name);

}  // namespace colonnade::shard
