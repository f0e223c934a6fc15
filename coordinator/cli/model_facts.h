// Whether a model can be served from this host, and whether it is the same one as elsewhere.
#pragma once

#include <filesystem>
#include <string>

#include "coordinator/cli/host_facts.h"

namespace colonnade::cli {

/// Reads the manifest or the configuration, not the weights. "" asks for no model.
ModelFacts read_model_facts(const std::string& model);

/// Sixteen hexadecimal digits; "" when the file cannot be read.
std::string file_checksum(const std::filesystem::path& path);

}  // namespace colonnade::cli
