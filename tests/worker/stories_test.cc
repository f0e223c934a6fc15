// The real model stories260K, dense and in sparse-bitmask layouts, against values that other programs computed.
#include <catch2/catch.hpp>

#include "tests/support/golden.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using namespace colonnade;
using namespace colonnade::tests;
using engine::FormatId;

namespace {

worker::LocalRanksOptions exact() {
  worker::LocalRanksOptions options;
  options.kv_type = engine::KvType::kF32;
  return options;
}

std::vector<float> rows_of(const Json& rows) {
  std::vector<float> values;
  for (const Json& row : rows)
    for (const Json& value : row) values.push_back(value.get<float>());
  return values;
}

void check_logits(TestJob& job, const std::filesystem::path& directory) {
  const Json expected = read_json(directory / "expected_logits.json");
  const auto logits = job.logits(expected["teacher_forced_ids"].get<std::vector<std::int32_t>>(), 0);
  CHECK(max_difference(logits, rows_of(expected["logits"])) < 5e-5);
}

}  // namespace

TEST_CASE("stories260K tells its published story on any number of ranks") {
  COLONNADE_SHARED_PATH(directory, "data/models/stories260K");
  const Json greedy = read_json(directory / "expected_greedy.json");
  const auto ids = greedy["greedy_ids"].get<std::vector<std::int32_t>>();
  for (const int n_ranks : {1, 2, 5}) {
    CAPTURE(n_ranks);
    TestJob job(packed_model(directory, FormatId::kF32), n_ranks, 1, exact());
    check_logits(job, directory);
    CHECK(continue_greedily(job, greedy["prompt_ids"].get<std::vector<std::int32_t>>(), ids.size()) == ids);
  }
}

TEST_CASE("stories260K continues prompts as expected") {
  COLONNADE_SHARED_PATH(directory, "data/models/stories260K");
  TestJob job(packed_model(directory, FormatId::kF32), 2, 2, exact());
  const Json expected = read_json(directory / "expected_prompts.json");
  for (const Json& prompt : expected["cases"]) {
    CAPTURE(prompt["prompt"].get<std::string>());
    const auto ids = prompt["greedy_ids"].get<std::vector<std::int32_t>>();
    CHECK(continue_greedily(job, prompt["prompt_ids"].get<std::vector<std::int32_t>>(), ids.size()) == ids);
  }
}

TEST_CASE("sparse-bitmask checkpoints give the logits of the weights that they stand for") {
  COLONNADE_SHARED_PATH(folder, "data/sparse/derived-from-stories260K");
  for (const char* name : {"sparse-bitmask", "sparse-bitmask-bf16", "sparse-bitmask-90", "sparse-bitmask-legacy-names"}) {
    CAPTURE(name);
    TestJob job(packed_model(folder / name, FormatId::kF32), 3, 1, exact());
    check_logits(job, folder / name);
  }
}
