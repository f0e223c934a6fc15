// One request to /v1/embeddings: each input is a generation of its own that generates nothing, so inputs of different lengths
// share steps without padding.
#pragma once

#include <memory>
#include <optional>

#include "coordinator/api_backend.h"
#include "coordinator/api_error.h"
#include "coordinator/http_message.h"

namespace colonnade::coordinator {

/// Inputs of one request.
inline constexpr int kMaxInputs = 2048;

/// Reads the request, submits its inputs and answers `exchange` when all vectors are there. An error before that is
/// returned instead. `headers` are those that every answer gets. Call on the exchange's strand.
std::optional<ApiError> start_embedding(const ApiBackend& backend, Counter& prompt_tokens,
                                        std::shared_ptr<HttpExchange> exchange, HttpHeaders headers);

}  // namespace colonnade::coordinator
