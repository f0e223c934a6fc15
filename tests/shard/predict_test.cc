#include <catch2/catch.hpp>

#include <cmath>
#include <numeric>

#include "shard/cluster.h"
#include "shard/expert_draws.h"
#include "shard/known_shapes.h"
#include "shard/predict.h"
#include "tests/shard/shapes.h"

using namespace colonnade;
using namespace colonnade::shard;
using Catch::Matchers::Contains;

namespace {

/// A table in which a weight of any format takes `picoseconds` a token.
FormatCosts flat_costs(double picoseconds) {
  FormatCosts costs{.origin = "test", .n_cores = 1, .core_bytes_per_second = 1e10, .points = {}};
  for (const char* format : {"int8", "int4", "bf16"})
    for (const int tokens : {1, 64})
      costs.points.push_back({.isa = "avx512", .format = format, .tokens = tokens, .bits_per_weight = 8,
                              .seconds_per_weight = tokens * picoseconds * 1e-12});
  return costs;
}

struct Planned {
  engine::ModelConfig config;
  std::vector<PathSpec> paths;
  Plan plan;
  Cluster cluster;
  FormatCosts costs;

  StepPrediction predict(const StepShape& step) const {
    return predict_step({config, paths, plan, engine::KvType::kBf16, cluster, costs, "avx512"}, step);
  }
};

Planned planned(engine::ModelConfig config, const std::string& machines, double picoseconds, std::vector<double> shares = {}) {
  const auto description = parse_machines(machines);
  REQUIRE(description.ok());
  const int n_ranks = shares.empty() ? description->suggested_ranks() : static_cast<int>(shares.size());
  Planned made{.config = std::move(config), .paths = {}, .plan = {}, .cluster = cluster_of(*description, n_ranks), .costs = flat_costs(picoseconds)};
  made.paths = enumerate_paths(made.config, format_choice(engine::FormatId::kInt8));
  std::vector<RankMachine> ranks = machines_of(*description, n_ranks);
  for (std::size_t r = 0; r < shares.size(); ++r) ranks[r].speed = shares[r];
  auto plan = make_plan(made.config, made.paths, ranks, {});
  REQUIRE(plan.ok());
  made.plan = *std::move(plan);
  return made;
}

double part(const StepPrediction& p, StepPart which) { return p.part_seconds[static_cast<std::size_t>(which)]; }

const tests::Shape kDense{4096, 8, 32, 8, 128, 14336, 32000};
const tests::Shape kMixture{2048, 12, 32, 4, 128, 768, 32000, 128, 8};

}  // namespace

TEST_CASE("a description of machines gives ranks their shares") {
  const auto m = parse_machines("hosts=4,sockets=2,cores=64,channels=12,rate=4800,l3=384M,memory=768G,network=200G");
  REQUIRE(m.ok());
  CHECK(m->suggested_ranks() == 8);
  CHECK(m->socket_bytes_per_second == Approx(0.75 * 12 * 4800e6 * 8));
  const auto ranks = machines_of(*m, 8);
  CHECK(ranks.size() == 8);
  CHECK(ranks[7].memory_bytes == std::uint64_t{384} << 30);
  CHECK(ranks[7].l3_bytes == std::uint64_t{384} << 20);
  const Cluster cluster = cluster_of(*m, 8);
  CHECK(cluster.network_bytes_per_second == 25e9);
  CHECK(cluster.ranks[1].host == 0);
  CHECK(cluster.ranks[2].host == 1);
  CHECK(cluster.ranks[7].host == 3);
  CHECK(cluster.ranks[7].n_cores == 64);
  CHECK(cluster.ranks[7].bytes_per_second == Approx(m->socket_bytes_per_second));
  // Five ranks on two hosts: two have half of theirs each, three a third.
  const auto two = parse_machines("hosts=2,cores=12,bandwidth=60G,memory=12G,network=10G,nodes=2");
  REQUIRE(two.ok());
  CHECK(two->suggested_ranks() == 4);
  const Cluster five = cluster_of(*two, 5);
  CHECK(five.ranks[0].n_cores == 6);
  CHECK(five.ranks[4].n_cores == 4);
  CHECK(machines_of(*two, 5)[4].speed == Approx(2.0 / 3));
}

TEST_CASE("ranks that share cores take turns") {
  const auto m = parse_machines("sockets=2,cores=4,bandwidth=60G,memory=12G,speed=1.5");
  REQUIRE(m.ok());
  const Cluster each = cluster_of(*m, 8), shared = cluster_of(*m, 32);
  CHECK(each.ranks[0].speed == 1.5);
  CHECK(shared.ranks[31].n_cores == 1);
  CHECK(shared.ranks[31].speed == Approx(1.5 / 4));
  CHECK(shared.ranks[31].bytes_per_second == Approx(120e9 / 32));
  // All ranks together do no more than the cores, however many they are.
  for (const std::vector<std::vector<int>>& cpus : {std::vector<std::vector<int>>{{0, 1}, {2, 3}}, {{0}, {1}, {2}, {3}}, {{0}, {0}, {0}, {1}, {1}, {2}, {3}}}) {
    const Cluster local = local_cluster(cpus, 100e9);
    double cores = 0, bytes = 0, l3 = 0;
    for (const RankRates& rank : local.ranks) {
      cores += rank.n_cores * rank.speed;
      bytes += rank.bytes_per_second;
      l3 += rank.l3_bytes_per_second;
    }
    CHECK(cores == Approx(4));
    CHECK(bytes == Approx(100e9));
    CHECK(l3 == Approx(4 * kCoreL3BytesPerSecond));
  }
}

TEST_CASE("speeds of ranks scale what is predicted") {
  const Planned model = planned(*known_shape("llama-3.2-1b"), "sockets=2,cores=4,bandwidth=50G,memory=64G", 1);
  const StepPrediction as_is = model.predict({});
  Planned faster = model;
  scale_speeds(faster.cluster, std::vector{2.0, 2.0});
  const auto blocks = [](const StepPrediction& step) { return part(step, StepPart::kMemory) + part(step, StepPart::kKernels); };
  CHECK(blocks(faster.predict({})) == Approx(blocks(as_is) / 2));
  // One that is slower alone makes the other wait.
  Planned uneven = model;
  scale_speeds(uneven.cluster, std::vector{1.0, 0.5});
  CHECK(uneven.predict({}).seconds > 1.5 * as_is.seconds);
}

TEST_CASE("a description that says too little, too much or something else is refused by name") {
  const std::pair<const char*, const char*> cases[] = {
      {"cores=4,memory=8G", "channels and rate, or bandwidth"},
      {"cores=4,memory=8G,channels=2", "channels and rate"},
      {"cores=4,memory=8G,bandwidth=2G,channels=2,rate=4800", "or bandwidth"},
      {"bandwidth=2G,memory=8G", "cores is missing"},
      {"cores=4,bandwidth=2G", "memory is missing"},
      {"cores=4,bandwidth=2G,memory=1", "memory: expected a size from 1.0 MiB to 888.2 PiB, found \"1\""},
      {"cores=4,bandwidth=2,memory=8G", "bandwidth: expected a number from 1e+06 to 1e+15, found \"2\""},
      {"cores=4,bandwidth=2G,memory=8G,speed=1e-300", "speed: expected a number from 0.001 to 1000"},
      {"cores=4,channels=1,rate=1e12T,memory=8G", "rate: expected"},
      {"hosts=2,cores=4,bandwidth=2G,memory=8G,network=1", "network: expected"},
      {"cores=4,bandwidth=2G,memory=8G,latency=1e15", "latency: expected"},
      {"cores=4,bandwidth=2G,memory=8G,l3=0", "l3: expected a size from 1 B to"},
      {"hosts=4096,sockets=4096,nodes=4096,cores=4,bandwidth=2G,memory=8G,network=1G", "at most 65536 NUMA nodes"},
      {"hosts=4096,sockets=17,cores=4,bandwidth=2G,memory=8G,network=1G", "found 69632"},
      {"hosts=2,cores=4,bandwidth=2G,memory=8G", "network is missing"},
      {"cores=4,cores=5,bandwidth=2G,memory=8G", "cores is given twice"},
      {"cores=4.5,bandwidth=2G,memory=8G", "cores: expected a whole number"},
      {"cores=99999,bandwidth=2G,memory=8G", "cores: expected a whole number"},
      {"cores=0,bandwidth=2G,memory=8G", "cores: expected a whole number from 1 to 4096"},
      {"cores=4,bandwidth=-2G,memory=8G", "bandwidth: expected"},
      {"cores=4,bandwidth=nan,memory=8G", "bandwidth: expected"},
      {"cores=4,bandwidth=2G,memory=lots", "memory: expected a size"},
      {"cores=4,bandwith=2G,memory=8G", "found \"bandwith=2G\""},
      {"cores", "found \"cores\""},
      {"cores=4,,memory=8G", "found \"\""},
  };
  for (const auto& [description, words] : cases) {
    CAPTURE(description);
    CHECK(describes_machines(description) == (std::string_view(description) != ""));
    const auto parsed = parse_machines(description);
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.error().code == ErrorCode::kInvalidArgument);
    CHECK_THAT(parsed.error().message, Contains(words) && Contains("--topology: "));
  }
  CHECK_FALSE(describes_machines("pack:2 numa:1(memory=64GB) core:4 pu:1"));
  CHECK_FALSE(describes_machines("machine.xml"));
  CHECK_FALSE(describes_machines(""));
}

TEST_CASE("tokens touch as many experts as chance says") {
  ExpertDraws draws;
  for (const int n_tokens : {1, 8, 32, 512}) {
    double touched = 0;
    constexpr int kDraws = 300;
    for (int d = 0; d < kDraws; ++d) {
      const std::vector<int>& tokens = draws.draw(128, 8, n_tokens);
      CHECK(std::accumulate(tokens.begin(), tokens.end(), 0) == 8 * n_tokens);
      CHECK(*std::max_element(tokens.begin(), tokens.end()) <= n_tokens);
      for (const int n : tokens) touched += n > 0 ? 1.0 / kDraws : 0.0;
    }
    CHECK(touched == Approx(128 * (1 - std::pow(1 - 8.0 / 128, n_tokens))).epsilon(0.02));
  }
  CHECK(ExpertDraws().draw(2, 2, 5) == std::vector<int>{5, 5});
  CHECK(ExpertDraws().draw(1, 1, 7) == std::vector<int>{7});
}

TEST_CASE("a dense model that is read from memory takes as long as its bytes do") {
  const Planned p = planned(tests::make_config(kDense), "cores=8,bandwidth=100G,memory=64G", 0.1);
  double bytes = 0;
  for (const PathSpec& path : p.paths)
    if (path.kind != PathKind::kEmbedding && path.kind != PathKind::kReplicated) bytes += static_cast<double>(path.bytes);
  const StepPrediction step = p.predict({});
  CHECK(step.weight_bytes == Approx(bytes).epsilon(1e-3));
  CHECK(step.seconds > bytes / 100e9);
  CHECK(step.seconds < 1.15 * bytes / 100e9);
  CHECK(step.bound() == StepPart::kMemory);
  CHECK(std::accumulate(step.part_seconds.begin(), step.part_seconds.end(), 0.0) == Approx(step.seconds));
  CHECK(step.experts_touched == 0);
  // No cores read faster than cores can: one of 28 GB/s.
  const StepPrediction one = planned(tests::make_config(kDense), "cores=1,bandwidth=100G,memory=64G", 0.1).predict({});
  CHECK(one.seconds > bytes / 28e9);
}

TEST_CASE("what bounds a step is named") {
  const auto bound = [](const std::string& machines, double picoseconds, const StepShape& step, std::vector<double> shares = {}) {
    return planned(tests::make_config(kDense), machines, picoseconds, std::move(shares)).predict(step).bound();
  };
  const std::string fast = "sockets=2,cores=16,bandwidth=400G,memory=64G";
  CHECK(bound(fast, 1, {}) == StepPart::kMemory);
  CHECK(bound(fast, 100, {}) == StepPart::kKernels);
  CHECK(bound(fast, 5, {.tokens_each = 512}) == StepPart::kKernels);
  CHECK(bound(fast, 1, {.n_sequences = 64, .context_tokens = 100'000}) == StepPart::kContext);
  CHECK(bound("hosts=16,cores=64,bandwidth=400G,memory=64G,network=1G,latency=200", 1, {}) == StepPart::kJoins);
  // One of two equal ranks has nine tenths of the model: it needs 1.8 times the mean.
  const Planned uneven = planned(tests::make_config(kDense), fast, 1, {9, 1});
  const StepPrediction step = uneven.predict({});
  CHECK(part(step, StepPart::kImbalance) / part(step, StepPart::kMemory) == Approx(0.8).margin(0.1));
}

TEST_CASE("a batch of a mixture reads the experts that it touches, and the busiest rank counts") {
  const std::string machines = "sockets=8,cores=4,bandwidth=50G,memory=64G";
  const Planned p = planned(tests::make_config(kMixture), machines, 0.1);
  const StepPrediction one = p.predict({}), many = p.predict({.n_sequences = 32});
  CHECK(one.experts_touched == 8);
  CHECK(many.experts_touched == Approx(128 * (1 - std::pow(1 - 8.0 / 128, 32))).epsilon(0.03));
  double experts = 0, rest = 0;
  for (const PathSpec& path : p.paths) {
    if (path.kind == PathKind::kFeedForward) experts += static_cast<double>(path.bytes);
    else if (path.kind == PathKind::kAttention || path.kind == PathKind::kHead) rest += static_cast<double>(path.bytes);
  }
  rest += 8.0 * 12 * 128 * 2048 * 4;      // routers, read by each of the ranks
  rest += 12.0 * 4 * 2 * 128 * 2048;      // eight ranks share four KV heads: each is read twice
  CHECK(one.weight_bytes == Approx(rest + experts / 16).epsilon(0.01));
  CHECK(many.weight_bytes == Approx(rest + experts * many.experts_touched / 128).epsilon(0.01));
  // Three groups of 256 neurons on eight ranks: chance gives some of them more of the eight experts.
  CHECK(part(one, StepPart::kImbalance) > 0.3 * part(one, StepPart::kMemory));
  CHECK(part(planned(tests::make_config(kDense), machines, 0.1).predict({}), StepPart::kImbalance) < 0.1 * one.seconds);
}

TEST_CASE("keys and values cost what their bytes do, latents less") {
  const Planned p = planned(tests::make_config(kDense), "cores=32,bandwidth=100G,memory=640G", 0.1);
  const double near = part(p.predict({}), StepPart::kContext), far = part(p.predict({.context_tokens = 100'000}), StepPart::kContext);
  const double bytes = 100'000.0 * 8 * 8 * 128 * 2 * 2;  // layers, KV heads, dimensions, keys and values of bf16
  CHECK(far - near == Approx(bytes / 100e9).epsilon(0.05));
  auto config = known_shape("deepseek-v3");
  REQUIRE(config.ok());
  const Planned latent = planned(*std::move(config), "hosts=2,sockets=2,cores=64,bandwidth=300G,memory=1T,network=100G", 1);
  const StepPrediction step = latent.predict({.context_tokens = 10'000});
  CHECK(step.experts_touched == 8);
  CHECK(part(step, StepPart::kContext) > 61 * 10'000.0 * 576 * 2 / 300e9);   // every rank reads all latents
  CHECK(part(step, StepPart::kContext) < 20 * 61 * 10'000.0 * 576 * 2 / 300e9);
}

TEST_CASE("a join takes longer with more ranks, hosts and bytes") {
  const auto machines = [](const char* text, int n_ranks) { return cluster_of(*parse_machines(text), n_ranks); };
  const std::vector<int> ranks{0, 1, 2, 3};
  const char* const one_host = "sockets=4,cores=8,bandwidth=100G,memory=64G";
  const char* const four_hosts = "hosts=4,cores=8,bandwidth=100G,memory=64G,network=80G,latency=10";
  const Cluster near = machines(one_host, 4), far = machines(four_hosts, 4);
  const double alone = join_seconds(near, std::span(ranks).first(1), 4096), two = join_seconds(near, std::span(ranks).first(2), 4096);
  CHECK(alone < two);
  CHECK(two < join_seconds(near, ranks, 4096));
  CHECK(join_seconds(near, ranks, 4096) < join_seconds(near, ranks, 65536));
  // Three others get 16 KiB each over 10 GB/s; large sums go in parts, twice three quarters of the bytes.
  CHECK(join_seconds(far, ranks, 4096) > 10e-6 + 3 * 16384 / 10e9);
  CHECK(join_seconds(far, ranks, 4e6) > 2 * 0.75 * 16e6 / 10e9);
  CHECK(join_seconds(far, ranks, 4e6) < 3 * 16e6 / 10e9);
}
