#include "tests/worker/demo_job.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "shard/model_source.h"
#include "tests/support/shared_data.h"

namespace colonnade::tests {

const std::filesystem::path& demo_model() {
  static const std::filesystem::path folder = [] {
    const std::filesystem::path out = scratch_folder() / "demo";
    const auto packed = shard::pack_model(tests::source_folder() / "deploy/demo", out,
                                          {.values = engine::FormatId::kF32, .threads = 1, .name = "demo"});
    if (!packed.ok()) throw std::runtime_error(packed.error().message);
    return out;
  }();
  return folder;
}

worker::WorkerOptions demo_options(int n_stages) {
  worker::WorkerOptions options;
  options.model = demo_model();
  options.n_stages = n_stages;
  options.kv_type = engine::KvType::kF32;
  options.kv_tokens = 512;
  options.max_step_tokens = 64;
  options.threads = 1;
  return options;
}

/// Greedy tokens after `prompt`, in one chunk or in chunks of `chunk`.
std::vector<std::int32_t> generate(ControlTestClient& client, std::vector<std::int32_t> prompt, int count, std::size_t chunk) {
  std::vector<std::int32_t> out;
  std::uint64_t id = 1;
  int position = 0;
  while (static_cast<int>(out.size()) < count) {
    const std::size_t n = std::min(chunk, prompt.size());
    const std::vector<std::int32_t> now(prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(n));
    prompt.erase(prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(n));
    client.send(greedy_step(id, now, position));
    const control::Frame answer = client.receive_answer();
    if (!answer.has_result() || answer.result().id() != id || answer.result().rows_size() != 1)
      throw std::runtime_error("not the result of step " + std::to_string(id) + ": " + answer.ShortDebugString());
    ++id;
    position += static_cast<int>(n);
    if (!prompt.empty()) continue;
    out.push_back(answer.result().rows(0).token());
    prompt = {out.back()};
  }
  return out;
}

void shut_down(ControlTestClient& client) {
  control::Frame frame;
  frame.mutable_shutdown();
  client.send(frame);
}

std::unique_ptr<worker::InProcessJob> start(worker::WorkerOptions options, int n_ranks) {
  auto job = worker::start_in_process_job(std::move(options), n_ranks);
  if (!job.ok()) throw std::runtime_error(job.error().message);
  return std::move(*job);
}

const std::vector<std::int32_t>& expected_tokens() {
  static const std::vector<std::int32_t> tokens = [] {
    const auto job = start(demo_options(1), 1);
    ControlTestClient client(job->address());
    client.enter(job->secret());
    return generate(client, kPrompt, 24, 64);
  }();
  return tokens;
}

}  // namespace colonnade::tests
