#include "worker/control_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "engine/base/format_text.h"
#include "worker/control_frames.h"

namespace colonnade::worker {
namespace {

constexpr std::size_t kReadBytes = std::size_t{64} << 10;

}  // namespace

ControlClient::~ControlClient() { ::close(descriptor_); }

void ControlClient::read_some() {
  const std::size_t before = input_.size();
  input_.resize(before + kReadBytes);
  ssize_t got = 0;
  do {
    got = ::recv(descriptor_, input_.data() + before, kReadBytes, MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  input_.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) closed_ = true;
}

Result<bool> ControlClient::receive(std::size_t limit, control::Frame& frame) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    COLONNADE_ASSIGN(const FrameBytes next, next_frame(std::span(input_).subspan(parsed_), limit));
    if (next.used > 0) {
      parsed_ += next.used;
      if (!frame.ParseFromArray(next.body.data(), static_cast<int>(next.body.size())))
        return Error{ErrorCode::kCorrupt, text("a frame of ", next.body.size(), " bytes is not a Frame message")};
      return true;
    }
    if (attempt == 1 || closed_) break;
    if (parsed_ > 0) {
      input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(parsed_));
      parsed_ = 0;
    }
    // Until the socket is empty or a whole frame is surely there: a large frame comes in many pieces.
    std::size_t before = 0;
    do {
      before = input_.size();
      read_some();
    } while (!closed_ && input_.size() == before + kReadBytes && input_.size() <= limit);
  }
  return false;
}

void ControlClient::send(const control::Frame& frame) {
  if (closed_) return;
  append_frame(frame, output_);
  flush();
}

void ControlClient::flush() {
  while (!closed_ && sent_ < output_.size()) {
    const ssize_t done = ::send(descriptor_, output_.data() + sent_, output_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done > 0) {
      sent_ += static_cast<std::size_t>(done);
    } else if (errno == EINTR) {
      continue;
    } else {
      if (errno != EAGAIN && errno != EWOULDBLOCK) closed_ = true;
      break;
    }
  }
  if (sent_ == output_.size() || closed_) {
    output_.clear();
    sent_ = 0;
  }
}

void ControlClient::refuse(const std::string& reason) {
  control::Frame frame;
  frame.mutable_refused()->set_reason(reason);
  send(frame);
}

}  // namespace colonnade::worker
