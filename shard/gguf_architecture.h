// What GGUF calls an architecture, put in the words of a family (shard/family.h): which keys of its metadata are which fields of
// config.json, and what its tensors are called. The tables of gguf_architecture.cc are all that a new one needs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"
#include "shard/family.h"
#include "shard/gguf.h"

namespace colonnade::shard {

enum class GgufKeyKind { kNumber, kFlag };

/// A key after "<architecture>." and the field of config.json that says the same.
struct GgufKey {
  const char* key;
  const char* field;
  GgufKeyKind kind = GgufKeyKind::kNumber;
};

/// A field that GGUF has no key for because the architecture implies it; `json` is its value.
struct GgufImplied {
  const char* field;
  const char* json;
};

/// A module of a layer: the family's name of it, and GGUF's ("blk.<layer>.<gguf>.weight").
struct GgufModule {
  const char* TensorNames::*family;
  const char* gguf;
  bool whole_name = false;  // the family's is that of a tensor, without ".weight" or ".bias"
};

struct GgufArchitecture {
  const char* name;                     // general.architecture
  const char* model_type;               // of the family
  const char* only_with = nullptr;      // a key without which the entry does not apply: one architecture, several families
  std::int64_t with_value = -1;         // and the value that the key must have; -1: any
  std::vector<GgufKey> keys = {};       // beside those of all architectures
  std::vector<GgufImplied> implied = {};
  std::vector<GgufModule> modules = {}; // where they differ from those of most architectures
  void (*complete)(Json& config) = nullptr;  // what follows from several fields; they are all there
  /// Rows of queries and keys are ordered for a rotation of neighbours (2i, 2i + 1), where transformers rotates (i, i + n / 2).
  bool rotates_neighbours = false;
  /// Norms hold what transformers adds TensorNames::norm_offset to with the offset already added.
  bool norms_with_offset = false;
};

/// By the header's general.architecture. kUnsupported lists those that are known.
Result<const GgufArchitecture*> gguf_architecture_of(const GgufHeader& header, std::string_view where);

/// Keys and modules that (nearly) all architectures have.
std::span<const GgufKey> shared_gguf_keys();
std::span<const GgufModule> shared_gguf_modules();
/// Modules that are of no layer.
std::span<const GgufModule> outer_gguf_modules();

}  // namespace colonnade::shard
