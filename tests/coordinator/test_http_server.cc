// The server over a real loopback socket, with small handlers of the test's own.
#include <catch2/catch.hpp>
#include <atomic>
#include <chrono>
#include <thread>

#include "coordinator/http_server.h"
#include "tests/coordinator/raw_client.h"

using namespace colonnade::coordinator;
using colonnade::tests::RawClient;
using colonnade::tests::RawResponse;
using namespace std::chrono_literals;

namespace {

struct Running {
  explicit Running(HttpHandler handler, HttpServerOptions options = {}) : server([&] {
    options.port = 0;
    return options;
  }(), std::move(handler)) {
    port = server.start().value();
  }
  HttpServer server;
  std::uint16_t port = 0;
};

void echo(const std::shared_ptr<HttpExchange>& exchange) {
  const HttpRequest& request = exchange->request();
  HttpResponse response;
  response.content_type = "text/plain";
  response.body = request.method + " " + request.path + " " + request.query + " " + request.header("x-word") + " " + request.body;
  exchange->respond(std::move(response));
}

/// Polls until `condition` holds or some seconds have passed.
template <typename Condition>
bool soon(Condition condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

}  // namespace

TEST_CASE("requests follow each other on one connection, also sent at once") {
  Running running(echo);
  RawClient client(running.port);
  CHECK(client.get("/a?b=c", "X-Word: w\r\n").body == "GET /a b=c w ");
  CHECK(client.post("/p", "body").body == "POST /p   body");
  std::string both;
  for (const char* path : {"/1", "/2", "/3"}) both += std::string("GET ") + path + " HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send(both);
  for (const char* path : {"/1", "/2", "/3"}) CHECK(client.receive().body == std::string("GET ") + path + "   ");
  client.send("HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n");
  RawResponse head = client.receive(true);
  CHECK(head.headers["content-length"] == "9");
  CHECK(client.get("/after").body == "GET /after   ");
  client.send("GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(client.receive().headers["connection"] == "close");
  CHECK(client.at_end());
}

TEST_CASE("bodies: chunked, and announced by Expect: 100-continue") {
  Running running(echo);
  RawClient client(running.port);
  client.send("POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
  CHECK(client.receive().body == "POST /c   abcdefg");
  client.send("POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  CHECK(client.receive().status == 100);
  client.send("ok");
  CHECK(client.receive().body == "POST /e   ok");
}

TEST_CASE("what is too large or no HTTP is refused with a status") {
  HttpServerOptions options;
  options.max_body_bytes = 1000;
  options.max_header_bytes = 500;
  Running running(echo, options);
  const auto status_of = [&](const std::string& bytes) {
    RawClient client(running.port);
    client.send(bytes);
    const RawResponse response = client.receive();
    CHECK(response.headers.count("content-type") == 1);
    CHECK_THAT(response.body, Catch::StartsWith("{\"error\":{\"message\":\""));
    CHECK(client.at_end());
    return response.status;
  };
  CHECK(status_of("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n" + std::string(2000, 'x')) == 413);
  CHECK(status_of("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5dc\r\n" + std::string(1500, 'x')) == 413);
  CHECK(status_of("GET / HTTP/1.1\r\nLong: " + std::string(600, 'x') + "\r\n\r\n") == 431);
  CHECK(status_of("nonsense\r\n\r\n") == 400);
  CHECK(status_of("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n") == 400);
}

TEST_CASE("bodies of all requests together are bounded, and those that were taken do not count") {
  HttpServerOptions options;
  options.max_all_body_bytes = 3000;
  options.threads = 1;  // bytes count in the order they are sent: with two, what probes could have `reading` refused
  std::shared_ptr<HttpExchange> held;
  std::atomic<bool> arrived{false};
  Running running([&](const std::shared_ptr<HttpExchange>& exchange) {
    if (exchange->request().path != "/hold") {
      exchange->take_body();
      return exchange->respond({.body = "{}"});
    }
    held = exchange;
    arrived = true;
  }, options);
  const std::string body(1000, 'x');
  const auto status = [&](const std::string& sent) { return RawClient(running.port).post("/p", sent).status; };
  CHECK(status(std::string(3001, 'x')) == 503);
  RawClient reading(running.port);  // sends a part of its body
  reading.send("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n" + body);
  CHECK(soon([&] { return status(std::string(2001, 'x')) == 503; }));
  CHECK(status(std::string(1500, 'x')) == 200);
  RawClient waiting(running.port);
  waiting.send("POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + body);
  REQUIRE(soon([&] { return arrived.load(); }));
  CHECK(status(std::string(1500, 'x')) == 503);
  std::atomic<bool> taken{false};
  held->post([&] { taken = held->take_body() == body && held->request().body.empty(); });
  CHECK(soon([&] { return taken.load(); }));
  CHECK(status(std::string(1500, 'x')) == 200);
  reading.close();
  CHECK(soon([&] { return status(std::string(2500, 'x')) == 200; }));
  held->post([&] { held->respond({.body = "{}"}); });
  CHECK(waiting.receive().body == "{}");
}

TEST_CASE("a slow request is dropped, an idle connection too") {
  HttpServerOptions options;
  options.header_timeout_s = 0.2;
  options.body_timeout_s = 0.2;
  options.idle_timeout_s = 0.3;
  Running running(echo, options);
  for (const char* bytes : {"", "GET / HT", "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"}) {
    RawClient client(running.port);
    client.send(bytes);
    const auto start = std::chrono::steady_clock::now();
    CHECK(client.at_end());
    CHECK(std::chrono::steady_clock::now() - start < 5s);
  }
}

TEST_CASE("streams are chunked as they come; HTTP/1.0 gets plain bytes and a close") {
  Running running([](const std::shared_ptr<HttpExchange>& exchange) {
    exchange->start_stream({.content_type = "text/event-stream"});
    std::thread([exchange] {
      for (int i = 0; i < 5; ++i) {
        exchange->post([exchange, i] { exchange->write("piece " + std::to_string(i) + "\n"); });
        std::this_thread::sleep_for(3ms);
      }
      exchange->post([exchange] { exchange->end(); });
    }).detach();
  });
  const std::string whole = "piece 0\npiece 1\npiece 2\npiece 3\npiece 4\n";
  RawClient client(running.port);
  CHECK(client.get("/").body == whole);
  CHECK(client.get("/").body == whole);
  RawClient old(running.port);
  old.send("GET / HTTP/1.0\r\n\r\n");
  CHECK(old.receive().body == whole);
}

TEST_CASE("a client that leaves is noticed, whether it waits or reads a stream") {
  std::atomic<int> closed{0};
  std::atomic<int> arrived{0};
  Running running([&](const std::shared_ptr<HttpExchange>& exchange) {
    exchange->on_closed([&closed] { ++closed; });
    if (exchange->request().path == "/stream") {
      exchange->start_stream({});
      exchange->write("begin");
    }
    ++arrived;
  });
  for (const char* path : {"/wait", "/stream"}) {
    RawClient client(running.port);
    client.send(std::string("GET ") + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    const int before = closed;
    REQUIRE(soon([&] { return arrived == before + 1; }));
    if (std::string(path) == "/stream") CHECK(client.receive_until("begin"));
    std::this_thread::sleep_for(20ms);
    CHECK(closed == before);
    client.close();
    CHECK(soon([&] { return closed == before + 1; }));
  }
}

TEST_CASE("a client that does not read is dropped when too much waits for it") {
  HttpServerOptions options;
  options.max_unsent_bytes = 1 << 20;
  // Shared with a thread that may outlive the test.
  const auto closed = std::make_shared<std::atomic<bool>>(false);
  Running running(
      [&](const std::shared_ptr<HttpExchange>& exchange) {
        exchange->on_closed([closed] { *closed = true; });
        exchange->start_stream({});
        std::thread([exchange, closed] {
          for (int i = 0; i < 2000 && !*closed; ++i) {
            exchange->post([exchange] { exchange->write(std::string(100'000, 'x')); });
            std::this_thread::sleep_for(1ms);
          }
        }).detach();
      },
      options);
  RawClient client(running.port);
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(soon([&] { return closed->load(); }));
}

TEST_CASE("connections beyond the limit are refused") {
  HttpServerOptions options;
  options.max_connections = 2;
  Running running(echo, options);
  RawClient first(running.port), second(running.port);
  CHECK(first.get("/").status == 200);
  CHECK(second.get("/").status == 200);
  RawClient third(running.port);
  CHECK(third.receive().status == 503);
  first.close();
  CHECK(soon([&] {
    RawClient again(running.port);
    return again.get("/").status == 200;
  }));
}

TEST_CASE("clients that leave as soon as they have their answer free their places") {
  HttpServerOptions options;
  options.max_connections = 2;
  Running running(echo, options);
  for (int i = 0; i < 200; ++i) {
    CHECK(soon([&] {
      RawClient client(running.port);
      return client.get("/").status == 200;
    }));
  }
}

TEST_CASE("stop lets requests in flight finish and closes idle connections") {
  std::shared_ptr<HttpExchange> held;
  std::atomic<bool> arrived{false};
  Running running([&](const std::shared_ptr<HttpExchange>& exchange) {
    held = exchange;
    arrived = true;
  });
  RawClient idle(running.port), busy(running.port);
  busy.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(soon([&] { return arrived.load(); }));
  std::atomic<int> finished{-1};
  std::thread stopper([&] { finished = running.server.stop(10) ? 1 : 0; });
  CHECK(idle.at_end());
  std::this_thread::sleep_for(20ms);
  CHECK(finished == -1);
  RawClient late(running.port);
  late.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(late.receive().status == 0);
  held->post([&] { held->respond({.body = "{}"}); });
  RawResponse response = busy.receive();
  CHECK(response.body == "{}");
  CHECK(response.headers["connection"] == "close");
  stopper.join();
  CHECK(finished == 1);
}

TEST_CASE("stop ends what does not finish in time") {
  std::shared_ptr<HttpExchange> held;
  std::atomic<bool> closed{false};
  std::atomic<bool> arrived{false};
  Running running([&](const std::shared_ptr<HttpExchange>& exchange) {
    held = exchange;
    exchange->on_closed([&] { closed = true; });
    arrived = true;
  });
  RawClient busy(running.port);
  busy.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(soon([&] { return arrived.load(); }));
  CHECK_FALSE(running.server.stop(0.05));
  CHECK(closed);
  CHECK(busy.receive().status == 0);
  held->post([] { FAIL("posted to a stopped server"); });
}

TEST_CASE("stop can be hurried, also while a client sends slowly") {
  Running running(echo);
  RawClient slow(running.port);
  slow.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
  std::this_thread::sleep_for(50ms);
  const auto began = std::chrono::steady_clock::now();
  std::atomic<int> finished{-1};
  std::thread stopper([&] { finished = running.server.stop(30) ? 1 : 0; });
  std::this_thread::sleep_for(50ms);
  CHECK(finished == -1);
  running.server.hurry(0.05);
  stopper.join();
  CHECK(finished == 0);
  CHECK(std::chrono::steady_clock::now() - began < 10s);
  CHECK(slow.at_end());
}

TEST_CASE("addresses that cannot be listened at are refused with a reason") {
  Running running(echo);
  HttpServerOptions options;
  options.port = running.port;
  HttpServer second(options, echo);
  const auto taken = second.start();
  REQUIRE(!taken.ok());
  CHECK(taken.error().code == colonnade::ErrorCode::kIo);
  CHECK_THAT(taken.error().message, Catch::Contains(std::to_string(running.port)));
  options.host = "no.such.host.invalid";
  HttpServer third(options, echo);
  CHECK(third.start().error().code == colonnade::ErrorCode::kInvalidArgument);
}
