// Several ranks that prune one model: as threads here, as processes in tests/coordinator/cli/prune_ranks_test.py.
#include <catch2/catch.hpp>

#include <functional>
#include <numeric>
#include <optional>
#include <thread>

#include "engine/base/thread_comm.h"
#include "shard/prune/factor.h"
#include "shard/prune/layer_share.h"
#include "shard/prune/prune_model.h"
#include "shard/prune/row_group.h"
#include "shard/source_model.h"
#include "tests/shard/prune/pruned_folders.h"

using namespace colonnade;
using namespace colonnade::shard;
using namespace colonnade::tests;

namespace {

PruneOptions options_for(const std::filesystem::path& source, std::size_t n_windows, std::size_t length) {
  const auto model = SourceModel::open(source);
  REQUIRE(model.ok());
  PruneOptions options;
  options.windows = some_windows(model->config().vocab_size, n_windows, length);
  options.rules.refit = true;
  options.threads = 1;
  return options;
}

struct Ended {
  std::vector<std::optional<Result<PruneReport>>> reports;  // by rank
  std::vector<char> all_know;
};

Ended prune_on(int n_ranks, const std::filesystem::path& source, const std::filesystem::path& out, const PruneOptions& options,
               const std::function<void(int rank, PruneOptions&)>& change = {}) {
  ThreadJob job(n_ranks);
  Ended ended;
  ended.reports.resize(static_cast<std::size_t>(n_ranks));
  ended.all_know.resize(static_cast<std::size_t>(n_ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < n_ranks; ++rank)
    threads.emplace_back([&, rank] {
      PruneOptions own = options;
      if (rank > 0) own.windows.clear();  // those of rank 0 count
      if (change) change(rank, own);
      bool all_know = false;
      auto report = prune_model(source, out, own, job.comm(rank), all_know);
      if (!report.ok() && !all_know) job.end();
      ended.all_know[static_cast<std::size_t>(rank)] = all_know;
      ended.reports[static_cast<std::size_t>(rank)].emplace(std::move(report));
    });
  for (std::thread& thread : threads) thread.join();
  return ended;
}

void require_pruned(int n_ranks, const std::filesystem::path& source, const std::filesystem::path& out, const PruneOptions& options) {
  for (const auto& report : prune_on(n_ranks, source, out, options).reports)
    if (!report->ok()) FAIL(report->error().message);
}

}  // namespace

TEST_CASE("one, two, three and five ranks write the same bytes") {
  struct Case {
    const char* family;
    std::size_t n_windows, length;  // also windows that take several steps
    MatrixRules rules;
    RateRule rates;
  };
  const std::vector<Case> cases{
      {"qwen3_moe", 60, 48, {.refit = true, .sparsity = 0.7, .values = PrunedValues::kInt4}, RateRule::kUniform},
      {"llama3", 5, 600, {.refit = true}, RateRule::kAtp},
      {"mistral", 60, 48, {.method = PruneMethod::kWanda}, RateRule::kOwl},
      {"phi3", 1, 48, {.method = PruneMethod::kMagnitude}, RateRule::kUniform},
      {"mixtral", 1, 17, {.structure = {.group = 4, .kept = 2}}, RateRule::kUniform},  // experts that no token reaches
      {"gpt_oss", 30, 48, {.refit = true, .structure = {.unit = 4}}, RateRule::kUniform},  // experts in one tensor
      {"bert", 20, 48, {.refit = true, .sparsity = 0.7}, RateRule::kOwl},  // whole windows at a time, positions beside the embedding
      {"deepseek_v3", 40, 48, {.refit = true, .values = PrunedValues::kInt8}, RateRule::kUniform}};
  for (const Case& one : cases) {
    CAPTURE(one.family);
    const auto source = golden_folder(one.family);
    PruneOptions options = options_for(source, one.n_windows, one.length);
    options.rules = one.rules;
    options.rates = one.rates;
    const auto alone = new_folder(std::string("ranks-1-") + one.family);
    const auto report = prune_model(source, alone, options);
    if (!report.ok()) FAIL(report.error().message);
    for (const int n_ranks : {2, 3, 5}) {
      CAPTURE(n_ranks);
      const auto out = new_folder(std::string("ranks-") + std::to_string(n_ranks) + "-" + one.family);
      const Ended ended = prune_on(n_ranks, source, out, options);
      for (const auto& of_rank : ended.reports)
        if (!of_rank->ok()) FAIL(of_rank->error().message);
      { const bool same = contents(out) == contents(alone); CHECK(same); }
      const PruneReport& first = **ended.reports.front();
      CHECK(first.kept == report->kept);
      CHECK(first.weights == report->weights);
      CHECK(first.errors == report->errors);
      CHECK(first.weak_experts == report->weak_experts);
      CHECK(first.peak_bytes <= first.stated_bytes);
    }
  }
}

TEST_CASE("what some ranks began others can finish") {
  const auto source = golden_folder("mistral");  // three layers
  PruneOptions options = options_for(source, 30, 48);
  options.rates = RateRule::kOwl;
  const auto whole = new_folder("ranks-whole"), parts = new_folder("ranks-parts");
  require_pruned(1, source, whole, options);
  for (const int n_ranks : {3, 1}) {
    options.stop_after_layers = 1;
    for (const auto& report : prune_on(n_ranks, source, parts, options).reports) {
      REQUIRE_FALSE(report->ok());
      CHECK(report->error().code == ErrorCode::kCancelled);
    }
  }
  options.stop_after_layers = -1;
  const Ended ended = prune_on(5, source, parts, options);
  for (const auto& report : ended.reports) REQUIRE(report->ok());
  CHECK((*ended.reports.front())->resumed_layers == 2);
  { const bool same = contents(parts) == contents(whole); CHECK(same); }
}

TEST_CASE("what one rank cannot do all know, and rank 0 names that rank") {
  const auto source = golden_folder("llama");
  const auto out = new_folder("ranks-refused");
  PruneOptions options = options_for(source, 3, 48);
  std::filesystem::create_directories(out);
  std::ofstream(out / "notes.txt") << "mine";
  Ended ended = prune_on(3, source, out, options);
  for (std::size_t rank = 0; rank < 3; ++rank) {
    REQUIRE_FALSE(ended.reports[rank]->ok());
    CHECK(ended.reports[rank]->error().message.find("notes.txt") != std::string::npos);
    CHECK(ended.all_know[rank]);
  }
  // A rank with another model.
  ThreadJob job(2);
  const auto other = golden_folder("qwen2");
  std::vector<std::string> messages(2);
  std::thread second([&] {
    bool all_know = false;
    const auto report = prune_model(other, out, options, job.comm(1), all_know);
    if (!report.ok()) messages[1] = report.error().message;
  });
  bool all_know = false;
  const auto report = prune_model(source, out, options, job.comm(0), all_know);
  second.join();
  REQUIRE_FALSE(report.ok());
  CHECK(all_know);
  CHECK(report.error().message.find("rank 1: ") == 0);
  CHECK(report.error().message.find("same model") != std::string::npos);
  CHECK(messages[1] == report.error().message);
}

TEST_CASE("ranks with other options than rank 0 are refused, whatever differs") {
  const auto source = golden_folder("llama");
  const PruneOptions first = options_for(source, 3, 48);
  struct Case {
    const char* found;
    std::function<void(PruneOptions&)> change;
  };
  const std::vector<Case> cases{
      {"--sparsity 0.6", [](PruneOptions& o) { o.rules.sparsity = 0.6; }},
      {"--sparsity 0.5000000001", [](PruneOptions& o) { o.rules.sparsity = 0.5000000001; }},
      {"--method magnitude", [](PruneOptions& o) { o.rules.method = PruneMethod::kMagnitude; }},
      {"--refit false", [](PruneOptions& o) { o.rules.refit = false; }},
      {"--structure 2:4", [](PruneOptions& o) { o.rules.structure = {.group = 4, .kept = 2}; }},
      {"--values int8", [](PruneOptions& o) { o.rules.values = PrunedValues::kInt8; }},
      {"--rates owl", [](PruneOptions& o) { o.rates = RateRule::kOwl; }},
      {"--rate-spread 0.01", [](PruneOptions& o) { o.rate_spread = 0.01; }},
      {"--damping 0.02", [](PruneOptions& o) { o.damping = 0.02; }},
      {"--layout sparse-bitmask", [](PruneOptions& o) { o.layout = PrunedLayout::kBitmask; }},
      {"--stop-after-layers 1", [](PruneOptions& o) { o.stop_after_layers = 1; }}};
  for (const Case& one : cases) {
    CAPTURE(one.found);
    const auto out = new_folder("ranks-other-options");
    const Ended ended = prune_on(3, source, out, first, [&](int rank, PruneOptions& options) {
      if (rank == 2) one.change(options);
    });
    for (std::size_t rank = 0; rank < 3; ++rank) {
      REQUIRE_FALSE(ended.reports[rank]->ok());
      CHECK(ended.all_know[rank]);
      const Error& error = ended.reports[rank]->error();
      CHECK(error.code == ErrorCode::kInvalidArgument);
      CAPTURE(error.message);
      CHECK(error.message.find("rank 2: ") == 0);
      CHECK(error.message.find(one.found) != std::string::npos);
      CHECK(error.message.find("as on rank 0") != std::string::npos);
    }
    CHECK_FALSE(std::filesystem::exists(out));
  }
  // What changes no bit may differ.
  const auto out = new_folder("ranks-other-threads");
  const Ended ended = prune_on(2, source, out, first, [](int rank, PruneOptions& options) { options.isa = rank == 0 ? "scalar" : ""; });
  for (const auto& report : ended.reports) REQUIRE(report->ok());
}

TEST_CASE("shares cover a layer once, in order, and are nearly equal where there is enough to share") {
  LayerMatrices layer;
  for (const std::size_t cols : {512u, 512u, 2048u}) {
    layer.inputs.push_back({.cols = cols, .matrices = {layer.matrices.size()}});
    LayerMatrix matrix;
    matrix.rows = 3000;
    matrix.cols = cols;
    matrix.input = layer.inputs.size() - 1;
    layer.matrices.push_back(std::move(matrix));
  }
  for (const bool with_gram : {false, true}) {
    for (const int n_ranks : {1, 2, 3, 5, 7, 40}) {
      CAPTURE(with_gram, n_ranks);
      const LayerShares shares = share_layer(layer, with_gram, n_ranks);
      std::vector<double> costs(static_cast<std::size_t>(n_ranks));
      for (std::size_t m = 0; m < layer.matrices.size(); ++m) {
        std::size_t next = 0, next_sum = 0;
        for (std::size_t rank = 0; rank < costs.size(); ++rank) {
          const RowRange rows = shares.rows[rank][m], sums = shares.sums[rank][m];
          if (!rows.empty()) {
            CHECK(rows.first == next);
            CHECK(rows.first % kRowGroup == 0);
            next = rows.last;
          }
          if (!sums.empty()) {
            CHECK(sums.first == next_sum);
            CHECK(sums.first % (with_gram ? kGramTileRows : layer.inputs[m].cols) == 0);
            next_sum = sums.last;
          }
          const auto cols = static_cast<double>(layer.matrices[m].cols);
          costs[rank] += static_cast<double>(rows.count()) * (with_gram ? cols * cols : cols);
        }
        CHECK(next == layer.matrices[m].rows);
        CHECK(next_sum == layer.inputs[m].cols);
        CHECK_FALSE(shares.owners_of(m).empty());
        CHECK_FALSE(shares.users_of(layer.inputs[m]).empty());
      }
      const double mean = std::accumulate(costs.begin(), costs.end(), 0.0) / n_ranks;
      if (n_ranks <= 7) {
        for (const double cost : costs) CHECK(cost == Approx(mean).epsilon(0.25));
      }
    }
  }
}
