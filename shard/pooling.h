// How an encoder's directory says that token vectors become one: modules.json and the files that it names, as
// sentence-transformers writes them.
#pragma once

#include <filesystem>

#include "engine/base/result.h"
#include "engine/model/config.h"

namespace colonnade::shard {

/// Sets `pooling` and `unit_length`. Without modules.json: the mean, as sentence-transformers takes it then.
/// kUnsupported names a module or a way of pooling that is not known here.
Status read_pooling(const std::filesystem::path& directory, engine::ModelConfig& config);

/// Writes what read_pooling() reads.
Status write_pooling(const std::filesystem::path& directory, const engine::ModelConfig& config);

}  // namespace colonnade::shard
