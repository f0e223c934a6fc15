#include "engine/base/check.h"

#include <cstdio>
#include <cstdlib>

#include "engine/base/result.h"

namespace colonnade {

void check_failed(const char* file, int line, const char* condition, std::string_view message) {
  std::fprintf(stderr, "colonnade: internal error at %s:%d: %s: %.*s\n", file, line, condition,
               static_cast<int>(message.size()), message.data());
  std::fflush(stderr);
  std::abort();
}

const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "invalid argument";
    case ErrorCode::kNotFound: return "not found";
    case ErrorCode::kCorrupt: return "corrupt";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kExhausted: return "exhausted";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kTimeout: return "timeout";
    case ErrorCode::kCancelled: return "cancelled";
    case ErrorCode::kUnauthenticated: return "unauthenticated";
    case ErrorCode::kIo: return "input/output";
  }
  return "unknown";
}

}  // namespace colonnade
