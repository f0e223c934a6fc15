#include "coordinator/http_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "coordinator/http_session.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"

namespace colonnade::coordinator {
namespace asio = boost::asio;
using asio::ip::tcp;

struct HttpServer::State : HttpShared {
  State(const HttpServerOptions& server_options, HttpHandler server_handler)
      : HttpShared(server_options, std::move(server_handler)),
        acceptor(asio::make_strand(loop->context)),
        work(loop->context.get_executor()) {}
  tcp::acceptor acceptor;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::vector<std::thread> threads;
  std::mutex stop_mutex;
  std::chrono::steady_clock::time_point limit = std::chrono::steady_clock::time_point::max();  // under `mutex`
};

namespace {

std::chrono::steady_clock::time_point after(double seconds) {
  return std::chrono::steady_clock::now() + std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6));
}

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

/// Removes those that ended; returns how many are left. The caller holds the mutex.
std::size_t count_connections(HttpShared& shared) {
  shared.connections.remove_if([](const auto& connection) { return connection.expired(); });
  return shared.connections.size();
}

asio::awaitable<void> accept_connections(std::shared_ptr<HttpShared> shared, tcp::acceptor& acceptor) {
  while (acceptor.is_open()) {
    auto [error, socket] = co_await acceptor.async_accept(asio::make_strand(shared->loop->context), kAwait);
    if (!acceptor.is_open()) co_return;
    if (error) {
      // Out of file descriptors, or a client that left already: the next try may work.
      asio::steady_timer pause(acceptor.get_executor(), std::chrono::milliseconds(50));
      co_await pause.async_wait(kAwait);
      continue;
    }
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    const auto strand = socket.get_executor();
    auto connection = std::make_shared<HttpConnection>(std::move(socket));
    bool refuse = false;
    {
      const std::lock_guard lock(shared->mutex);
      refuse = count_connections(*shared) >= static_cast<std::size_t>(shared->options.max_connections);
      shared->connections.push_back(connection);
    }
    asio::co_spawn(strand, run_http_session(shared, connection, refuse), [shared](const std::exception_ptr& failure) {
      if (failure) log_error("http: a connection ended by an exception");
      shared->changed.notify_all();
    });
  }
}

/// Runs `action` on every connection, each on its own strand.
template <typename Action>
void for_each_connection(HttpShared& shared, Action action) {
  const std::lock_guard lock(shared.mutex);
  for (const auto& weak : shared.connections) {
    if (const auto connection = weak.lock()) {
      asio::post(connection->stream.get_executor(), [connection, action] { action(*connection); });
    }
  }
}

void close_connection(HttpConnection& connection) {
  if (connection.exchange) connection.exchange->close();
  connection.stream.close();
}

}  // namespace

HttpServer::HttpServer(const HttpServerOptions& options, HttpHandler handler)
    : state_(std::make_shared<State>(options, std::move(handler))) {}

HttpServer::~HttpServer() { stop(0); }

Result<std::uint16_t> HttpServer::start() {
  const HttpServerOptions& options = state_->options;
  boost::system::error_code error;
  tcp::resolver resolver(state_->loop->context);
  const auto found = resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, error);
  if (error || found.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 text("expected an address of this machine to listen at, found \"", options.host, "\": ", error.message())};
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  tcp::acceptor& acceptor = state_->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return Error{ErrorCode::kIo, text("cannot listen at ", options.host, ":", options.port, ": ", error.message())};
  }
  asio::co_spawn(acceptor.get_executor(), accept_connections(state_, acceptor), asio::detached);
  for (int i = 0; i < options.threads; ++i) {
    state_->threads.emplace_back([loop = state_->loop] { loop->context.run(); });
  }
  return acceptor.local_endpoint().port();
}

bool HttpServer::stop(double seconds) {
  State& state = *state_;
  const std::lock_guard once(state.stop_mutex);
  if (state.threads.empty()) return true;
  state.draining = true;
  asio::post(state.acceptor.get_executor(), [shared = state_] {
    boost::system::error_code ignored;
    shared->acceptor.close(ignored);
  });
  for_each_connection(state, [](HttpConnection& connection) {
    if (connection.idle) connection.stream.close();
  });

  bool finished = false;
  {
    std::unique_lock lock(state.mutex);
    state.limit = std::min(state.limit, after(seconds));
    while (state.in_flight > 0 && std::chrono::steady_clock::now() < state.limit) {
      const auto limit = state.limit;  // hurry() may change it meanwhile
      state.changed.wait_until(lock, limit);
    }
    finished = state.in_flight == 0;
  }
  for_each_connection(state, close_connection);
  {
    // Every connection's coroutine ends by itself once its socket is closed.
    std::unique_lock lock(state.mutex);
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (count_connections(state) > 0 && std::chrono::steady_clock::now() < limit) {
      state.changed.wait_for(lock, std::chrono::milliseconds(20));
    }
  }
  state.loop->stopped = true;
  state.work.reset();
  state.loop->context.stop();
  for (std::thread& thread : state.threads) thread.join();
  state.threads.clear();
  // What was posted last may hold exchanges, which hold the loop.
  state.loop->context.restart();
  state.loop->context.poll();
  return finished;
}

void HttpServer::hurry(double seconds) {
  const std::lock_guard lock(state_->mutex);
  state_->limit = std::min(state_->limit, after(seconds));
  state_->changed.notify_all();
}

}  // namespace colonnade::coordinator
