// A listening socket at "unix:/path" or "tcp:host:port".
#pragma once

#include <string>

#include "engine/base/result.h"

namespace colonnade::worker {

/// Owns the socket (non-blocking) and, for Unix sockets, the name in the file system. Movable.
class Listener {
 public:
  /// A left-over socket file that nobody listens on is replaced. kInvalidArgument for a malformed address, kIo when
  /// the system refuses.
  static Result<Listener> open(const std::string& address);
  ~Listener();
  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&&) = delete;

  int descriptor() const { return descriptor_; }
  /// As asked for, with the port that the system chose for port 0.
  const std::string& address() const { return address_; }

  /// A new connection (non-blocking, no delay), or -1 when there is none.
  int accept_one() const;

 private:
  Listener(int descriptor, std::string address, std::string file);
  int descriptor_;
  std::string address_;
  std::string file_;
};

}  // namespace colonnade::worker
