// The fields of /v1/chat/completions that make its prompt and say how the answer is read.
#pragma once

#include <string>
#include <vector>

#include "coordinator/api_backend.h"
#include "coordinator/request_fields.h"
#include "engine/text/chat_output/chat_output.h"
#include "engine/text/chat_template.h"

namespace colonnade::coordinator {

inline constexpr std::size_t kMaxTools = 1024;

enum class CallChoice {
  kNone,      // the model gets no tools
  kAuto,
  kRequired,  // at least one call
};

struct ChatRequest {
  engine::ChatInput input;  // as the model's template wants it
  std::string chat_template;  // of the request's own, "" for the model's
  std::vector<engine::ToolSignature> tools;
  CallChoice choice = CallChoice::kNone;
  std::string function;     // kRequired: this one; "" is any
  bool parallel_calls = true;
};

/// Mistakes go to `fields`, which reads the same body. `ordered` has the keys of objects in the order in which they were
/// sent: templates print them.
ChatRequest read_chat_request(RequestFields& fields, const OrderedJson& ordered, const ApiBackend& backend);

}  // namespace colonnade::coordinator
