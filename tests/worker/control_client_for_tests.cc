#include "tests/worker/control_client_for_tests.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "engine/base/version.h"
#include "engine/kernels/kernels.h"
#include "engine/model/step.h"

namespace colonnade::tests {

ControlTestClient::ControlTestClient(const std::string& address) : descriptor_(-1) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string path = address.substr(5);
  std::memcpy(name.sun_path, path.data(), path.size());
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (std::chrono::steady_clock::now() < end) {
    descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) {
      const timeval limit{30, 0};
      ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      return;
    }
    ::close(descriptor_);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw std::runtime_error("nobody listens at " + address);
}

ControlTestClient::~ControlTestClient() { ::close(descriptor_); }

void ControlTestClient::send_raw(const std::string& bytes) {
  if (::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
    throw std::runtime_error("the link broke while sending");
}

void ControlTestClient::send(const control::Frame& frame) {
  const std::string body = frame.SerializeAsString();
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(body.size() >> (8 * i));
  send_raw(bytes + body);
}

void ControlTestClient::hello(const std::string& secret, const std::string& version) {
  control::Frame frame;
  frame.mutable_hello()->set_protocol(control::PROTOCOL_VERSION);
  frame.mutable_hello()->set_version(version);
  frame.mutable_hello()->set_secret(secret);
  send(frame);
}

bool ControlTestClient::read_exactly(char* to, std::size_t count) {
  for (std::size_t done = 0; done < count;) {
    const ssize_t got = ::recv(descriptor_, to + done, count - done, 0);
    if (got == 0) return false;
    if (got < 0) throw std::runtime_error(std::string("nothing came: ") + std::strerror(errno));
    done += static_cast<std::size_t>(got);
  }
  return true;
}

control::Frame ControlTestClient::receive() {
  unsigned char length[4];
  if (!read_exactly(reinterpret_cast<char*>(length), 4)) throw std::runtime_error("the worker closed the link");
  std::size_t size = 0;
  for (unsigned i = 0; i < 4; ++i) size |= static_cast<std::size_t>(length[i]) << (8 * i);
  std::string body(size, '\0');
  control::Frame frame;
  if (!read_exactly(body.data(), size) || !frame.ParseFromString(body)) throw std::runtime_error("a broken frame");
  return frame;
}

bool ControlTestClient::at_end() {
  char byte = 0;
  return !read_exactly(&byte, 1);
}

control::Frame ControlTestClient::receive_answer() {
  for (;;) {
    control::Frame frame = receive();
    if (!frame.has_status()) return frame;
    statuses.push_back(frame.status());
  }
}

control::Welcome ControlTestClient::enter(const std::string& secret) {
  hello(secret, kVersion);
  control::Frame frame = receive_answer();
  if (!frame.has_welcome()) throw std::runtime_error("no Welcome: " + frame.ShortDebugString());
  while (statuses.empty() || statuses.back().phase() != control::Status::READY) {
    statuses.push_back(receive().status());
    if (statuses.back().phase() == control::Status::FAILED) throw std::runtime_error(statuses.back().message());
  }
  return frame.welcome();
}

control::Frame greedy_step(std::uint64_t id, const std::vector<std::int32_t>& tokens, int first_position) {
  control::Frame frame;
  control::Step& step = *frame.mutable_step();
  step.set_id(id);
  control::StepSequence& sequence = *step.add_sequences();
  for (const std::int32_t token : tokens) sequence.add_tokens(token);
  sequence.set_first_position(first_position);
  const int end = first_position + static_cast<int>(tokens.size());
  for (int page = 0; page * engine::kPageTokens < end; ++page) sequence.add_pages(page);
  control::StepRow& row = *step.add_rows();
  row.set_token_index(static_cast<std::int32_t>(tokens.size()) - 1);
  row.set_flags(engine::kRowSample);
  row.set_top_p(1.0f);
  row.set_position(end);
  row.set_target(-1);
  return frame;
}

}  // namespace colonnade::tests
