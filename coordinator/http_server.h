// An HTTP/1.1 server: connections, limits and time-outs, keep-alive, graceful stop. What requests mean is the
// handler's business (api.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "coordinator/http_message.h"
#include "engine/base/result.h"

namespace colonnade::coordinator {

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;  // 0: any free one
  int threads = 2;            // one may be busy with a long prompt while the other moves tokens
  int max_connections = 1024;
  std::size_t max_header_bytes = 32 << 10;
  std::size_t max_body_bytes = 32 << 20;
  std::size_t max_all_body_bytes = 256 << 20;  // of all requests that are being read or wait for their handler
  std::size_t max_unsent_bytes = 16 << 20;  // of one answer; a client that reads slower is dropped
  double header_timeout_s = 30;             // from the first byte of a request, and for its head
  double body_timeout_s = 60;
  double idle_timeout_s = 120;              // keep-alive
  double write_timeout_s = 60;              // a write that makes no progress
};

/// start(), then stop(). Thread-safe.
class HttpServer {
 public:
  HttpServer(const HttpServerOptions& options, HttpHandler handler);
  ~HttpServer();  // stop(0)

  /// Listens and returns the port. kInvalidArgument for a host that is no address, kIo when the port is taken.
  Result<std::uint16_t> start();

  /// Closes the door, lets requests in flight finish for at most `seconds`, then closes what is left and ends the
  /// threads. True when all had finished. Idempotent.
  bool stop(double seconds);

  /// A stop(), under way or to come, waits for at most `seconds` from now.
  void hurry(double seconds);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace colonnade::coordinator
