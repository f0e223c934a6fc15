#include "worker/private_endpoint.h"

#include <stdlib.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/base/format_text.h"

namespace colonnade::worker {

Result<PrivateEndpoint> PrivateEndpoint::make() {
  std::array<unsigned char, 32> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    return Error{ErrorCode::kIo, text("no random bytes for the job's secret: ", std::strerror(errno))};
  constexpr char kDigits[] = "0123456789abcdef";
  std::string secret;
  for (const unsigned char byte : random) {
    secret += kDigits[byte >> 4];
    secret += kDigits[byte & 15];
  }
  std::error_code failure;
  std::string folder = (std::filesystem::temp_directory_path(failure) / "colonnade-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr)  // mode 0700
    return Error{ErrorCode::kIo, text("cannot make a folder for the control socket, ", folder, ": ", std::strerror(errno))};
  return PrivateEndpoint(folder, std::move(secret));
}

PrivateEndpoint::PrivateEndpoint(std::filesystem::path folder, std::string secret)
    : folder_(std::move(folder)), address_("unix:" + (folder_ / "control").string()), secret_(std::move(secret)) {}

PrivateEndpoint::PrivateEndpoint(PrivateEndpoint&& other) noexcept
    : folder_(std::exchange(other.folder_, {})), address_(std::move(other.address_)), secret_(std::move(other.secret_)) {}

PrivateEndpoint::~PrivateEndpoint() { remove(); }

void PrivateEndpoint::remove() const {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

bool PrivateEndpoint::exists() const {
  std::error_code ignored;
  return std::filesystem::exists(folder_ / "control", ignored);
}

}  // namespace colonnade::worker
