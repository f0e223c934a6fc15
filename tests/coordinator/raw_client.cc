#include "tests/coordinator/raw_client.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <utility>

namespace colonnade::tests {

RawClient::RawClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval limit{20, 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) close();
}

RawClient::~RawClient() { close(); }

void RawClient::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool RawClient::read_more() {
  char bytes[65536];
  const ssize_t n = ::recv(socket_, bytes, sizeof bytes, 0);
  if (n <= 0) return false;
  buffer_.append(bytes, static_cast<std::size_t>(n));
  return true;
}

bool RawClient::receive_until(std::string_view words) {
  while (buffer_.find(words) == std::string::npos) {
    if (!read_more()) return false;
  }
  return true;
}

bool RawClient::at_end() {
  char byte = 0;
  for (;;) {
    const ssize_t n = ::recv(socket_, &byte, 1, 0);
    if (n <= 0) return n == 0 || errno == ECONNRESET;
  }
}

RawResponse RawClient::receive(bool head_only) {
  RawResponse response;
  if (!receive_until("\r\n\r\n")) return response;
  std::istringstream head(buffer_.substr(0, buffer_.find("\r\n\r\n")));
  buffer_.erase(0, buffer_.find("\r\n\r\n") + 4);
  std::string line;
  std::getline(head, line);
  response.status = std::atoi(line.substr(line.find(' ') + 1).c_str());
  while (std::getline(head, line)) {
    if (line.ends_with('\r')) line.pop_back();
    const std::size_t colon = line.find(": ");
    std::string name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    response.headers[name] = line.substr(colon + 2);
  }
  response.complete = true;
  if (head_only || response.status == 100 || response.status == 204) return response;
  if (response.headers["transfer-encoding"] == "chunked") {
    for (;;) {
      if (!receive_until("\r\n")) return response.complete = false, response;
      const std::size_t size = std::strtoul(buffer_.c_str(), nullptr, 16);
      buffer_.erase(0, buffer_.find("\r\n") + 2);
      while (buffer_.size() < size + 2) {
        if (!read_more()) return response.complete = false, response;
      }
      response.body.append(buffer_, 0, size);
      buffer_.erase(0, size + 2);
      if (size == 0) return response;
    }
  }
  if (response.headers.count("content-length") != 0) {
    const std::size_t size = std::strtoul(response.headers["content-length"].c_str(), nullptr, 10);
    while (buffer_.size() < size) {
      if (!read_more()) return response.complete = false, response;
    }
    response.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return response;
  }
  while (read_more()) {
  }
  response.body = std::exchange(buffer_, {});
  return response;
}

RawResponse RawClient::get(const std::string& path, const std::string& headers) {
  send("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n");
  return receive();
}

RawResponse RawClient::post(const std::string& path, const std::string& body, const std::string& headers) {
  send("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
       std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body);
  return receive();
}

std::vector<std::string> sse_events(const std::string& body) {
  std::vector<std::string> events;
  std::istringstream lines(body);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("data: ")) events.push_back(line.substr(6));
  }
  return events;
}

}  // namespace colonnade::tests
