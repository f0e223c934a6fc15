#include "tests/coordinator/fake_job.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/version.h"
#include "tests/coordinator/fake_model.h"
#include "tests/support/shared_data.h"
#include "worker/control.pb.h"

namespace colonnade::tests {
namespace {

class Connection {
 public:
  Connection(int socket, bool in_pieces) : socket_(socket), in_pieces_(in_pieces) {}
  ~Connection() { ::close(socket_); }
  int socket() const { return socket_; }

  void send(const control::Frame& frame) {
    std::string bytes = frame.SerializeAsString();
    const auto length = static_cast<std::uint32_t>(bytes.size());
    bytes.insert(0, reinterpret_cast<const char*>(&length), 4);
    send_bytes(bytes);
  }
  void send_bytes(const std::string& bytes) {
    const std::size_t piece = in_pieces_ ? 1 : bytes.size();
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      if (::send(socket_, bytes.data() + at, std::min(piece, bytes.size() - at), MSG_NOSIGNAL) < 0) return;
  }
  /// False at the end.
  bool receive(control::Frame& frame) {
    std::uint32_t length = 0;
    if (!read_all(&length, 4)) return false;
    std::string bytes(length, '\0');
    return read_all(bytes.data(), length) && frame.ParseFromString(bytes);
  }

 private:
  bool read_all(void* out, std::size_t count) {
    auto* at = static_cast<char*>(out);
    while (count > 0) {
      const ssize_t n = ::recv(socket_, at, count, 0);
      if (n <= 0) return false;
      at += n;
      count -= static_cast<std::size_t>(n);
    }
    return true;
  }
  int socket_;
  bool in_pieces_;
};

control::Frame status(control::Status::Phase phase, const std::string& message = "") {
  control::Frame frame;
  frame.mutable_status()->set_phase(phase);
  frame.mutable_status()->set_message(message);
  frame.mutable_status()->set_loaded_bytes(phase == control::Status::READY ? 100 : 50);
  frame.mutable_status()->set_total_bytes(100);
  return frame;
}

}  // namespace

void FakeJob::listen_at_path() {
  address_ = "unix:" + (scratch_folder() / "control").string();
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, address_.c_str() + 5, sizeof address.sun_path - 1);
  COLONNADE_CHECK(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "bind");
}

void FakeJob::listen_at_port() {
  sockaddr_storage address{};
  address.ss_family = static_cast<sa_family_t>(options_.tcp_family);
  if (options_.tcp_family == AF_INET6)
    reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
  else
    reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = options_.tcp_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  listener_ = ::socket(options_.tcp_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  COLONNADE_CHECK(::bind(listener_, generic, size) == 0 && ::getsockname(listener_, generic, &size) == 0, "bind");
  // The port lies at the same place in both kinds of address.
  address_ = std::to_string(ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port));
}

FakeJob::FakeJob(const FakeJobOptions& options) : options_(options), wake_(::eventfd(0, 0)) {
  options_.tcp_family == 0 ? listen_at_path() : listen_at_port();
  COLONNADE_CHECK(::listen(listener_, 4) == 0, "listen");
  thread_ = std::thread([this] { serve(); });
}

FakeJob::~FakeJob() {
  const std::uint64_t one = 1;
  COLONNADE_CHECK(::write(wake_, &one, sizeof one) == sizeof one, "wake");
  thread_.join();
  ::close(listener_);
  ::close(wake_);
}

void FakeJob::serve() {
  pollfd waiting[2] = {{listener_, POLLIN, 0}, {wake_, POLLIN, 0}};
  for (int i = 0; i <= options_.hang_ups; ++i) {
    ::poll(waiting, 2, -1);
    if (waiting[1].revents != 0) return;
    if (i < options_.hang_ups) ::close(::accept(listener_, nullptr, nullptr));
  }
  Connection peer(::accept(listener_, nullptr, nullptr), options_.in_pieces);
  control::Frame frame;
  if (!peer.receive(frame) || !frame.has_hello()) return;
  control::Frame out;
  if (!options_.welcome_refusal.empty() || frame.hello().secret() != options_.secret || frame.hello().version() != kVersion) {
    out.mutable_refused()->set_reason(options_.welcome_refusal.empty() ? "wrong secret" : options_.welcome_refusal);
    return peer.send(out);
  }
  control::Welcome& welcome = *out.mutable_welcome();
  welcome.set_protocol(control::PROTOCOL_VERSION);
  welcome.set_n_ranks(static_cast<unsigned>(options_.n_stages));
  welcome.set_n_stages(static_cast<unsigned>(options_.n_stages));
  welcome.set_n_pages(static_cast<unsigned>(options_.n_pages));
  welcome.set_page_tokens(static_cast<unsigned>(options_.page_tokens));
  welcome.set_max_step_tokens(static_cast<unsigned>(options_.max_step_tokens));
  welcome.set_kernels("fake");
  peer.send(out);
  peer.send(status(control::Status::LOADING));
  if (!options_.failure.empty()) return peer.send(status(control::Status::FAILED, options_.failure));
  peer.send(status(control::Status::READY));
  if (options_.garbage) peer.send_bytes(std::string("\x03\x00\x00\x00\xff\xff\xff", 7));

  FakeModel model(options_.n_pages, options_.page_tokens, options_.max_step_tokens, 256);
  pollfd polled[2] = {{peer.socket(), POLLIN, 0}, {wake_, POLLIN, 0}};
  for (;;) {
    const int n = ::poll(polled, 2, 100);
    if (polled[1].revents != 0) return;
    if (n == 0 && !options_.silent) peer.send(status(control::Status::READY));
    if (polled[0].revents == 0) continue;
    if (!peer.receive(frame)) return;
    if (frame.has_shutdown()) {
      told_to_leave_ = true;
      return;
    }
    if (!frame.has_step()) return;
    if (n_steps_ == options_.close_after_steps) return;
    if (options_.stall_after_steps >= 0 && n_steps_ >= options_.stall_after_steps) continue;
    ++n_steps_;
    out.Clear();
    if (options_.step_refusal.empty()) {
      *out.mutable_result() = model.run(frame.step());
    } else {
      out.mutable_result()->set_id(frame.step().id());
      out.mutable_result()->set_error(options_.step_refusal);
    }
    if (options_.step_us > 0) ::usleep(static_cast<useconds_t>(options_.step_us));
    peer.send(out);
  }
}

}  // namespace colonnade::tests
