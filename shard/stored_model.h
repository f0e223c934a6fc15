// A model as somebody else stored it, seen as a Hugging Face directory: small files and tensors by name. What it really is
// matters in here and nowhere else.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "shard/manifest.h"
#include "shard/tensor_source.h"

namespace colonnade::shard {

/// kNotFound and kInvalidArgument when `model` cannot be one: what was expected and what is there.
Status check_stored_model(const std::filesystem::path& model);

/// The text of config.json, and what stands for that file in messages.
std::string stored_config_name(const std::filesystem::path& model);
Result<std::string> read_stored_config(const std::filesystem::path& model);

/// What serving needs beside the weights, by the names that a Hugging Face directory gives them: configuration, tokenizer,
/// chat templates, generation defaults.
Result<std::vector<SourceFile>> read_stored_files(const std::filesystem::path& model);

/// `config` is what read_stored_config() gave: it says how weights are quantised.
Result<std::unique_ptr<const TensorSource>> open_stored_tensors(const std::filesystem::path& model, const std::string& config);

/// The files whose names, sizes and times tell whether the model is still the same, sorted.
Result<std::vector<std::filesystem::path>> list_stored_files(const std::filesystem::path& model);

/// "tales" of "/models/tales/".
std::string stored_model_name(const std::filesystem::path& model);

}  // namespace colonnade::shard
