// `response_format` and `grammar` of a request.
#pragma once

#include <string_view>

#include "coordinator/api_request.h"
#include "coordinator/request_fields.h"

namespace colonnade::coordinator {

/// Sets the constraint of request.generation. Call when the prompts are there: whether the model reasons first is seen in
/// them. `text` is the body, from which schemas are read with their keys in order.
void read_constraint(RequestFields& fields, std::string_view text, const ApiBackend& backend, ApiRequest& request);

}  // namespace colonnade::coordinator
