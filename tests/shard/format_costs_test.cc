#include "shard/format_costs.h"

#include <catch2/catch.hpp>

#include <cmath>

#include "engine/kernels/kernels.h"
#include "shard/format_choice.h"

using namespace colonnade;
using namespace colonnade::shard;
using Catch::Matchers::Contains;
using engine::FormatId;

namespace {

CostPoint point(const char* format, double bits, double seconds, int tokens = 1, double memory = 0) {
  return {.isa = "made-up", .format = format, .tokens = tokens, .bits_per_weight = bits, .seconds_per_weight = seconds,
          .memory_seconds_per_weight = memory};
}

FormatCosts table(std::vector<CostPoint> points, double core_bytes_per_second = 1e10) {
  FormatCosts costs;
  costs.origin = "a test";
  costs.n_cores = 2;
  costs.core_bytes_per_second = core_bytes_per_second;
  costs.points = std::move(points);
  return costs;
}

}  // namespace

TEST_CASE("costs between measured points are linear, beyond them in proportion to the bits") {
  const FormatCosts costs = table({point("permute-int8", 4, 40e-12), point("permute-int8", 2, 20e-12), point("permute-int8", 1, 12e-12),
                                   point("permute-int8", 2, 500e-12, 64), point("int8", 8, 6e-12)});
  const auto ps = [&](double bits, int tokens = 1) { return *costs.seconds_per_weight("made-up", "permute-int8", tokens, bits) * 1e12; };
  CHECK(ps(1) == Approx(12));
  CHECK(ps(1.5) == Approx(16));
  CHECK(ps(2) == Approx(20));
  CHECK(ps(3.5) == Approx(35));
  CHECK(ps(0.25) == Approx(12));   // a pass has a cost that no sparsity removes
  CHECK(ps(8) == Approx(80));
  CHECK(ps(2, 8) == Approx(20));   // the class of 1 token until the one of 64
  CHECK(ps(2, 64) == Approx(500));
  CHECK(ps(2, 512) == Approx(500));
  CHECK_FALSE(costs.seconds_per_weight("made-up", "int4", 1, 4));
  CHECK_FALSE(costs.seconds_per_weight("avx2", "int8", 1, 8));
}

TEST_CASE("a pass takes as long as the slowest of reading and computing, and more where both are equal") {
  FormatCosts costs = table({point("int8", 8, 6e-12)});
  CHECK(*costs.pass_seconds("made-up", "int8", 1, 1e6, 1e6) == Approx(1e6 / 1e10).epsilon(1e-3));  // 100 ps a byte to read
  costs.core_bytes_per_second = 1e12;
  CHECK(*costs.pass_seconds("made-up", "int8", 1, 1e6, 1e6) == Approx(6e-6).epsilon(1e-2));
  costs.core_bytes_per_second = 1e6 / 6e-6;
  CHECK(*costs.pass_seconds("made-up", "int8", 1, 1e6, 1e6) > 1.1 * 6e-6);
  CHECK(*costs.pass_seconds("made-up", "int8", 1, 1e6, 1e6) < 2 * 6e-6);
  CHECK(overlapped_seconds(0, 0) == 0);
  CHECK(overlapped_seconds(1e-300, 0) == 1e-300);
  CHECK(overlapped_seconds(1e300, 1e300) == Approx(1e300 * std::pow(2, 0.4)));
  costs.points[0].memory_seconds_per_weight = 50e-12;
  CHECK(*costs.pass_seconds("made-up", "int8", 1, 1e6, 1e6) == Approx(50e-6));
  CHECK(*costs.pass_seconds("made-up", "int8", 1, 0, 0) == 0);
  CHECK_FALSE(costs.pass_seconds("made-up", "bf16", 1, 1e6, 2e6));
}

TEST_CASE("a cost table survives its file") {
  FormatCosts costs = table({point("int8", 8.02, 6.6e-12, 1, 3e-11), point("bitmask-int8", 3.05, 2.2e-11, 16)});
  costs.points[1].density = 0.25;
  costs.points[1].structure = "4:64";
  const auto read = parse_costs(costs_text(costs), "a file");
  REQUIRE(read.ok());
  CHECK(read->origin == "a file");
  CHECK(read->n_cores == 2);
  CHECK(read->core_bytes_per_second == 1e10);
  REQUIRE(read->points.size() == 2);
  CHECK(read->points[0].memory_seconds_per_weight == 3e-11);
  CHECK(read->points[1].isa == "made-up");
  CHECK(read->points[1].format == "bitmask-int8");
  CHECK(read->points[1].tokens == 16);
  CHECK(read->points[1].density == 0.25);
  CHECK(read->points[1].structure == "4:64");
  CHECK(read->points[1].bits_per_weight == 3.05);
  CHECK(read->points[1].seconds_per_weight == 2.2e-11);
}

TEST_CASE("a cost table that is none is refused in one line that names the place") {
  const std::string good = costs_text(table({point("int8", 8, 6e-12)}));
  const auto refused = [&](const std::string& from, const std::string& to, const char* words) {
    std::string content = good;
    const std::size_t at = content.find(from);
    REQUIRE(at != std::string::npos);
    content.replace(at, from.size(), to);
    const auto read = parse_costs(content, "costs.json");
    REQUIRE_FALSE(read.ok());
    CHECK(read.error().code == ErrorCode::kInvalidArgument);
    CHECK_THAT(read.error().message, Contains("costs.json") && Contains(words));
    CHECK(read.error().message.find('\n') == std::string::npos);
  };
  refused("{", "[", "malformed");
  refused("\"version\": 1", "\"version\": 2", "\"version\"");
  refused("\"tokens\": 1", "\"tokens\": 0", "costs entry 0");
  refused("\"tokens\": 1", "\"tokens\": \"one\"", "found \"one\"");
  refused("6e-12", "-1", "core_seconds_per_weight");
  refused("\"bits_per_weight\": 8.0", "\"bits_per_weight\": 1e999", "malformed");
  refused("\"format\": \"int8\"", "\"format\": 8", "\"format\"");
  refused("\"costs\"", "\"cost\"", "\"costs\" to be a list");
  CHECK_FALSE(parse_costs("[]", "costs.json").ok());
  CHECK_FALSE(parse_costs("", "costs.json").ok());
  CHECK_FALSE(read_costs("/does/not/exist.json").ok());
}

TEST_CASE("the built-in table knows every format on every instruction set") {
  for (const engine::KernelTable* kernels : engine::all_kernels()) {
    for (const engine::Format* format : engine::all_formats()) {
      if (kernels->strips[static_cast<std::size_t>(format->id())] == nullptr) continue;
      for (const int tokens : {1, 512}) {
        CAPTURE(kernels->name, format->name(), tokens);
        const auto seconds = built_in_costs().seconds_per_weight(kernels->name, format->name(), tokens, 3.0);
        REQUIRE(seconds.has_value());
        CHECK((*seconds > 0 && *seconds < 1e-6));
      }
    }
  }
}

TEST_CASE("an encoder's format is the fastest one for prompts, however many bytes it has") {
  const std::vector<FormatId> candidates = {FormatId::kInt8, FormatId::kBitmaskInt8, FormatId::kPermuteInt8};
  FormatRules rules{.values = FormatId::kInt8, .head_values = FormatId::kInt8, .isa = "avx512"};
  const auto chosen = [&](double density) {
    return compare_formats(rules, candidates, 4096, 1024, expected_strip_bytes(candidates, 1024, engine::Zeros::anywhere(density)))[0].format;
  };
  CHECK(chosen(0.25) == FormatId::kBitmaskInt8);
  rules.prompts_only = true;
  CHECK(chosen(0.25) == FormatId::kPermuteInt8);
  // Of what is equally fast the smaller one.
  CHECK(chosen(0.5) == FormatId::kBitmaskInt8);
}

TEST_CASE("the fastest format of the asked values is chosen") {
  FormatRules rules{.values = FormatId::kInt8, .head_values = FormatId::kBf16, .isa = "made-up"};
  const std::vector<FormatId> candidates = {FormatId::kInt8, FormatId::kBf16};
  const std::vector<double> bytes = {1000, 2000};
  // Bandwidth decides: fewer bytes win.
  FormatCosts costs = table({point("int8", 8, 1e-12), point("bf16", 16, 1e-12)}, 1e9);
  rules.costs = &costs;
  auto offers = compare_formats(rules, candidates, 32, 500, bytes);
  REQUIRE(offers.size() == 2);
  CHECK(offers[0].format == FormatId::kInt8);
  CHECK(offers[0].bytes == 2000);  // two strips
  CHECK(offers[0].seconds == Approx(2000 / 1e9));
  CHECK(offers[1].seconds == Approx(4000 / 1e9));
  // Computing decides: the larger one wins when it is cheaper to compute.
  costs = table({point("int8", 1, 50e-12), point("bf16", 2, 1e-12)}, 1e12);
  offers = compare_formats(rules, candidates, 16, 500, bytes);
  CHECK(offers[0].format == FormatId::kBf16);
  // One that nobody has measured comes last, whatever its size.
  costs = table({point("bf16", 2, 1e-12)}, 1e9);
  offers = compare_formats(rules, candidates, 16, 500, bytes);
  CHECK(offers[0].format == FormatId::kBf16);
  // Equally fast: the smaller one.
  costs = table({point("int8", 1, 50e-12), point("bf16", 2, 50e-12)}, 1e13);
  CHECK(compare_formats(rules, candidates, 16, 500, bytes)[0].format == FormatId::kInt8);
}

TEST_CASE("costs of a step lie between those of the numbers of tokens that were measured, and grow with them beyond") {
  FormatCosts costs = table({point("int8", 8, 10e-12), point("int8", 8, 40e-12), point("int8", 8, 400e-12)}, 1e9);
  costs.points[1].tokens = 4;
  costs.points[2].tokens = 64;
  const std::string isa = costs.points[0].isa;
  const auto at = [&](int tokens) { return costs.step_seconds_per_weight(isa, "int8", tokens, 8).value() * 1e12; };
  CHECK(at(1) == Approx(10));
  CHECK(at(2) == Approx(20));
  CHECK(at(4) == Approx(40));
  CHECK(at(34) == Approx(220));
  CHECK(at(64) == Approx(400));
  CHECK(at(128) == Approx(800));
  CHECK_FALSE(costs.step_seconds_per_weight(isa, "int4", 1, 4).has_value());
}

TEST_CASE("of two formats of the same bytes the one with fewer instructions is taken, though both are bound by memory") {
  FormatRules rules = format_rules(FormatId::kInt4);
  rules.isa = "avx512";
  const std::vector<FormatId> candidates = candidate_formats(rules, false);
  const auto best = [&](std::uint32_t cols, double density) {
    return compare_formats(rules, candidates, 4096, cols, expected_strip_bytes(candidates, cols, engine::Zeros::anywhere(density)))[0].format;
  };
  CHECK(best(2048, 0.25) == FormatId::kGapInt4);  // 189 against 137 G weights a second from memory
  CHECK(best(2048, 0.5) == FormatId::kBitmaskInt4);
}

TEST_CASE("candidates store the values that were asked for, of the head its own; a forced format has no rival") {
  FormatRules rules{.values = FormatId::kInt8, .head_values = FormatId::kF32};
  for (const FormatId id : candidate_formats(rules, false)) CHECK(values_of(id) == FormatId::kInt8);
  CHECK(candidate_formats(rules, false).front() == FormatId::kInt8);
  CHECK(candidate_formats(rules, true) == std::vector<FormatId>{FormatId::kF32});
  rules.forced = FormatId::kInt8;
  CHECK(candidate_formats(rules, false) == std::vector<FormatId>{FormatId::kInt8});
  for (const std::string& name : value_names()) CHECK(values_of(engine::find_format(name)->id()) == engine::find_format(name)->id());
}

TEST_CASE("with little bandwidth a core, more zeros never make a matrix slower, and half of them pay off") {
  for (const FormatId values : {FormatId::kInt8, FormatId::kInt4}) {
    FormatRules rules = format_rules(values);
    rules.isa = "avx512";
    FormatCosts server = built_in_costs();
    server.core_bytes_per_second = 5e9;
    rules.costs = &server;
    const std::vector<FormatId> candidates = candidate_formats(rules, false);
    double before = 1;
    for (const double density : {1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05}) {
      CAPTURE(density);
      const auto offers = compare_formats(rules, candidates, 4096, 4096, expected_strip_bytes(candidates, 4096, engine::Zeros::anywhere(density)));
      CHECK(offers[0].seconds <= before * 1.0001);
      if (density <= 0.5) CHECK(offers[0].format != values);
      if (density == 1.0) CHECK(offers[0].format == values);
      before = offers[0].seconds;
    }
  }
}
