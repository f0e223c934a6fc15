#include "coordinator/cli/quality_points.h"

#include <catch2/catch.hpp>

using namespace colonnade;
using namespace colonnade::cli;
using Catch::Matchers::Contains;
using shard::PrunedValues;
using shard::PruneMethod;

namespace {

std::vector<std::string> names(const std::vector<QualityPoint>& points) {
  std::vector<std::string> all;
  for (const QualityPoint& point : points) all.push_back(point.name());
  return all;
}

QualityMethod method(const char* word) { return *parse_quality_method("--methods", word); }

}  // namespace

TEST_CASE("methods are named as prune names them, with a refit or without") {
  CHECK(method("sparsegpt+refit").method == PruneMethod::kSparseGpt);
  CHECK(method("sparsegpt+refit").refit);
  CHECK(method("wanda").method == PruneMethod::kWanda);
  CHECK_FALSE(method("wanda").refit);
  for (const char* bad : {"", "+refit", "wanda+", "wanda +refit", "refit", "wanda+refit+refit", "Wanda"}) {
    CAPTURE(bad);
    const auto found = parse_quality_method("--methods", bad);
    REQUIRE_FALSE(found.ok());
    CHECK_THAT(found.error().message, Contains("--methods: expected magnitude, wanda or sparsegpt") && Contains(std::string("\"") + bad + "\""));
  }
}

TEST_CASE("points are the dense model, other models, then each combination once") {
  const QualityAxes axes{.methods = {method("magnitude"), method("sparsegpt+refit")},
                         .structures = {*shard::parse_structure("unstructured"), *shard::parse_structure("2:4")},
                         .sparsities = {0.5, 0.7},
                         .values = {"bf16", "int4", "int4"},
                         .also = {"/models/small/"},
                         .also_packed = {"/packed/other", "/packed/other"}};
  CHECK(names(quality_points(axes)) ==
        std::vector<std::string>{"dense bf16", "dense int4", "small bf16", "small int4", "other", "magnitude 50 % bf16", "magnitude 50 % int4",
                                 "sparsegpt+refit 50 % bf16", "sparsegpt+refit 50 % int4", "magnitude 70 % bf16", "magnitude 70 % int4",
                                 "sparsegpt+refit 70 % bf16", "sparsegpt+refit 70 % int4", "magnitude 2:4 bf16", "magnitude 2:4 int4",
                                 "sparsegpt+refit 2:4 bf16", "sparsegpt+refit 2:4 int4"});
  const auto points = quality_points(axes);
  CHECK(points[13].prune->sparsity == 0.5);  // what 2:4 is
}

TEST_CASE("values share a pruned model where pruning rounds nothing") {
  const auto point = [](const char* name, const char* values) {
    return QualityPoint{.prune = PruneChoice{method(name), {}, 0.5}, .values = values};
  };
  CHECK(point("magnitude", "int4").pruned_values() == PrunedValues::kBf16);
  CHECK(point("wanda", "int8").pruned_values() == PrunedValues::kBf16);
  CHECK(point("wanda+refit", "int8").pruned_values() == PrunedValues::kInt8);
  CHECK(point("magnitude+refit", "int4").pruned_values() == PrunedValues::kInt4);
  CHECK(point("sparsegpt", "int4").pruned_values() == PrunedValues::kInt4);
  CHECK(same_pruned_model(point("wanda", "int4"), point("wanda", "bf16")));
  CHECK_FALSE(same_pruned_model(point("sparsegpt", "int4"), point("sparsegpt", "bf16")));
  CHECK_FALSE(same_pruned_model(point("wanda", "int4"), point("magnitude", "int4")));
  CHECK_FALSE(same_pruned_model(QualityPoint{.values = "int4"}, QualityPoint{.values = "int4"}));
}

TEST_CASE("names tell structures and shares apart") {
  const auto name = [](const char* structure, double sparsity) {
    return PruneChoice{method("wanda"), *shard::parse_structure(structure), sparsity}.name();
  };
  CHECK(name("unstructured", 0.5) == "wanda 50 %");
  CHECK(name("unstructured", 0.505) == "wanda 50.5 %");
  CHECK(name("n:64", 0.7) == "wanda n:64 70 %");
  CHECK(name("4:16", 0.75) == "wanda 4:16");
  CHECK(name("1x4", 0.75) == "wanda 1x4 75 %");
  const auto points = quality_points({.methods = {method("wanda")},
                                      .structures = {*shard::parse_structure("unstructured"), *shard::parse_structure("1x4")},
                                      .sparsities = {0.5, 0.9},
                                      .values = {"int4"},
                                      .also = {},
                                      .also_packed = {}});
  CHECK(names(points) == std::vector<std::string>{"dense int4", "wanda 50 % int4", "wanda 90 % int4", "wanda 1x4 50 % int4", "wanda 1x4 90 % int4"});
  CHECK_FALSE(same_pruned_model(points[1], points[3]));
}
