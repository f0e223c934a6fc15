// Errors in OpenAI's shape: {"error": {"message", "type", "param", "code"}}.
#pragma once

#include <string>

#include "coordinator/http_message.h"
#include "engine/base/json.h"
#include "engine/base/result.h"

namespace colonnade::coordinator {

struct ApiError {
  int status = 400;
  std::string message;
  std::string param = {};  // the field at fault; "" is null
  std::string code = {};   // "" is null
};

/// What an error of ours means to a client.
ApiError api_error(const Error& error);

Json error_json(const ApiError& error);
HttpResponse error_response(const ApiError& error);

}  // namespace colonnade::coordinator
