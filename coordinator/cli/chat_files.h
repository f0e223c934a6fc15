// The chat templates of what a user names: a Hugging Face directory, a packed model, a GGUF file or a template's own file.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/text/chat_template.h"
#include "shard/manifest.h"

namespace colonnade::cli {

/// Of a packed model; an empty set when it has none. With `file` that template takes the place of the model's.
Result<std::shared_ptr<const engine::ChatTemplates>> chat_templates_of(const shard::Manifest& manifest, const std::string& file = {});

/// `model` is a directory of either kind, a GGUF file, or a file with a template. kNotFound when there is no template.
Result<engine::ChatTemplates> open_chat_templates(const std::filesystem::path& model);

}  // namespace colonnade::cli
