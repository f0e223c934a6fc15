// The demo model against its expected continuations, at every rank and stage count.
#include <catch2/catch.hpp>

#include "tests/support/golden.h"
#include "tests/support/shared_data.h"

using namespace colonnade;
using namespace colonnade::tests;
using engine::FormatId;

namespace {

std::filesystem::path demo() { return tests::source_folder() / "deploy/demo"; }

/// Ids are compared up to the first position whose lead is below `noise`.
void check_continuations(FormatId values, int n_ranks, int n_stages, double noise) {
  CAPTURE(n_ranks, n_stages);
  worker::LocalRanksOptions options;
  options.kv_type = engine::KvType::kF32;
  TestJob job(packed_model(demo(), values), n_ranks, n_stages, options);
  std::size_t compared = 0;
  const Json expected = read_json(demo() / "expected.json");
  for (const Json& prompt : expected["prompts"]) {
    const auto ids = prompt["greedy_ids"].get<std::vector<std::int32_t>>();
    const auto leads = prompt["leads"].get<std::vector<double>>();
    const auto generated = continue_greedily(job, prompt["prompt_ids"].get<std::vector<std::int32_t>>(), ids.size());
    for (std::size_t i = 0; i < ids.size() && leads[i] > noise; ++i, ++compared) {
      CAPTURE(prompt["text"].get<std::string>(), i, leads[i]);
      REQUIRE(generated[i] == ids[i]);
    }
  }
  CHECK(compared > 20);
}

}  // namespace

TEST_CASE("the demo model continues as expected at every rank count") {
  for (const int n_ranks : {1, 2, 3, 4, 5, 7}) check_continuations(FormatId::kBf16, n_ranks, 1, 1e-3);
}

TEST_CASE("the demo model continues as expected with stages") {
  check_continuations(FormatId::kBf16, 2, 2, 1e-3);
  check_continuations(FormatId::kBf16, 5, 2, 1e-3);
  check_continuations(FormatId::kBf16, 3, 3, 1e-3);
  check_continuations(FormatId::kBf16, 7, 3, 1e-3);
}

TEST_CASE("the demo model in int8 continues as expected where the lead is clear") {
  check_continuations(FormatId::kInt8, 2, 1, 0.15);
}
