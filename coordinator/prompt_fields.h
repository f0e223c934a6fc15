// The prompts of /v1/completions and the inputs of /v1/embeddings: a field in four forms.
#pragma once

#include <cstdint>
#include <vector>

#include "coordinator/api_backend.h"
#include "coordinator/request_fields.h"

namespace colonnade::coordinator {

inline constexpr int kMaxPrompts = 128;  // of one request

using Prompts = std::vector<std::vector<std::int32_t>>;

/// A string, a list of strings, a list of token ids, or a list of such lists. Mistakes go to `fields`.
Prompts read_prompts(RequestFields& fields, const ApiBackend& backend, const char* name = "prompt", int most = kMaxPrompts);

}  // namespace colonnade::coordinator
