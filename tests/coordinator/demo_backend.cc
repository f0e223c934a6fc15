#include "tests/coordinator/demo_backend.h"
#include "tests/support/shared_data.h"

#include <fstream>
#include <iterator>

namespace colonnade::tests {

std::unique_ptr<engine::Tokenizer> demo_tokenizer() {
  std::ifstream in(tests::source_folder() / "deploy/demo/tokenizer.json", std::ios::binary);
  const std::string json(std::istreambuf_iterator<char>(in), {});
  return engine::load_tokenizer_json(json).value();
}

DemoBackend::DemoBackend(FakeGenerator::Script script) : tokenizer(demo_tokenizer()), generator(std::move(script)) {
  job_state.phase = coordinator::JobPhase::kReady;
  backend.tokenizer = tokenizer.get();
  backend.generator = &generator;
  backend.metrics = &metrics;
  backend.model = "tales";
  backend.created = 1700000000;
  backend.context_tokens = 100;
  backend.defaults.end_tokens = {2};
  backend.defaults.temperature = 0.8f;
  backend.defaults.top_p = 0.95f;
  backend.constraints = std::make_shared<coordinator::ConstraintCompiler>(*tokenizer, tokenizer->vocab_size());
  backend.job_state = [this] { return job_state; };
  backend.counters = [] { return coordinator::ServiceCounters{.steps = 7, .pages_used = 3, .pages_total = 64}; };
}

std::vector<std::int32_t> DemoBackend::encode(const std::string& text) const {
  return tokenizer->encode(text, engine::SpecialTokens::kPlain, false);
}

FakeGenerator::Script always(std::vector<std::int32_t> tokens) {
  return [tokens = std::move(tokens)](const coordinator::GenerationRequest&) { return tokens; };
}

}  // namespace colonnade::tests
