#include "shard/plan.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <numeric>
#include <set>

#include "shard/hf_config.h"
#include "tests/shard/shapes.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using namespace colonnade;
using namespace colonnade::shard;
using engine::FormatId;
using tests::make_config;

namespace {

std::vector<RankMachine> equal_machines(int n) { return std::vector<RankMachine>(static_cast<std::size_t>(n)); }

/// Which model does a rank see as its head: the tied embedding on the last stage, too.
bool divisible(const PathSpec& path) { return path.kind != PathKind::kReplicated; }

/// Counted apart from make_plan: every matrix (query heads, too) held exactly once in every place that needs it.
void check_complete(const engine::ModelConfig& config, const std::vector<PathSpec>& paths, const Plan& plan) {
  std::map<std::pair<std::uint32_t, int>, std::vector<int>> holders;  // (path, head) -> ranks
  for (int r = 0; r < static_cast<int>(plan.ranks.size()); ++r) {
    const RankPlan& rank = plan.ranks[static_cast<std::size_t>(r)];
    std::uint32_t last = 0;
    bool first = true;
    for (const Assignment& a : rank.paths) {
      REQUIRE((first || a.path > last));
      last = a.path;
      first = false;
      const PathSpec& path = paths[a.path];
      if (path.kind == PathKind::kAttention) {
        REQUIRE(a.n_heads >= 1);
        REQUIRE(a.first_head >= 0);
        REQUIRE(a.first_head + a.n_heads <= path.count);
        for (int h = a.first_head; h < a.first_head + a.n_heads; ++h) holders[{a.path, h}].push_back(r);
      } else {
        REQUIRE(a.n_heads == 0);
        holders[{a.path, 0}].push_back(r);
      }
    }
  }
  const int n_stages = static_cast<int>(plan.stages.size());
  const auto stage_of = [&](int rank) { return plan.ranks[static_cast<std::size_t>(rank)].stage; };
  const auto stage_of_layer = [&](int layer) {
    for (int s = 0; s < n_stages; ++s) {
      const StagePlan& stage = plan.stages[static_cast<std::size_t>(s)];
      if (layer >= stage.first_layer && layer < stage.first_layer + stage.n_layers) return s;
    }
    return n_stages - 1;  // final norm and head
  };
  for (std::uint32_t p = 0; p < paths.size(); ++p) {
    const PathSpec& path = paths[p];
    std::multiset<int> expected_stages;
    int heads = 1;
    if (path.kind == PathKind::kEmbedding) {
      expected_stages.insert(0);
      if (config.tied_embeddings && n_stages > 1) expected_stages.insert(n_stages - 1);
    } else if (path.kind == PathKind::kReplicated) {
      const int s = stage_of_layer(path.layer);
      for (std::size_t i = 0; i < plan.stages[static_cast<std::size_t>(s)].ranks.size(); ++i) expected_stages.insert(s);
    } else {
      expected_stages.insert(stage_of_layer(path.layer));
      if (path.kind == PathKind::kAttention) heads = path.count;
    }
    for (int h = 0; h < heads; ++h) {
      std::multiset<int> stages;
      for (const int r : holders[{p, h}]) stages.insert(stage_of(r));
      REQUIRE(stages == expected_stages);
    }
  }
}

void check_stages(const engine::ModelConfig& config, const Plan& plan, int n_ranks, int n_stages) {
  REQUIRE(plan.stages.size() == static_cast<std::size_t>(n_stages));
  int layer = 0, rank = 0;
  for (int s = 0; s < n_stages; ++s) {
    const StagePlan& stage = plan.stages[static_cast<std::size_t>(s)];
    REQUIRE(stage.first_layer == layer);
    REQUIRE(stage.n_layers >= 1);
    layer += stage.n_layers;
    REQUIRE(!stage.ranks.empty());
    for (const int r : stage.ranks) {
      REQUIRE(r == rank++);
      REQUIRE(plan.ranks[static_cast<std::size_t>(r)].stage == s);
    }
  }
  REQUIRE(layer == config.n_layers);
  REQUIRE(rank == n_ranks);
}

/// Of every block a rank holds one contiguous run, ascending with the rank: so the vocabulary comes in order.
void check_runs(const std::vector<PathSpec>& paths, const Plan& plan) {
  for (const StagePlan& stage : plan.stages) {
    std::map<std::pair<int, int>, std::pair<std::uint32_t, int>> end;  // block -> (path, head) after the last run
    for (const int r : stage.ranks) {
      std::set<std::pair<int, int>> seen;
      for (const Assignment& a : plan.ranks[static_cast<std::size_t>(r)].paths) {
        const PathSpec& path = paths[a.path];
        if (!divisible(path)) continue;
        const std::pair<int, int> block{static_cast<int>(path.kind), path.layer};
        const std::pair<std::uint32_t, int> begin{a.path, a.first_head};
        if (end.contains(block)) REQUIRE(begin == end[block]);
        const bool whole = path.kind != PathKind::kAttention || a.first_head + a.n_heads == path.count;
        end[block] = whole ? std::pair{a.path + 1, 0} : std::pair{a.path, a.first_head + a.n_heads};
      }
    }
  }
}

/// Bytes without what is replicated: what can be balanced at all.
std::uint64_t own_bytes(const engine::ModelConfig& config, const std::vector<PathSpec>& paths, const RankPlan& rank) {
  std::uint64_t sum = 0;
  for (const Assignment& a : rank.paths) {
    const PathSpec& path = paths[a.path];
    if (!divisible(path)) continue;
    sum += path.kind == PathKind::kAttention ? path.bytes * static_cast<std::uint64_t>(a.n_heads) /
                                                   static_cast<std::uint64_t>(config.query_heads_per_kv())
                                             : path.bytes;
  }
  return sum;
}

std::size_t units(const engine::ModelConfig& config, const std::vector<PathSpec>& paths) {
  std::size_t n = 0;
  for (const PathSpec& p : paths)
    if (divisible(p)) n += p.kind == PathKind::kAttention ? static_cast<std::size_t>(config.query_heads_per_kv()) : 1;
  return n;
}

}  // namespace

TEST_CASE("every path, query heads too, is held exactly once where it is needed; no rank is empty") {
  std::mt19937 random(7);
  for (int i = 0; i < 400; ++i) {
    const auto config = tests::random_config(random);
    const auto paths = enumerate_paths(config, format_choice(i % 2 == 0 ? FormatId::kBf16 : FormatId::kInt8));
    const int n_stages = std::uniform_int_distribution<int>(1, std::min(5, config.n_layers))(random);
    const int n_ranks = std::uniform_int_distribution<int>(n_stages, 40)(random);
    auto machines = equal_machines(n_ranks);
    if (i % 3 == 0)
      for (RankMachine& m : machines) m.speed = std::uniform_real_distribution<double>(0.5, 4.0)(random);
    CAPTURE(i, n_stages, n_ranks, config.n_layers, config.n_heads, config.n_kv_heads);
    PlanOptions options;
    options.n_stages = n_stages;
    const auto plan = make_plan(config, paths, machines, options);
    REQUIRE(plan.ok());
    check_stages(config, *plan, n_ranks, n_stages);
    check_complete(config, paths, *plan);
    check_runs(paths, *plan);
    for (const StagePlan& stage : plan->stages) {
      // A stage has at least one layer's worth of units; fewer than ranks only in models of a few hundred KiB.
      std::size_t held = 0, empty = 0;
      for (const int r : stage.ranks) {
        const std::size_t own = units(config, [&] {
          std::vector<PathSpec> mine;
          for (const Assignment& a : plan->ranks[static_cast<std::size_t>(r)].paths) mine.push_back(paths[a.path]);
          return mine;
        }());
        held += own;
        empty += own == 0 ? 1 : 0;
      }
      if (held >= stage.ranks.size() * static_cast<std::size_t>(config.query_heads_per_kv())) CHECK(empty == 0);
    }
  }
}

TEST_CASE("groups of query heads are never cut, nor paths of several KV heads") {
  std::mt19937 random(13);
  for (int i = 0; i < 300; ++i) {
    auto config = tests::random_config(random);
    const int per_kv = config.query_heads_per_kv();
    config.output_heads = i % 2 == 0 ? std::uniform_int_distribution<int>(1, per_kv)(random)
                                     : per_kv * std::uniform_int_distribution<int>(1, config.n_kv_heads)(random);
    const auto paths = enumerate_paths(config, format_choice(FormatId::kInt8));
    const int n_ranks = std::uniform_int_distribution<int>(1, 20)(random);
    CAPTURE(i, n_ranks, config.n_heads, config.n_kv_heads, config.output_heads);
    PlanOptions options;
    const auto plan = make_plan(config, paths, equal_machines(n_ranks), options);
    REQUIRE(plan.ok());
    check_complete(config, paths, *plan);
    check_runs(paths, *plan);
    for (const RankPlan& rank : plan->ranks) {
      std::uint64_t kv_heads = 0;
      for (const Assignment& a : rank.paths) {
        const PathSpec& path = paths[a.path];
        if (path.kind != PathKind::kAttention) continue;
        const int end = a.first_head + a.n_heads;
        REQUIRE(a.first_head % config.output_heads == 0);
        REQUIRE((end == path.count || end % config.output_heads == 0));
        kv_heads += static_cast<std::uint64_t>(path.count / per_kv);
      }
      REQUIRE(rank.kv_bytes == kv_heads * (options.kv_tokens / 32) * engine::kv_block_bytes(config.head_dim, options.kv_type));
    }
  }
}

TEST_CASE("what a rank holds is within one path of its share") {
  std::mt19937 random(11);
  for (int i = 0; i < 400; ++i) {
    const auto config = tests::random_config(random);
    const auto paths = enumerate_paths(config, format_choice(FormatId::kBf16));
    // Up to two ranks a KV head: beyond it ranks would fight over single query heads.
    const int n_ranks = std::uniform_int_distribution<int>(1, 2 * config.n_kv_heads)(random);
    auto machines = equal_machines(n_ranks);
    const bool unequal = i % 2 == 0;
    if (unequal)
      for (RankMachine& m : machines) m.speed = std::uniform_real_distribution<double>(0.5, 2.0)(random);
    const auto plan = make_plan(config, paths, machines, {});
    REQUIRE(plan.ok());
    std::uint64_t all = 0, largest = 0;
    double speed = 0;
    for (const PathSpec& p : paths) {
      if (!divisible(p)) continue;
      all += p.bytes;
      largest = std::max(largest, p.bytes);
    }
    for (const RankMachine& m : machines) speed += m.speed;
    for (std::size_t r = 0; r < machines.size(); ++r) {
      const double ideal = static_cast<double>(all) * machines[r].speed / speed;
      const double has = static_cast<double>(own_bytes(config, paths, plan->ranks[r]));
      CAPTURE(i, r, n_ranks, ideal, has, largest);
      CHECK(std::abs(has - ideal) <= static_cast<double>(largest) * 1.001);
    }
  }
}

TEST_CASE("real shapes are planned evenly and quickly on any number of ranks") {
  for (const auto& [name, config] : tests::large_configs()) {
    const auto paths = enumerate_paths(config, format_choice(FormatId::kInt8));
    for (const auto& [n_ranks, n_stages] : {std::pair{1, 1}, {2, 1}, {3, 1}, {5, 2}, {7, 3}, {8, 1}, {16, 4}, {40, 5}}) {
      CAPTURE(name, n_ranks, n_stages);
      PlanOptions options;
      options.n_stages = n_stages;
      const auto start = std::chrono::steady_clock::now();
      const auto plan = make_plan(config, paths, equal_machines(n_ranks), options);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      REQUIRE(plan.ok());
      check_stages(config, *plan, n_ranks, n_stages);
      if (n_ranks == 5 || n_ranks == 40) {
        check_complete(config, paths, *plan);
        check_runs(paths, *plan);
      }
      CHECK(took.count() < 3.0);  // far below 1 s on a quiet machine without sanitizers
      if (n_ranks <= 8) CHECK(plan->imbalance_percent < 5.0);
      for (const RankPlan& r : plan->ranks) CHECK(!r.paths.empty());
    }
  }
}

TEST_CASE("published configurations are planned completely on any number of ranks") {
  COLONNADE_SHARED_PATH(folder, "data/configs");
  int n_planned = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() != ".json" || file.path().filename() == "expected_parameters.json") continue;
    const auto config = read_model_config(file.path());
    if (!config.ok()) {  // an architecture that is not supported is named
      CHECK_THAT(config.error().message, Catch::Contains("not supported") || Catch::Contains("expected"));
      continue;
    }
    ++n_planned;
    const auto paths = enumerate_paths(*config, format_choice(FormatId::kInt8));
    for (const auto& [n_ranks, n_stages] : {std::pair{1, 1}, {3, 1}, {5, 2}, {7, 3}, {13, 1}, {40, 5}}) {
      CAPTURE(file.path().filename().string(), n_ranks, n_stages);
      PlanOptions options;
      options.n_stages = n_stages;
      const auto plan = make_plan(*config, paths, equal_machines(n_ranks), options);
      REQUIRE(plan.ok());
      check_stages(*config, *plan, n_ranks, n_stages);
      check_runs(paths, *plan);
      if (n_ranks == 5) check_complete(*config, paths, *plan);
      for (const RankPlan& r : plan->ranks) CHECK(r.step_bytes > 0);
    }
  }
  CHECK(n_planned >= 15);
}

TEST_CASE("the same input gives the same plan") {
  const auto config = make_config({512, 9, 12, 3, 64, 1500, 5000, 6, 2});
  const auto paths = enumerate_paths(config, format_choice(FormatId::kBf16));
  std::vector<RankMachine> machines = equal_machines(7);
  machines[2].speed = 1.7;
  PlanOptions options;
  options.n_stages = 3;
  const auto a = make_plan(config, paths, machines, options), b = make_plan(config, paths, machines, options);
  REQUIRE((a.ok() && b.ok()));
  for (std::size_t r = 0; r < machines.size(); ++r) {
    REQUIRE(a->ranks[r].paths.size() == b->ranks[r].paths.size());
    for (std::size_t i = 0; i < a->ranks[r].paths.size(); ++i) {
      CHECK(a->ranks[r].paths[i].path == b->ranks[r].paths[i].path);
      CHECK(a->ranks[r].paths[i].first_head == b->ranks[r].paths[i].first_head);
      CHECK(a->ranks[r].paths[i].n_heads == b->ranks[r].paths[i].n_heads);
    }
  }
}

TEST_CASE("uneven KV heads rotate over the layers") {
  // 4 KV heads on 3 ranks: one rank has two in every layer, and not always the same one.
  const auto config = make_config({256, 12, 8, 4, 32, 1024, 512});
  const auto paths = enumerate_paths(config, format_choice(FormatId::kF32));
  PlanOptions options;
  options.kv_tokens = 64;
  options.kv_type = engine::KvType::kF32;
  const auto plan = make_plan(config, paths, equal_machines(3), options);
  REQUIRE(plan.ok());
  for (const RankPlan& rank : plan->ranks) {
    std::size_t kv_heads = 0;
    for (const Assignment& a : rank.paths) kv_heads += paths[a.path].kind == PathKind::kAttention ? 1 : 0;
    CHECK(kv_heads == 16);
    // keys and values of 64 tokens, head_dim 32, f32
    CHECK(rank.kv_bytes == 16 * 64 * 32 * 2 * 4);
  }
}

TEST_CASE("where ranks outnumber KV heads, only keys and values are replicated") {
  const auto config = make_config({256, 4, 8, 1, 32, 1024, 512});
  const auto paths = enumerate_paths(config, format_choice(FormatId::kF32));
  const auto plan = make_plan(config, paths, equal_machines(4), {});
  REQUIRE(plan.ok());
  std::uint64_t sum = 0, all = 0;
  for (const PathSpec& p : paths) all += p.bytes;
  std::uint64_t replicated_path_bytes = 0, shared = 0;
  for (const PathSpec& p : paths) {
    if (p.kind == PathKind::kReplicated) replicated_path_bytes += p.bytes;
    if (p.kind == PathKind::kAttention) shared += blob_header_bytes(p) + p.matrices[0].bytes + p.matrices[1].bytes;
  }
  for (const RankPlan& rank : plan->ranks) {
    CHECK(rank.replicated_bytes == replicated_path_bytes + shared);
    sum += rank.weight_bytes;
  }
  CHECK(sum == all + 3 * (replicated_path_bytes + shared));
}

TEST_CASE("a tied embedding serves both ends of one stage, and is held twice with several") {
  const auto config = make_config({128, 4, 4, 2, 32, 512, 4096, 1, 1, true});
  const auto paths = enumerate_paths(config, format_choice(FormatId::kBf16));
  std::uint64_t vocabulary = 0, all = 0;
  for (const PathSpec& p : paths) {
    all += p.bytes;
    if (p.kind == PathKind::kEmbedding) vocabulary += p.bytes;
  }
  PlanOptions options;
  CHECK(make_plan(config, paths, equal_machines(1), options)->ranks[0].weight_bytes == all);
  options.n_stages = 2;
  const auto plan = make_plan(config, paths, equal_machines(2), options);
  REQUIRE(plan.ok());
  CHECK(plan->ranks[0].weight_bytes + plan->ranks[1].weight_bytes == all + vocabulary);
  CHECK(plan->ranks[0].replicated_bytes == vocabulary);
  CHECK(plan->ranks[1].replicated_bytes == vocabulary);
}

TEST_CASE("an encoder's stage has the KV cache of one layer, however many layers it holds") {
  auto config = make_config({128, 12, 4, 4, 32, 256, 512 * 64});  // an embedding that weighs as much as some layers
  config.encoder = true;
  const auto paths = enumerate_paths(config, format_choice(FormatId::kBf16));
  PlanOptions options;
  const std::uint64_t layer = options.kv_tokens / engine::kPageTokens * engine::kv_block_bytes(32, options.kv_type) * 4;
  for (const int n_stages : {1, 2, 3, 5, 12}) {
    options.n_stages = n_stages;
    const auto plan = make_plan(config, paths, equal_machines(n_stages), options);
    REQUIRE(plan.ok());
    for (const RankPlan& rank : plan->ranks) {
      CAPTURE(n_stages, rank.stage);
      CHECK(rank.kv_bytes >= layer);
      CHECK(rank.kv_bytes < layer + 200);  // rounded up for each path
    }
  }
}

TEST_CASE("step bytes count the experts that a token uses") {
  const auto config = make_config({128, 1, 4, 2, 32, 256, 512, 8, 2});
  const auto paths = enumerate_paths(config, format_choice(FormatId::kF32));
  const auto plan = make_plan(config, paths, equal_machines(1), {});
  REQUIRE(plan.ok());
  double expected = 0;
  for (const PathSpec& p : paths) {
    const double bytes = static_cast<double>(p.bytes);
    expected += p.kind == PathKind::kFeedForward ? bytes / 4 : p.kind == PathKind::kEmbedding ? bytes / 512 : bytes;
  }
  CHECK(plan->ranks[0].step_bytes == Approx(expected));
}

TEST_CASE("faster ranks get more, small memories cap a rank's share") {
  const auto config = make_config({512, 8, 16, 8, 32, 4096, 8000});
  const auto paths = enumerate_paths(config, format_choice(FormatId::kF32));
  std::vector<RankMachine> machines = equal_machines(3);
  machines[1].speed = 2.0;
  const auto free_plan = make_plan(config, paths, machines, {});
  REQUIRE(free_plan.ok());
  const auto weight = [](const Plan& p, std::size_t r) { return static_cast<double>(p.ranks[r].weight_bytes); };
  CHECK(weight(*free_plan, 1) / weight(*free_plan, 0) == Approx(2.0).epsilon(0.05));
  CHECK(free_plan->imbalance_percent < 5.0);

  machines[1].memory_bytes = free_plan->ranks[1].total_bytes() * 2 / 3;
  const auto capped = make_plan(config, paths, machines, {});
  REQUIRE(capped.ok());
  CHECK(capped->ranks[1].total_bytes() <= machines[1].memory_bytes);
  CHECK(weight(*capped, 0) > weight(*free_plan, 0));
  CHECK(weight(*capped, 0) == Approx(weight(*capped, 2)).epsilon(0.05));
}

TEST_CASE("stages avoid ranks that cannot hold their layers") {
  const auto config = make_config({512, 8, 16, 8, 32, 4096, 1000});
  const auto paths = enumerate_paths(config, format_choice(FormatId::kF32));
  PlanOptions options;
  options.n_stages = 2;
  const auto even = make_plan(config, paths, equal_machines(2), options);
  REQUIRE(even.ok());
  CHECK(std::abs(even->stages[0].n_layers - even->stages[1].n_layers) <= 1);
  auto machines = equal_machines(2);
  machines[0].memory_bytes = even->ranks[0].total_bytes() * 3 / 4;
  const auto uneven = make_plan(config, paths, machines, options);
  REQUIRE(uneven.ok());
  CHECK(uneven->stages[0].n_layers < even->stages[0].n_layers);
}

TEST_CASE("what does not fit is refused with the numbers") {
  const auto config = make_config({512, 8, 16, 8, 32, 4096, 8000});
  const auto paths = enumerate_paths(config, format_choice(FormatId::kF32));
  auto machines = equal_machines(2);
  machines[0].memory_bytes = machines[1].memory_bytes = 64 << 20;
  const auto plan = make_plan(config, paths, machines, {});
  REQUIRE_FALSE(plan.ok());
  CHECK(plan.error().code == ErrorCode::kExhausted);
  for (const char* part : {"rank ", " needs ", "weights ", "KV cache of 4096 tokens ", "buffers ", "has 64.0 MiB",
                           "all 2 ranks need"})
    CHECK_THAT(plan.error().message, Catch::Contains(part));
}

TEST_CASE("impossible counts and speeds are named") {
  const auto config = make_config({64, 3, 2, 1, 32, 100, 200});
  const auto paths = enumerate_paths(config, format_choice(FormatId::kF32));
  const auto message = [&](int ranks, int stages, double speed) {
    auto machines = equal_machines(ranks);
    for (RankMachine& m : machines) m.speed = speed;
    PlanOptions options;
    options.n_stages = stages;
    const auto plan = make_plan(config, paths, machines, options);
    REQUIRE_FALSE(plan.ok());
    CHECK(plan.error().code == ErrorCode::kInvalidArgument);
    return plan.error().message;
  };
  CHECK(message(0, 1, 1) == "a plan needs at least 1 rank, found 0");
  CHECK(message(8, 4, 1) == "4 stages are more than the model's 3 layers");
  CHECK(message(1, 2, 1) == "2 stages need at least as many ranks, found 1");
  CHECK(message(1, 0, 1) == "a plan needs at least 1 stage, found 0");
  CHECK(message(1, 1, 0) == "the speed of rank 0 must be above 0, found 0");
}

TEST_CASE("a rank whose weights fit its L3 is resident there; an embedding that is only looked up does not count") {
  const auto untied = tests::make_config({64, 2, 4, 2, 16, 256, 4096});
  REQUIRE_FALSE(untied.tied_embeddings);
  const auto paths = enumerate_paths(untied, format_choice(FormatId::kInt8));
  std::uint64_t all = 0, embedding = 0;
  for (const PathSpec& path : paths) (path.kind == PathKind::kEmbedding ? embedding : all) += path.bytes;
  REQUIRE(embedding > 0);
  for (const auto& [l3, fits] : {std::pair<std::uint64_t, bool>{all + all / 7 + 8, true}, {all, false}, {0, false}}) {
    const auto plan = make_plan(untied, paths, std::vector<RankMachine>{{.l3_bytes = l3}}, {});
    REQUIRE(plan.ok());
    CHECK(plan->ranks[0].hot_bytes == all);
    CHECK(plan->ranks[0].in_l3 == fits);
  }
  // Two ranks have half each to hold, and the last stage does not hold a tied embedding's rows for nothing.
  const auto halves = make_plan(untied, paths, std::vector<RankMachine>(2, {.l3_bytes = all}), {});
  REQUIRE(halves.ok());
  CHECK((halves->ranks[0].in_l3 && halves->ranks[1].in_l3));
}
