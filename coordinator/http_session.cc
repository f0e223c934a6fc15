#include "coordinator/http_session.h"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <optional>

#include "engine/base/format_text.h"
#include "engine/base/log.h"

namespace colonnade::coordinator {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
/// Bytes of following requests that are read while one is being answered.
constexpr std::size_t kReadAheadBytes = 64 << 10;
/// Bodies up to here are read before anything is refused, so that the connection can go on.
constexpr std::size_t kSmallBodyBytes = 64 << 10;

std::chrono::microseconds duration(double seconds) {
  return std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6));
}

using Parser = http::request_parser<http::string_body>;

HttpResponse error_response(int status, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.body = text(R"({"error":{"message":")", message, R"(","type":")",
                       status < 500 ? "invalid_request_error" : "server_error", R"(","param":null,"code":null}})");
  return response;
}

std::string head_of(const HttpResponse& response, bool keep_alive, bool http_11, bool stream, bool head_only) {
  const http::status status = http::int_to_status(static_cast<unsigned>(response.status));
  std::string head = text("HTTP/1.1 ", response.status, " ", http::obsolete_reason(status),
                          "\r\nServer: colonnade\r\nContent-Type: ", response.content_type, "\r\n");
  for (const auto& [name, value] : response.headers) head += text(name, ": ", value, "\r\n");
  if (!stream || head_only) {
    head += text("Content-Length: ", response.body.size(), "\r\n");
  } else if (http_11) {
    head += "Transfer-Encoding: chunked\r\n";
  }
  return head += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
}

/// Every co_await stands alone, with named arguments: g++ 12 destroys some temporaries of such expressions twice, and
/// awaits on the wrong side of &&.
class Session {
 public:
  Session(std::shared_ptr<HttpShared> shared, std::shared_ptr<HttpConnection> connection)
      : shared_(std::move(shared)), connection_(std::move(connection)), stream_(connection_->stream) {
    beast::error_code ignored;
    const auto peer = stream_.socket().remote_endpoint(ignored);
    if (!ignored) peer_ = text(peer.address().to_string(), ":", peer.port());
  }

  asio::awaitable<void> run() {
    while (!shared_->draining) {
      const bool arrived = co_await wait_for_request();
      if (!arrived) break;
      connection_->idle = false;
      shared_->add_in_flight(1);
      const bool usable = co_await serve_one();
      shared_->add_in_flight(-1);
      connection_->idle = true;
      if (!usable) break;
    }
    beast::error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    stream_.close();
  }

  asio::awaitable<void> refuse(const HttpResponse& response) {
    const std::string head = head_of(response, false, true, false, false);
    co_await send(head, response.body);
    co_await linger();
  }

 private:
  /// True when the first bytes of a request are in the buffer.
  asio::awaitable<bool> wait_for_request() {
    if (connection_->buffer.size() > 0) co_return true;
    stream_.expires_after(duration(shared_->options.idle_timeout_s));
    const auto [error, n] = co_await stream_.async_read_some(connection_->buffer.prepare(8192), kAwait);
    connection_->buffer.commit(n);
    co_return !error;
  }

  /// Reads one request, has it answered and sends the answer. False when the connection cannot be used further.
  asio::awaitable<bool> serve_one() {
    std::optional<Parser> parser(std::in_place);
    parser->header_limit(static_cast<std::uint32_t>(shared_->options.max_header_bytes));
    parser->body_limit(shared_->options.max_body_bytes);
    stream_.expires_after(duration(shared_->options.header_timeout_s));
    auto [error, n] = co_await http::async_read_header(stream_, connection_->buffer, *parser, kAwait);
    if (!error && !is_small(*parser) && shared_->handler.refuse) {
      const std::optional<HttpResponse> response = shared_->handler.refuse(request_of(parser->get()));
      if (response) {
        co_await refuse(*response);
        co_return false;
      }
    }
    if (!error && beast::iequals(parser->get()[http::field::expect], "100-continue")) {
      const bool sent = co_await send("HTTP/1.1 100 Continue\r\n\r\n", {});
      if (!sent) co_return false;
    }
    std::optional<HttpResponse> refusal;
    auto body_share = std::make_unique<BodyShare>(shared_->loop);
    stream_.expires_after(duration(shared_->options.body_timeout_s));
    parser->eager(true);
    while (!error && !parser->is_done()) {
      std::tie(error, n) = co_await http::async_read_some(stream_, connection_->buffer, *parser, kAwait);
      if (!body_share->grow_to(parser->get().body().size(), shared_->options.max_all_body_bytes)) {
        refusal = error_response(503, "too many large requests at once");
        break;
      }
    }
    if (error) refusal = response_to(error);
    if (error || refusal) {
      // What was read goes first: refusing may take as long as the client likes to send.
      parser.reset();
      body_share.reset();
      if (refusal) co_await refuse(*refusal);
      co_return false;
    }
    const bool keep_alive = parser->get().keep_alive();
    const bool http_11 = parser->get().version() >= 11;
    const bool head_only = parser->get().method() == http::verb::head;
    HttpRequest request = request_of(parser->get());
    request.body = std::move(parser->get().body());
    parser.reset();
    auto exchange = std::make_shared<SocketExchange>(shared_->loop, stream_.get_executor(), std::move(request),
                                                     std::move(body_share), shared_->options.max_unsent_bytes);
    const bool usable = co_await answer(exchange, keep_alive, http_11, head_only);
    co_return usable && keep_alive;
  }

  asio::awaitable<bool> answer(std::shared_ptr<SocketExchange> exchange, bool keep_alive, bool http_11, bool head_only) {
    connection_->exchange = exchange;
    connection_->watching = true;
    asio::co_spawn(stream_.get_executor(), watch(connection_, exchange), asio::detached);
    try {
      shared_->handler.answer(exchange);
    } catch (const std::exception& error) {
      log_error(text("http: the handler failed: ", error.what()));
      exchange->respond(error_response(500, "internal error"));
    }
    while (!exchange->closed() && exchange->phase() == SocketExchange::Phase::kWaiting) co_await exchange->changed();
    bool sent = !exchange->closed();
    if (sent) {
      const bool stream = exchange->phase() == SocketExchange::Phase::kStream;
      keep_alive = keep_alive && !shared_->draining && (http_11 || !stream);
      const HttpResponse& response = exchange->response();
      const std::string head = head_of(response, keep_alive, http_11, stream, head_only);
      const std::string_view body = head_only ? std::string_view() : std::string_view(response.body);
      sent = co_await send(head, body);
      if (sent && stream && !head_only) sent = co_await send_stream(*exchange, http_11);
    }
    if (!sent) exchange->close();
    connection_->exchange = nullptr;
    co_await end_watch();
    co_return sent && keep_alive && !connection_->at_end;
  }

  /// One chunk for everything that has gathered since the last one.
  asio::awaitable<bool> send_stream(SocketExchange& exchange, bool chunked) {
    for (;;) {
      if (exchange.closed()) co_return false;
      const bool last = exchange.ended();
      const std::string output = exchange.take_output();
      std::string bytes;
      if (!chunked) {
        bytes = output;
      } else if (!output.empty()) {
        bytes = text(std::hex, output.size(), "\r\n", output, "\r\n");
      }
      if (last && chunked) bytes += "0\r\n\r\n";
      if (!bytes.empty()) {
        const bool sent = co_await send(bytes, {});
        if (!sent) co_return false;
      }
      if (last) co_return true;
      if (!exchange.closed() && !exchange.ended() && !exchange.has_output()) co_await exchange.changed();
    }
  }

  /// Sees that the client leaves while its answer is being made. What it sends meanwhile is kept for later.
  static asio::awaitable<void> watch(std::shared_ptr<HttpConnection> connection,
                                     std::shared_ptr<SocketExchange> exchange) {
    while (connection->exchange == exchange && connection->buffer.size() < kReadAheadBytes) {
      connection->stream.expires_never();
      const auto [error, n] = co_await connection->stream.async_read_some(connection->buffer.prepare(4096), kAwait);
      connection->buffer.commit(n);
      if (error) {
        connection->at_end = error != asio::error::operation_aborted;
        if (connection->at_end) exchange->close();
        break;
      }
    }
    connection->watching = false;
    connection->watch_ended.cancel();
  }

  asio::awaitable<void> end_watch() {
    while (connection_->watching) {
      beast::error_code ignored;
      stream_.socket().cancel(ignored);
      connection_->watch_ended.expires_at(asio::steady_timer::time_point::max());
      co_await connection_->watch_ended.async_wait(kAwait);
    }
  }

  asio::awaitable<bool> send(std::string_view head, std::string_view body) {
    stream_.expires_after(duration(shared_->options.write_timeout_s));
    const std::array<asio::const_buffer, 2> buffers{asio::buffer(head), asio::buffer(body)};
    const auto [error, n] = co_await asio::async_write(stream_, buffers, kAwait);
    co_return !error;
  }

  /// Lets the client read an early answer: closing with unread input would reset the connection under it.
  asio::awaitable<void> linger() {
    beast::error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    stream_.expires_after(std::chrono::seconds(2));
    std::array<char, 16384> sink;
    for (;;) {
      const auto [error, n] = co_await stream_.async_read_some(asio::buffer(sink), kAwait);
      if (error) break;
    }
    stream_.close();
  }

  std::optional<HttpResponse> response_to(beast::error_code error) const {
    if (error == http::error::header_limit) {
      return error_response(431, text("the request's head must be at most ", shared_->options.max_header_bytes, " bytes"));
    }
    if (error == http::error::body_limit) {
      return error_response(413, text("the request's body must be at most ", shared_->options.max_body_bytes, " bytes"));
    }
    if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
    if (error.category() != make_error_code(http::error::bad_method).category()) return std::nullopt;
    return error_response(400, "malformed HTTP request: " + error.message());
  }

  static bool is_small(const Parser& parser) {
    return !parser.chunked() && parser.content_length().value_or(0) <= kSmallBodyBytes;
  }

  /// Without the body.
  HttpRequest request_of(const http::request<http::string_body>& message) const {
    HttpRequest request;
    request.method = message.method() == http::verb::head ? "GET" : std::string(message.method_string());
    const std::string target(message.target());
    const std::size_t question = target.find('?');
    request.path = target.substr(0, question);
    if (question != std::string::npos) request.query = target.substr(question + 1);
    for (const auto& field : message) {
      std::string name(field.name_string());
      std::transform(name.begin(), name.end(), name.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      });
      request.headers.emplace(std::move(name), field.value());
    }
    request.peer = peer_;
    return request;
  }

  std::shared_ptr<HttpShared> shared_;
  std::shared_ptr<HttpConnection> connection_;
  beast::tcp_stream& stream_;
  std::string peer_ = "client";
};

}  // namespace

asio::awaitable<void> run_http_session(std::shared_ptr<HttpShared> shared, std::shared_ptr<HttpConnection> connection,
                                       bool refuse) {
  Session session(shared, connection);
  if (refuse) {
    co_await session.refuse(error_response(503, "too many connections"));
  } else {
    co_await session.run();
  }
}

}  // namespace colonnade::coordinator
