// config.json of a Hugging Face directory -> engine::ModelConfig, with the semantics of Hugging Face transformers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "engine/base/result.h"
#include "engine/model/config.h"

namespace colonnade::shard {

/// Reads `path`, a config.json, a directory that has one, or a GGUF file. Weights are not needed, and their layout
/// (shard/quantization_config.h) is not looked at. kUnsupported names the architecture or option and lists what is
/// supported; kInvalidArgument names the field, the expected and the found value.
Result<engine::ModelConfig> read_model_config(const std::filesystem::path& path);

/// The same from the text of the file; `where` names it in messages. Untrusted bytes.
Result<engine::ModelConfig> parse_model_config(std::string_view text, std::string_view where);

/// The checks that every user of a configuration relies on, whoever made it: sizes within limits, counts that divide.
/// kInvalidArgument names the field in the engine's words.
Status check_model_config(const engine::ModelConfig& config);

/// Parameters of the whole model, and those that one token uses: all but the experts that are not chosen.
struct ParameterCount {
  std::uint64_t total = 0;
  std::uint64_t active = 0;
};
ParameterCount count_parameters(const engine::ModelConfig& config);

}  // namespace colonnade::shard
