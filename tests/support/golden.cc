#include "tests/support/golden.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include "engine/kernels/kernels.h"
#include "shard/mapped_file.h"
#include "shard/model_source.h"
#include "shard/safetensors.h"
#include "tests/support/shared_data.h"

namespace colonnade::tests {
namespace {

template <typename T>
std::vector<T> values_of(const std::vector<shard::Tensor>& tensors, const char* name) {
  for (const shard::Tensor& tensor : tensors) {
    if (tensor.name != name) continue;
    std::vector<T> values(tensor.data.size() / sizeof(T));
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    return values;
  }
  FAIL("no tensor " << name);
  return {};
}

}  // namespace

Golden read_golden(const std::filesystem::path& directory_or_file) {
  const bool is_directory = std::filesystem::is_directory(directory_or_file);
  auto file = shard::MappedFile::open(is_directory ? directory_or_file / "golden.safetensors" : directory_or_file);
  if (!file.ok()) FAIL(file.error().message);
  auto tensors = shard::parse_safetensors(file->bytes(), "golden.safetensors");
  if (!tensors.ok()) FAIL(tensors.error().message);
  Golden golden;
  golden.tokens = values_of<std::int32_t>(*tensors, "tokens");
  golden.logits = values_of<float>(*tensors, "logits");
  golden.vocab_size = static_cast<int>(golden.logits.size() / golden.tokens.size());
  return golden;
}

const PackedModel& packed_model(const std::filesystem::path& source, engine::FormatId values, int output_heads) {
  static std::map<std::tuple<std::string, engine::FormatId, int>, PackedModel> models;
  const auto key = std::tuple(source.string(), values, output_heads);
  if (const auto found = models.find(key); found != models.end()) return found->second;
  PackedModel model;
  model.directory = scratch_folder() / "packed";
  shard::PackOptions options;
  options.rules = shard::format_rules(shard::values_of(values));
  // Not chosen by density: every matrix has the format that is asked for.
  options.rules->forced = values;
  options.threads = 1;
  options.output_heads = output_heads;
  auto manifest = shard::pack_model(source, model.directory, options);
  if (!manifest.ok()) FAIL(manifest.error().message);
  auto read = shard::read_manifest(model.directory);
  if (!read.ok()) FAIL(read.error().message);
  model.manifest = std::move(*read);
  return models.emplace(key, std::move(model)).first->second;
}

TestJob::TestJob(const PackedModel& model, int n_ranks, int n_stages, const worker::LocalRanksOptions& options) {
  shard::PlanOptions plan_options;
  plan_options.n_stages = n_stages;
  auto plan = shard::make_plan(model.manifest.config, model.manifest.paths,
                               std::vector<shard::RankMachine>(static_cast<std::size_t>(n_ranks)), plan_options);
  if (!plan.ok()) FAIL(plan.error().message);
  plan_ = std::make_unique<shard::Plan>(std::move(*plan));
  auto ranks = worker::LocalRanks::start(model.manifest, *plan_, worker::slices_of(model.manifest, model.directory), options);
  if (!ranks.ok()) FAIL(ranks.error().message);
  ranks_ = std::move(*ranks);
}

engine::StepResult TestJob::run(const engine::Step& step) {
  engine::StepResult result;
  run(step, result);
  return result;
}

void TestJob::run(const engine::Step& step, engine::StepResult& result) {
  const Status status = ranks_->run(step, result);
  if (!status.ok()) FAIL(status.error().message);
}

std::vector<float> TestJob::logits(const std::vector<std::int32_t>& tokens, int chunk, int first_page) {
  const int total = static_cast<int>(tokens.size());
  if (chunk == 0) chunk = total;
  std::vector<float> all;
  for (int first = 0; first < total; first += chunk) {
    engine::Step step;
    add_sequence(step, tokens, first, std::min(chunk, total - first), first_page);
    const engine::StepResult result = run(step);
    all.insert(all.end(), result.logits.begin(), result.logits.end());
  }
  return all;
}

std::vector<std::int32_t> continue_greedily(TestJob& job, std::vector<std::int32_t> tokens, std::size_t count) {
  std::vector<std::int32_t> generated;
  int done = 0;
  while (generated.size() < count) {
    engine::Step step;
    add_sequence(step, tokens, done, static_cast<int>(tokens.size()) - done, 0);
    step.rows.erase(step.rows.begin(), step.rows.end() - 1);
    step.rows[0].flags = engine::kRowSample;
    step.rows[0].temperature = 0.0f;
    done = static_cast<int>(tokens.size());
    generated.push_back(job.run(step).rows[0].token);
    tokens.push_back(generated.back());
  }
  return generated;
}

Json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  auto json = parse_json(content.str(), path.filename().string());
  if (!json.ok()) FAIL(json.error().message);
  return std::move(*json);
}

void add_sequence(engine::Step& step, const std::vector<std::int32_t>& tokens, int first, int count, int first_page) {
  engine::StepSequence sequence;
  sequence.first_token = static_cast<std::int32_t>(step.tokens.size());
  sequence.n_tokens = count;
  sequence.first_position = first;
  sequence.first_page = static_cast<std::int32_t>(step.pages.size());
  sequence.n_pages = (first + count + engine::kPageTokens - 1) / engine::kPageTokens;
  step.sequences.push_back(sequence);
  for (int i = 0; i < count; ++i) {
    engine::StepRow row;
    row.token_index = static_cast<std::int32_t>(step.tokens.size());
    row.flags = engine::kRowFullLogits;
    step.rows.push_back(row);
    step.tokens.push_back(tokens[static_cast<std::size_t>(first + i)]);
  }
  for (int p = 0; p < sequence.n_pages; ++p) step.pages.push_back(first_page + p);
}

double max_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - b[i]);
    if (!(difference <= largest)) largest = difference;  // a NaN counts
  }
  return largest;
}

double rms_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

double standard_deviation(const std::vector<float>& values) {
  double sum = 0, squares = 0;
  for (const float value : values) sum += value, squares += static_cast<double>(value) * value;
  const auto n = static_cast<double>(values.size());
  return std::sqrt(squares / n - sum / n * sum / n);
}

}  // namespace colonnade::tests
