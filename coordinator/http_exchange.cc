#include "coordinator/http_exchange.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "engine/base/format_text.h"
#include "engine/base/log.h"

namespace colonnade::coordinator {
namespace asio = boost::asio;

SocketExchange::SocketExchange(std::shared_ptr<HttpLoop> loop, const asio::any_io_executor& strand,
                               HttpRequest request, std::unique_ptr<BodyShare> body_share,
                               std::size_t max_unsent_bytes)
    : loop_(std::move(loop)),
      strand_(strand),
      wake_(strand),
      request_(std::move(request)),
      body_share_(std::move(body_share)),
      max_unsent_bytes_(max_unsent_bytes) {}

std::string SocketExchange::take_body() {
  body_share_.reset();
  return std::exchange(request_.body, {});
}

void SocketExchange::post(std::function<void()> function) {
  if (loop_->stopped) return;
  asio::post(strand_, [function = std::move(function)] {
    try {
      function();
    } catch (const std::exception& error) {
      log_error(text("http: a request's handler failed: ", error.what()));
    }
  });
}

void SocketExchange::respond(HttpResponse response) {
  if (closed_ || phase_ != Phase::kWaiting) return;
  response_ = std::move(response);
  phase_ = Phase::kWhole;
  end();
}

void SocketExchange::start_stream(HttpResponse head) {
  if (closed_ || phase_ != Phase::kWaiting) return;
  response_ = std::move(head);
  phase_ = Phase::kStream;
  notify();
}

void SocketExchange::write(std::string_view bytes) {
  if (closed_ || ended_ || phase_ != Phase::kStream) return;
  output_.append(bytes);
  if (output_.size() > max_unsent_bytes_) {
    log_warning(text("http: ", request_.peer, " reads too slowly: ", output_.size(), " bytes are waiting; closing"));
    close();
    return;
  }
  notify();
}

void SocketExchange::end() {
  ended_ = true;
  on_closed_ = nullptr;  // it usually holds the handler's state, which holds this exchange
  notify();
}

void SocketExchange::on_closed(std::function<void()> function) {
  if (closed_) {
    post(std::move(function));
  } else if (!ended_) {
    on_closed_ = std::move(function);
  }
}

void SocketExchange::close() {
  if (closed_) return;
  closed_ = true;
  output_.clear();
  if (on_closed_) post(std::exchange(on_closed_, nullptr));
  notify();
}

asio::awaitable<void> SocketExchange::changed() {
  wake_.expires_at(asio::steady_timer::time_point::max());
  co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
}

}  // namespace colonnade::coordinator
