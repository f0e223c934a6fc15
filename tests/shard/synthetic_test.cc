#include "shard/synthetic.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "shard/known_shapes.h"

using namespace colonnade;
using namespace colonnade::shard;
using engine::FormatId;

namespace {

SyntheticModel make(std::string_view shape, FormatId values, const engine::Sparsity& sparsity = {}, int layers = 1) {
  auto model = SyntheticModel::make(shape, {.rules = format_rules(values), .sparsity = sparsity, .max_layers = layers});
  INFO((model.ok() ? "" : model.error().message));
  REQUIRE(model.ok());
  return *std::move(model);
}

}  // namespace

TEST_CASE("a synthetic slice is a valid slice of the announced size, with values that keep activations finite") {
  for (const engine::Format* format : engine::all_formats()) {
    CAPTURE(format->name());
    if (values_of(format->id()) != format->id()) continue;
    for (const engine::Sparsity& sparsity : {engine::Sparsity{}, engine::Sparsity{0.25, 0}, engine::Sparsity{0.0625, 64},
                                             engine::Sparsity{.density = 0.25, .in_blocks = true}}) {
      CAPTURE(sparsity.density);
      const SyntheticModel model = make("qwen3-0.6b", format->id(), sparsity);
      const Manifest& manifest = model.manifest();
      REQUIRE(manifest.config.layers.size() == 1);
      // 16 query heads in 8 groups, so KV heads are shared between ranks.
      const auto plan = make_plan(manifest.config, manifest.paths, std::vector<RankMachine>(11), {});
      REQUIRE(plan.ok());
      for (const int r : {0, 10}) {
        const RankPlan& rank = plan->ranks[static_cast<std::size_t>(r)];
        const SliceLayout layout = slice_layout(manifest, rank);
        const auto memory = model.slice(rank, layout, 2), again = model.slice(rank, layout, 1);
        REQUIRE((memory.ok() && again.ok()));
        CHECK(std::memcmp(memory->data(), again->data(), layout.bytes) == 0);
        const auto weights = make_rank_weights(manifest, *plan, r, layout, memory->span());
        REQUIRE(weights.ok());
        REQUIRE_FALSE(weights->layers[0].attention.empty());
        REQUIRE_FALSE(weights->layers[0].feed_forward.empty());
        CHECK(weights->layers[0].attention_norm[1023] == 1.0f);

        const engine::MatrixView& query = weights->layers[0].attention[0].query[0];
        CHECK(values_of(query.format) == format->id());
        std::vector<float> row(query.cols);
        double squares = 0, kept = 0;
        for (int i = 0; i < 16; ++i) {
          engine::find_format(query.format)->decode_row(query.strip(3), i, query.cols, row.data());
          for (const float w : row) {
            squares += double{w} * w;
            kept += w != 0 ? 1 : 0;
          }
        }
        CHECK(squares / 16 == Approx(1.0).epsilon(0.1));  // a row of length 1
        // Values of few bits round some of the small weights to zero.
        CHECK(kept / (16.0 * query.cols) == Approx(sparsity.density).epsilon(0.15));
        CHECK(std::isfinite(squares));
      }
    }
  }
}

TEST_CASE("zeros are in attention and feed-forward; embedding and head are dense") {
  const SyntheticModel model = make("qwen3-8b", FormatId::kInt8, {0.1, 0});
  for (const PathSpec& path : model.manifest().paths) {
    const bool projection = is_projection(path.kind);
    for (const MatrixSpec& m : path.matrices) {
      CHECK(m.zeros == (projection ? engine::Zeros::anywhere(0.1) : engine::Zeros{}));
      CHECK(m.bytes > 0);
    }
  }
}

TEST_CASE("an unknown shape is refused with the known ones") {
  const auto model = SyntheticModel::make("llama-9", {});
  REQUIRE_FALSE(model.ok());
  CHECK_THAT(model.error().message, Catch::Contains("llama-9") && Catch::Contains("llama-3.2-1b, "));
}

TEST_CASE("known shapes have the parameters of the published models") {
  // Totals as in ../shared/data/configs/expected_parameters.json, where it has them.
  const std::pair<const char*, std::uint64_t> expected[] = {
      {"llama-3.1-8b", 8030261248},   {"llama-3.1-70b", 70553706496}, {"llama-3.1-405b", 405853388800},
      {"llama-2-7b", 6738415616},     {"llama-2-70b", 68976648192},   {"mixtral-8x7b", 46702792704},
      {"mixtral-8x22b", 140620634112}, {"qwen2.5-7b", 7615616512},    {"qwen2.5-72b", 72706203648},
      {"qwen3-0.6b", 596049920},      {"qwen3-8b", 8190735360},       {"qwen3-32b", 32762123264},
      {"qwen3-30b-a3b", 30532122624}, {"qwen3-235b-a22b", 235093634560}, {"qwen3-coder-480b-a35b", 480154875392},
      {"llama-3.2-1b", 1235814400},   {"llama-3.2-3b", 3212749824},   {"deepseek-v3", 671026419200},
      {"kimi-k2", 1026408232448},
      {"gpt-oss-20b", 20914757184},   {"gpt-oss-120b", 116829156672},
      // Published as 109482240 and 335141888, with a pooler and embeddings of two token types, of which one lies in the positions.
      {"bert-base", 109482240 - (768 * 768 + 768) - 768},
      {"bert-large", 335141888 - (1024 * 1024 + 1024) - 1024},
      // Added up by hand from their sizes; published as 109 billion with the images' part, and as 355 billion with the layer for multi-token prediction.
      {"llama-4-scout", 107769861120},
      {"glm-4.5", 352797829024}};
  CHECK(std::size(expected) == known_shape_names().size());
  for (const auto& [name, parameters] : expected) {
    CAPTURE(name);
    const auto config = known_shape(name);
    REQUIRE(config.ok());
    std::uint64_t sum = 0;
    for (const PathSpec& path : enumerate_paths(*config, format_choice(FormatId::kInt8))) {
      for (const MatrixSpec& m : path.matrices) sum += std::uint64_t{m.rows} * m.cols;
      for (const VectorSpec& v : path.vectors) sum += v.count;
    }
    CHECK(sum == parameters);
  }
}
