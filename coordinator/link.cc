#include "coordinator/link.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iterator>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/version.h"
#include "worker/control.pb.h"

namespace colonnade::coordinator {
namespace {

namespace asio = boost::asio;
using asio::generic::stream_protocol;
using boost::system::error_code;

// Results with all logits of several rows are the largest frames.
constexpr std::size_t kMaxFrameBytes = std::size_t{256} << 20;
constexpr std::size_t kReadBytes = std::size_t{64} << 10;
constexpr std::chrono::milliseconds kRetry{20};   // a job that starts is found at most this late
constexpr std::chrono::milliseconds kTick{500};
constexpr std::chrono::seconds kConnectLimit{3};  // for one address; then the next is tried

std::chrono::microseconds to_duration(double seconds) {
  return std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6));
}

}  // namespace

struct Link::State : std::enable_shared_from_this<Link::State> {
  State(asio::io_context& io_context, LinkOptions link_options, LinkEvents link_events)
      : options(std::move(link_options)),
        events(std::move(link_events)),
        socket(io_context),
        resolver(io_context),
        timer(io_context) {}

  LinkOptions options;
  LinkEvents events;
  stream_protocol::socket socket;
  asio::ip::tcp::resolver resolver;
  asio::steady_timer timer;
  bool closed = false;
  bool connecting = false;
  bool welcomed = false;
  std::size_t attempt = 0;      // what an earlier attempt began may still call back
  std::int64_t started_us = now_us();
  std::int64_t heard_us = now_us();

  control::Frame incoming;
  control::Frame outgoing;
  std::vector<char> input;
  std::size_t input_begin = 0;  // parsed up to here
  std::size_t input_end = 0;    // read up to here
  std::vector<char> output;     // being written
  std::vector<char> queued;     // to be written next
  bool writing = false;
  std::function<void()> on_written;

  void start();
  void connect_tcp(const std::string& host, const std::string& port);
  void connect_to(stream_protocol::endpoint endpoint);
  void retry_later(const std::string& reason);
  void connected();
  void read();
  void parse(std::int64_t received_us);
  void take(const control::Frame& frame, std::int64_t received_us);
  void send(const control::Frame& frame);
  void write();
  void tick();
  void shut();
  void fail(Error error);
};

void Link::State::shut() {
  closed = true;
  error_code ignored;
  socket.close(ignored);
  resolver.cancel();
  timer.cancel();
  if (on_written) std::exchange(on_written, nullptr)();
}

void Link::State::fail(Error error) {
  if (closed) return;
  shut();
  if (events.on_closed) events.on_closed(error);
}

void Link::State::start() {
  const std::string& address = options.address;
  if (address.rfind("unix:", 0) == 0) {
    const std::string path = address.substr(5);
    if (path.empty() || path.size() > 100)
      return fail({ErrorCode::kInvalidArgument, text("control link: expected a socket path of 1 to 100 bytes, found \"", path, "\"")});
    return connect_to(asio::local::stream_protocol::endpoint(path));
  }
  const std::size_t colon = address.rfind(':');
  if (address.rfind("tcp:", 0) != 0 || colon <= 4)
    return fail({ErrorCode::kInvalidArgument, text("control link: expected unix:PATH or tcp:HOST:PORT, found \"", address, "\"")});
  std::string host = address.substr(4, colon - 4);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);  // of an IPv6 address
  connect_tcp(host, address.substr(colon + 1));
}

void Link::State::connect_tcp(const std::string& host, const std::string& port) {
  resolver.async_resolve(host, port, [self = shared_from_this()](error_code error, const auto& results) {
    if (self->closed) return;
    if (error || results.empty()) return self->retry_later(error.message());
    // A host may have addresses at which the job does not listen.
    self->connect_to(std::next(results.begin(), static_cast<std::ptrdiff_t>(self->attempt % results.size()))->endpoint());
  });
}

void Link::State::connect_to(stream_protocol::endpoint endpoint) {
  error_code ignored;
  socket.close(ignored);
  connecting = true;
  timer.expires_after(kConnectLimit);
  timer.async_wait([self = shared_from_this(), mine = attempt](error_code error) {
    if (error || !self->connecting || self->attempt != mine) return;
    self->socket.close(error);  // ends the attempt with an error
  });
  socket.async_connect(endpoint, [self = shared_from_this()](error_code error) {
    if (self->closed) return;
    self->connecting = false;
    if (error) return self->retry_later(error.message());
    self->connected();
  });
}

void Link::State::retry_later(const std::string& reason) {
  if (now_us() - started_us > static_cast<std::int64_t>(options.connect_timeout_s * 1e6))
    return fail({ErrorCode::kTimeout, text("the worker job did not listen at ", options.address, " within ",
                                           options.connect_timeout_s, " s: ", reason)});
  ++attempt;
  input_begin = input_end = 0;
  queued.clear();
  writing = false;
  timer.expires_after(kRetry);
  timer.async_wait([self = shared_from_this()](error_code error) {
    if (!error && !self->closed) self->start();
  });
}

void Link::State::connected() {
  error_code ignored;  // a Unix socket has no such option
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  outgoing.Clear();
  control::Hello& hello = *outgoing.mutable_hello();
  hello.set_protocol(control::PROTOCOL_VERSION);
  hello.set_version(kVersion);
  hello.set_secret(options.secret);
  send(outgoing);
  read();
  tick();
}

void Link::State::tick() {
  timer.expires_after(std::min<std::chrono::microseconds>(
      kTick, to_duration(welcomed ? options.heartbeat_timeout_s : options.connect_timeout_s)));
  timer.async_wait([self = shared_from_this(), mine = attempt](error_code error) {
    if (error || self->closed || self->attempt != mine) return;
    const double silent_s = static_cast<double>(now_us() - (self->welcomed ? self->heard_us : self->started_us)) * 1e-6;
    if (self->welcomed && silent_s > self->options.heartbeat_timeout_s)
      return self->fail({ErrorCode::kTimeout, text("the worker job has been silent for ", silent_s, " s")});
    if (!self->welcomed && silent_s > self->options.connect_timeout_s)
      return self->fail({ErrorCode::kTimeout, text("the worker job did not start within ", silent_s, " s")});
    self->tick();
  });
}

void Link::State::read() {
  if (input_begin == input_end) input_begin = input_end = 0;
  if (input.size() - input_end < kReadBytes) {
    if (input_begin < input_end) std::memmove(input.data(), input.data() + input_begin, input_end - input_begin);
    input_end -= input_begin;
    input_begin = 0;
    if (input.size() - input_end < kReadBytes) input.resize(std::max(2 * input.size(), input_end + kReadBytes));
  }
  socket.async_read_some(
      asio::buffer(input.data() + input_end, input.size() - input_end),
      [self = shared_from_this()](error_code error, std::size_t bytes) {
        if (self->closed) return;
        // Before the Welcome there is nothing to lose: a crowd of strangers may have pushed us out.
        if (error && !self->welcomed) return self->retry_later("it closed the connection: " + error.message());
        if (error) return self->fail({ErrorCode::kUnavailable, "the worker job closed the control link: " + error.message()});
        self->input_end += bytes;
        self->heard_us = now_us();
        self->parse(self->heard_us);
        if (!self->closed) self->read();
      });
}

void Link::State::parse(std::int64_t received_us) {
  while (!closed && input_end - input_begin >= 4) {
    std::uint32_t length = 0;
    std::memcpy(&length, input.data() + input_begin, 4);
    if (length > kMaxFrameBytes)
      return fail({ErrorCode::kCorrupt, text("control link: a frame of ", length, " bytes, at most ", kMaxFrameBytes, " are allowed")});
    if (input_end - input_begin < std::size_t{4} + length) return;
    const bool good = incoming.ParseFromArray(input.data() + input_begin + 4, static_cast<int>(length));
    input_begin += std::size_t{4} + length;
    if (!good) return fail({ErrorCode::kCorrupt, text("control link: ", length, " bytes that are no frame")});
    take(incoming, received_us);
  }
}

void Link::State::take(const control::Frame& frame, std::int64_t received_us) {
  switch (frame.body_case()) {
    case control::Frame::kWelcome:
      if (frame.welcome().protocol() != control::PROTOCOL_VERSION)
        return fail({ErrorCode::kUnsupported, text("control link: expected protocol ", static_cast<int>(control::PROTOCOL_VERSION),
                                                   ", the worker job speaks ", frame.welcome().protocol())});
      welcomed = true;
      if (events.on_welcome) events.on_welcome(frame.welcome());
      return;
    case control::Frame::kRefused:
      return fail({ErrorCode::kUnauthenticated, "the worker job refused the coordinator: " + frame.refused().reason()});
    case control::Frame::kStatus:
      if (frame.status().phase() == control::Status::FAILED)
        return fail({ErrorCode::kUnavailable, frame.status().message()});
      if (events.on_status) events.on_status(frame.status());
      return;
    case control::Frame::kResult:
      if (events.on_result) events.on_result(frame.result(), received_us);
      return;
    default:
      return fail({ErrorCode::kCorrupt, text("control link: a frame of kind ", static_cast<int>(frame.body_case()),
                                             ", which the worker job never sends")});
  }
}

void Link::State::send(const control::Frame& frame) {
  if (closed) return;
  const auto length = static_cast<std::uint32_t>(frame.ByteSizeLong());
  const std::size_t begin = queued.size();
  queued.resize(begin + 4 + length);
  std::memcpy(queued.data() + begin, &length, 4);
  frame.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(queued.data() + begin + 4));
  if (!writing) write();
}

void Link::State::write() {
  output.clear();
  std::swap(output, queued);
  writing = true;
  asio::async_write(socket, asio::buffer(output), [self = shared_from_this(), mine = attempt](error_code error, std::size_t) {
    if (self->attempt != mine) return;
    self->writing = false;
    if (self->closed) return;
    // The reader learns of a broken connection too, with what the job said last; so nothing to do here.
    if (!error && !self->queued.empty()) return self->write();
    if (self->on_written) std::exchange(self->on_written, nullptr)();
  });
}

Link::Link(asio::io_context& io, LinkOptions options, LinkEvents events)
    : state_(std::make_shared<State>(io, std::move(options), std::move(events))) {
  // Not from here: an address that is none would call on_closed before the caller has the Link.
  asio::post(io, [state = state_] {
    if (!state->closed) state->start();
  });
}

Link::~Link() {
  state_->events = {};
  state_->on_written = nullptr;
  if (!state_->closed) state_->shut();
}

control::Step& Link::step() { return *state_->outgoing.mutable_step(); }

void Link::send_step() { state_->send(state_->outgoing); }

void Link::send_shutdown(std::function<void()> sent) {
  if (state_->closed || !state_->welcomed) return sent();
  state_->on_written = std::move(sent);
  control::Frame frame;
  frame.mutable_shutdown();
  state_->send(frame);
}

}  // namespace colonnade::coordinator
