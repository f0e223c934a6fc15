// A client on a plain socket, which can also misbehave.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace colonnade::tests {

struct RawResponse {
  int status = 0;  // 0: the connection ended before a whole answer
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // without chunk framing
  bool complete = false;
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void send(std::string_view bytes);
  RawResponse receive(bool head_only = false);
  /// Reads until `words` have come (true) or the connection ended.
  bool receive_until(std::string_view words);
  /// True when the server closed the connection (waits for it).
  bool at_end();
  void close();

  RawResponse get(const std::string& path, const std::string& headers = "");
  RawResponse post(const std::string& path, const std::string& body, const std::string& headers = "");

 private:
  bool read_more();  // into buffer_
  int socket_ = -1;
  std::string buffer_;
};

/// The "data:" lines of an event stream.
std::vector<std::string> sse_events(const std::string& body);

}  // namespace colonnade::tests
