// What a model that is not packed yet consists of: the forms in which somebody else stored its tensors.
#pragma once

#include <filesystem>
#include <string>

#include "engine/base/result.h"

namespace colonnade::cli {

/// A table, or JSON, of a Hugging Face directory or a GGUF file, which is checked as pack checks it. With `tensors` every tensor is
/// listed.
Result<std::string> inspect_source(const std::filesystem::path& model, bool as_json, bool tensors);

}  // namespace colonnade::cli
