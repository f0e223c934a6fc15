// An API backend on the demo model's tokenizer and a fake generator.
#pragma once

#include <memory>

#include "coordinator/api_backend.h"
#include "tests/coordinator/fake_generator.h"

namespace colonnade::tests {

struct DemoBackend {
  explicit DemoBackend(FakeGenerator::Script script);

  std::unique_ptr<engine::Tokenizer> tokenizer;
  FakeGenerator generator;
  coordinator::Metrics metrics;
  coordinator::JobState job_state;
  coordinator::ApiBackend backend;

  std::vector<std::int32_t> encode(const std::string& text) const;  // without special tokens
};

/// The tokens of " and so it was" etc.: a script that ignores the request.
FakeGenerator::Script always(std::vector<std::int32_t> tokens);

std::unique_ptr<engine::Tokenizer> demo_tokenizer();

}  // namespace colonnade::tests
