#include "worker/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "engine/base/format_text.h"

namespace colonnade::worker {
namespace {

constexpr int kBacklog = 16;

Error refused(const std::string& address, const char* what) {
  return {ErrorCode::kIo, text("control address ", address, ": ", what, ": ", std::strerror(errno))};
}

Result<int> listen_unix(const std::string& address, const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof name.sun_path)
    return Error{ErrorCode::kInvalidArgument, text("control address ", address, ": a path of 1 to ",
                                                   sizeof name.sun_path - 1, " bytes is expected, found ", path.size())};
  std::memcpy(name.sun_path, path.data(), path.size());
  const auto* generic = reinterpret_cast<const sockaddr*>(&name);
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return refused(address, "socket");
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) {
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool alive = probe >= 0 && ::connect(probe, generic, sizeof name) == 0;
    if (probe >= 0) ::close(probe);
    if (!alive) ::unlink(path.c_str());
  }
  if (::bind(descriptor, generic, sizeof name) != 0 || ::chmod(path.c_str(), 0600) != 0 ||
      ::listen(descriptor, kBacklog) != 0) {
    const Error error = refused(address, "listen");
    ::close(descriptor);
    return error;
  }
  return descriptor;
}

Result<int> listen_tcp(const std::string& address, const std::string& host, const std::string& port) {
  addrinfo wanted{};
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int failure = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &wanted, &list); failure != 0)
    return Error{ErrorCode::kInvalidArgument, text("control address ", address, ": ", ::gai_strerror(failure))};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  const int descriptor = ::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return refused(address, "socket");
  const int on = 1;
  (void)::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(descriptor, list->ai_addr, list->ai_addrlen) != 0 || ::listen(descriptor, kBacklog) != 0) {
    const Error error = refused(address, "listen");
    ::close(descriptor);
    return error;
  }
  return descriptor;
}

int bound_port(int descriptor) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &size) != 0) return 0;
  if (name.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&name)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&name)->sin_port);
}

}  // namespace

Result<Listener> Listener::open(const std::string& address) {
  if (address.starts_with("unix:")) {
    const std::string path = address.substr(5);
    COLONNADE_ASSIGN(const int descriptor, listen_unix(address, path));
    return Listener(descriptor, address, path);
  }
  const std::size_t colon = address.rfind(':');
  if (!address.starts_with("tcp:") || colon <= 3 || colon + 1 >= address.size())
    return Error{ErrorCode::kInvalidArgument,
                 text("control address \"", address, "\": expected unix:/path or tcp:host:port")};
  std::string host = address.substr(4, colon - 4);
  const std::string shown = host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  COLONNADE_ASSIGN(const int descriptor, listen_tcp(address, host, address.substr(colon + 1)));
  return Listener(descriptor, text("tcp:", shown, ":", bound_port(descriptor)), "");
}

Listener::Listener(int descriptor, std::string address, std::string file)
    : descriptor_(descriptor), address_(std::move(address)), file_(std::move(file)) {}

Listener::Listener(Listener&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), address_(std::move(other.address_)),
      file_(std::exchange(other.file_, {})) {}

Listener::~Listener() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (!file_.empty()) ::unlink(file_.c_str());
}

int Listener::accept_one() const {
  const int connection = ::accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (connection < 0) return -1;
  const int on = 1;
  (void)::setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails on Unix sockets, which need none
  return connection;
}

}  // namespace colonnade::worker
