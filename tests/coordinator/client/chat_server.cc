// A server for chat_test.mjs whose "model" asks for the weather until it has been told.
#include <cstdio>
#include <iostream>

#include "coordinator/http_server.h"
#include "tests/coordinator/chat_backend.h"

int main() {
  using namespace colonnade;
  tests::ChatBackend demo({"hermes", "think"}, [](const std::string& prompt) -> std::string {
    if (prompt.find("degrees") != std::string::npos) return "<think>\nI know.\n</think>\n\nWarm: 22 degrees.";
    return "<think>\nI must ask.\n</think>\n\nLet me look.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"location\": "
           "\"Paris \\u00e9\\\"\", \"days\": [1, 2]}}\n</tool_call>";
  });
  coordinator::HttpServerOptions options;
  options.port = 0;
  coordinator::HttpServer server(options, coordinator::make_api(demo.backend, {}));
  const auto port = server.start();
  if (!port.ok()) return 1;
  std::printf("http://127.0.0.1:%d/v1\n", static_cast<int>(*port));
  std::fflush(stdout);
  while (std::cin.get() != EOF) {
  }
  server.stop(1);
  return 0;
}
