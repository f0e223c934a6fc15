// Reference logits of small models by other implementations (tests/data/golden/README.md), and running the forward
// pass on them with ranks as threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/json.h"
#include "engine/formats/format.h"
#include "engine/model/step.h"
#include "shard/manifest.h"
#include "shard/plan.h"
#include "worker/local_ranks.h"

namespace colonnade::tests {

struct Golden {
  std::vector<std::int32_t> tokens;
  std::vector<float> logits;  // (tokens.size(), vocab_size): row i after tokens[0..i]
  int vocab_size = 0;
};

/// Reads <directory>/golden.safetensors, or the file itself; fails the test when it cannot.
Golden read_golden(const std::filesystem::path& directory_or_file);

/// Packs a Hugging Face directory or a GGUF file (once a process, format and number of query heads to an output matrix, 0: chosen)
/// into a scratch folder; fails the test on an error.
struct PackedModel {
  std::filesystem::path directory;
  shard::Manifest manifest;
};
const PackedModel& packed_model(const std::filesystem::path& source, engine::FormatId values, int output_heads = 0);

/// A plan and its ranks as threads.
class TestJob {
 public:
  TestJob(const PackedModel& model, int n_ranks, int n_stages, const worker::LocalRanksOptions& options);

  engine::StepResult run(const engine::Step& step);
  void run(const engine::Step& step, engine::StepResult& result);

  /// Logits at every position of one sequence, `chunk` tokens a step (0: all at once), its pages from first_page on.
  std::vector<float> logits(const std::vector<std::int32_t>& tokens, int chunk, int first_page = 0);

  /// The ranks' own share: n_ranks that hold at least one path.
  const shard::Plan& plan() const { return *plan_; }

 private:
  std::unique_ptr<shard::Plan> plan_;  // at a fixed address, which the ranks keep
  std::unique_ptr<worker::LocalRanks> ranks_;
};

/// Greedy continuation: the prompt in one step, then token by token.
std::vector<std::int32_t> continue_greedily(TestJob& job, std::vector<std::int32_t> tokens, std::size_t count);

/// The content of a JSON file; fails the test when it cannot be read.
Json read_json(const std::filesystem::path& path);

/// Adds the tokens [first, first + count) of a sequence to a step, every position with full logits.
void add_sequence(engine::Step& step, const std::vector<std::int32_t>& tokens, int first, int count, int first_page);

double max_difference(const std::vector<float>& a, const std::vector<float>& b);
double rms_difference(const std::vector<float>& a, const std::vector<float>& b);
double standard_deviation(const std::vector<float>& values);

}  // namespace colonnade::tests
