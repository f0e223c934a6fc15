// How anything inside this folder fails: by an exception, because a limit is met or an operand is wrong in the middle of
// loops, macros and filters. It never leaves the folder: template.cc turns it into a Result and adds the line.
#pragma once

#include <string>
#include <utility>

#include "engine/base/result.h"

namespace colonnade::engine::jinja {

struct TemplateError {
  ErrorCode code;
  std::string message;
  int line = 0;  // 0: that of the node being evaluated
};

[[noreturn]] inline void fail(std::string message, ErrorCode code = ErrorCode::kInvalidArgument) {
  throw TemplateError{code, std::move(message)};
}

}  // namespace colonnade::engine::jinja
