// A Unix socket address and a secret that only this user's processes can know.
#pragma once

#include <filesystem>
#include <string>

#include "engine/base/result.h"

namespace colonnade::worker {

/// Owns a private folder for the socket, removed with this object. Movable.
class PrivateEndpoint {
 public:
  static Result<PrivateEndpoint> make();
  ~PrivateEndpoint();
  PrivateEndpoint(PrivateEndpoint&& other) noexcept;
  PrivateEndpoint& operator=(PrivateEndpoint&&) = delete;

  const std::string& address() const { return address_; }  // "unix:…"
  const std::string& secret() const { return secret_; }    // 64 hexadecimal digits
  /// Somebody has begun to listen.
  bool exists() const;
  /// Removes the folder now: for a process that ends without destructors.
  void remove() const;

 private:
  PrivateEndpoint(std::filesystem::path folder, std::string secret);
  std::filesystem::path folder_;
  std::string address_;
  std::string secret_;
};

}  // namespace colonnade::worker
