// One request to /v1/completions or /v1/chat/completions while it runs.
#pragma once

#include <memory>

#include "coordinator/api_backend.h"
#include "coordinator/api_request.h"
#include "coordinator/http_message.h"

namespace colonnade::coordinator {

struct CompletionMetrics {
  explicit CompletionMetrics(Metrics& metrics);
  Counter& prompt_tokens;
  Counter& generated_tokens;
  Histogram& time_to_first_token_s;
  Histogram& inter_token_s;
  Histogram& request_s;
};

/// Submits the request's choices and answers `exchange` as their tokens come. An error before the first of them runs
/// is returned instead. `head` has the headers that every answer gets. Call on the exchange's strand.
std::optional<ApiError> start_completion(const ApiBackend& backend, CompletionMetrics& metrics, ApiRequest request,
                                         std::shared_ptr<HttpExchange> exchange, HttpHeaders headers);

}  // namespace colonnade::coordinator
