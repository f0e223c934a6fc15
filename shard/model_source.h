// From what a user names on the command line to a packed model that can be served: a packed directory is used as
// it is; a Hugging Face directory is packed into a cache first.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/formats/format.h"
#include "shard/format_choice.h"
#include "shard/manifest.h"

namespace colonnade::shard {

struct PackOptions {
  engine::FormatId values = engine::FormatId::kBf16;  // a dense format; which of those with its values is chosen by matrix
  int threads = 0;                                    // 0: all granted CPUs
  std::string name;                                   // "" : the source directory's name
  std::optional<FormatRules> rules = {};              // in place of `values`
  int output_heads = 0;                               // ModelConfig::output_heads; 0: that of the source model's configuration
  std::function<void(double)> on_progress = {};       // in place of a progress bar: called with the fraction that is done, from any thread
};

/// Packs the Hugging Face directory `source` into `out` (must not exist or be empty, or hold an unfinished pack of
/// ours, which is removed). Formats are chosen by shard/format_choice.h. Shows progress. Nothing that looks finished is left behind by an error or a kill.
Result<Manifest> pack_model(const std::filesystem::path& source, const std::filesystem::path& out,
                            const PackOptions& options);

struct OpenedModel {
  Manifest manifest;
  std::filesystem::path directory;  // of the packed model
};

/// Opens `model` for serving. For a Hugging Face directory: states memory and disk needs, packs into
/// `cache` (default: $XDG_CACHE_HOME/colonnade or ~/.cache/colonnade) under its fingerprint unless that is there.
/// `values` "" means the default (bf16 for 16-bit and f32 sources). It is an error to ask a packed model for
/// other values than it has.
Result<OpenedModel> open_model(const std::filesystem::path& model, const std::string& values,
                               const std::filesystem::path& cache);

}  // namespace colonnade::shard
