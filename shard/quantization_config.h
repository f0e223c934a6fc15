// What quantization_config of a config.json says of how weights are stored: what their tensors cannot tell by themselves.
// compressed-tensors, DeepSeek's block-scaled fp8, MXFP4.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::shard {

/// Of the modules of one group; what is not said is 0.
struct QuantizationScheme {
  int bits = 0;                   // of an integer
  std::uint64_t group_size = 0;   // columns that share a scale
  std::uint64_t block_rows = 0;   // rows and columns that share a scale
  std::uint64_t block_cols = 0;
};

/// Immutable, so thread-safe.
class QuantizationConfig {
 public:
  /// Says nothing.
  QuantizationConfig() = default;

  /// `config` is the text of config.json, `where` its name in messages. kUnsupported names a layout that is not read here,
  /// kInvalidArgument a field that is wrong. Untrusted bytes.
  static Result<QuantizationConfig> parse(std::string_view config, std::string_view where);

  /// Of the module ("model.layers.0.mlp.up_proj"): an exact path beats a pattern, and a pattern a class of modules. All zeros
  /// when nothing is said of it.
  const QuantizationScheme& scheme_of(std::string_view module) const;

  /// Packed integers of a width that does not divide 32 continue across words, as since release 0.18 of compressed-tensors.
  bool packs_across_words() const { return packs_across_words_; }

 private:
  struct Target {
    std::string text;  // a class, a path, or "re:" and a pattern
    std::size_t scheme;
  };

  friend struct QuantizationConfigReader;
  std::vector<QuantizationScheme> schemes_{QuantizationScheme{}};  // the first says nothing
  std::vector<Target> targets_;
  bool packs_across_words_ = false;
};

}  // namespace colonnade::shard
