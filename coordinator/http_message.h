// One HTTP request and its answer, as handlers see them: no sockets and no HTTP library in here.
#pragma once

#include <concepts>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace colonnade::coordinator {

struct HttpRequest {
  std::string method;  // "GET"; HEAD arrives as GET
  std::string path;    // without the query
  std::string query;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string peer;    // address of the client

  /// "" when there is none. `name` in lower case.
  const std::string& header(const std::string& name) const {
    static const std::string none;
    const auto found = headers.find(name);
    return found == headers.end() ? none : found->second;
  }
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  HttpHeaders headers = {};
};

/// Answers one request: respond() once, or start_stream(), write()…, end(). Everything but post() must be called on
/// the exchange's own strand: inside the handler or inside a function given to post(). Calls after the client left
/// are ignored.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual const HttpRequest& request() const = 0;
  /// Moves the body out of request(): what has been read need not stay as long as the answer takes.
  virtual std::string take_body() = 0;

  /// Runs `function` soon on the strand of this exchange, in order. From any thread; never blocks.
  virtual void post(std::function<void()> function) = 0;

  virtual void respond(HttpResponse response) = 0;

  /// The body is sent as it comes; response.body is ignored.
  virtual void start_stream(HttpResponse head) = 0;
  virtual void write(std::string_view bytes) = 0;
  virtual void end() = 0;

  /// `function` runs on the strand when the client left before the answer was complete.
  virtual void on_closed(std::function<void()> function) = 0;
};

struct HttpHandler {
  template <typename Answer>
    requires std::invocable<Answer&, const std::shared_ptr<HttpExchange>&>
  HttpHandler(Answer function) : answer(std::move(function)) {}

  std::function<void(const std::shared_ptr<HttpExchange>&)> answer;
  /// Called with a request without its body, before a large one is read: an answer here refuses it. Thread-safe; none
  /// lets everything in.
  std::function<std::optional<HttpResponse>(const HttpRequest&)> refuse = {};
};

}  // namespace colonnade::coordinator
