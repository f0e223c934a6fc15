// The JSON of a safetensors header, read in one pass without building a tree, so that memory stays proportional to
// the tensors described. Untrusted bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::shard {

struct HeaderTensor {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;  // data_offsets
  std::uint64_t end = 0;
};

/// kCorrupt names the first thing that is not as the format wants it. `what` names the file.
Result<std::vector<HeaderTensor>> parse_safetensors_json(std::string_view json, std::string_view what);

}  // namespace colonnade::shard
