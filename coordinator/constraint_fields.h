// `response_format` and `grammar` of a request.
#pragma once

#include <string_view>

#include "coordinator/api_request.h"
#include "coordinator/request_fields.h"

namespace colonnade::coordinator {

/// Sets the constraint of request.generation. Call when the prompts are there: whether the model reasons first is seen in
/// them. `text` is the body, from which schemas are read with their keys in order.
void read_constraint(RequestFields& fields, std::string_view text, const ApiBackend& backend, ApiRequest& request);

/// The token that ends reasoning which the prompt has opened; -1 where it has not, or where (a mistake of `field`) no token
/// ends it.
std::int32_t reasoning_end_token(RequestFields& fields, const char* field, const ApiBackend& backend, const ApiRequest& request);

}  // namespace colonnade::coordinator
