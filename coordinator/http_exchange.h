// The exchange of one request on a connection: handlers fill it from their side, the session (http_session.cc) sends
// from the other. Internal to the server.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "coordinator/http_message.h"

namespace colonnade::coordinator {

/// The loop that all connections run on. Exchanges keep it alive: a generator may still hold one after the server
/// has stopped, and what it posts then is dropped.
struct HttpLoop {
  boost::asio::io_context context;
  std::atomic<bool> stopped{false};
  std::atomic<std::size_t> body_bytes{0};  // in the bodies of all requests
};

/// What one body holds of HttpLoop::body_bytes.
class BodyShare {
 public:
  explicit BodyShare(std::shared_ptr<HttpLoop> loop) : loop_(std::move(loop)) {}
  ~BodyShare() { loop_->body_bytes -= size_; }
  BodyShare(const BodyShare&) = delete;
  BodyShare& operator=(const BodyShare&) = delete;

  /// False when all bodies together are then more than `limit`.
  bool grow_to(std::size_t size, std::size_t limit) {
    const std::size_t more = size - std::exchange(size_, size);
    return (loop_->body_bytes += more) <= limit;
  }

 private:
  std::shared_ptr<HttpLoop> loop_;
  std::size_t size_ = 0;
};

class SocketExchange final : public HttpExchange {
 public:
  SocketExchange(std::shared_ptr<HttpLoop> loop, const boost::asio::any_io_executor& strand, HttpRequest request,
                 std::unique_ptr<BodyShare> body_share, std::size_t max_unsent_bytes);

  // For handlers.
  const HttpRequest& request() const override { return request_; }
  std::string take_body() override;
  void post(std::function<void()> function) override;
  void respond(HttpResponse response) override;
  void start_stream(HttpResponse head) override;
  void write(std::string_view bytes) override;
  void end() override;
  void on_closed(std::function<void()> function) override;

  // For the session, on the strand.
  enum class Phase { kWaiting, kWhole, kStream };
  Phase phase() const { return phase_; }
  bool ended() const { return ended_; }
  bool closed() const { return closed_; }
  const HttpResponse& response() const { return response_; }
  bool has_output() const { return !output_.empty(); }
  std::string take_output() { return std::exchange(output_, {}); }
  /// The client is gone: tells the handler, once.
  void close();
  /// Returns when any of the above may have changed.
  boost::asio::awaitable<void> changed();

 private:
  void notify() { wake_.cancel(); }

  std::shared_ptr<HttpLoop> loop_;
  boost::asio::any_io_executor strand_;
  boost::asio::steady_timer wake_;
  HttpRequest request_;
  std::unique_ptr<BodyShare> body_share_;
  const std::size_t max_unsent_bytes_;
  Phase phase_ = Phase::kWaiting;
  HttpResponse response_;
  std::string output_;  // written by the handler, not sent yet
  bool ended_ = false;
  bool closed_ = false;
  std::function<void()> on_closed_;
};

}  // namespace colonnade::coordinator
