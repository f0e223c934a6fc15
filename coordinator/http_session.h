// One connection: reads requests, hands them to the handler, sends the answers. Internal to the server.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>

#include "coordinator/http_exchange.h"
#include "coordinator/http_server.h"

namespace colonnade::coordinator {

/// All members but the constructor's are touched on the connection's strand only.
struct HttpConnection {
  explicit HttpConnection(boost::asio::ip::tcp::socket socket)
      : stream(std::move(socket)), watch_ended(stream.get_executor()) {}

  boost::beast::tcp_stream stream;
  boost::beast::flat_buffer buffer;          // read but not yet parsed
  bool idle = true;                          // between requests
  bool watching = false;                     // a read waits for the client to leave
  bool at_end = false;                       // it left; reading again would wait for news that never come
  boost::asio::steady_timer watch_ended;
  std::shared_ptr<SocketExchange> exchange;  // of the request in flight
};

/// What all connections of one server share.
struct HttpShared {
  HttpShared(const HttpServerOptions& server_options, HttpHandler server_handler)
      : options(server_options), handler(std::move(server_handler)) {}

  const HttpServerOptions options;
  const HttpHandler handler;
  std::shared_ptr<HttpLoop> loop = std::make_shared<HttpLoop>();
  std::atomic<bool> draining{false};

  std::mutex mutex;
  std::condition_variable changed;  // of the two below
  std::list<std::weak_ptr<HttpConnection>> connections;
  int in_flight = 0;  // requests from their first byte to the end of the answer

  void add_in_flight(int amount) {
    const std::lock_guard lock(mutex);
    in_flight += amount;
    changed.notify_all();
  }
};

/// Serves the connection to its end; `refuse` answers 503 at once.
boost::asio::awaitable<void> run_http_session(std::shared_ptr<HttpShared> shared,
                                              std::shared_ptr<HttpConnection> connection, bool refuse);

}  // namespace colonnade::coordinator
