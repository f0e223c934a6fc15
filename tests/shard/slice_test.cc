#include "shard/slice.h"

#include <catch2/catch.hpp>

#include <map>
#include <set>

#include "tests/shard/memory_model.h"
#include "tests/shard/shapes.h"

using namespace colonnade;
using namespace colonnade::shard;
using engine::FormatId;
using engine::MatrixView;

namespace {

/// True when the view holds what was packed for this matrix.
bool holds(const MatrixView& view, const PathSpec& path, MatrixRole role, int part = 0) {
  const MatrixSpec* spec = nullptr;
  for (const MatrixSpec& m : path.matrices)
    if (m.role == role && m.part == part) spec = &m;
  if (spec == nullptr || view.rows != spec->rows || view.cols != spec->cols || view.format != spec->format) return false;
  const engine::Format& format = *engine::find_format(view.format);
  std::vector<float> row(view.cols);
  for (std::uint32_t r = 0; r < view.rows; ++r) {
    format.decode_row(view.strip(r / 16), static_cast<int>(r % 16), view.cols, row.data());
    for (std::uint32_t c = 0; c < view.cols; ++c)
      if (row[c] != tests::known_weight(path, *spec, r, c)) return false;
  }
  return true;
}

bool holds(const float* vector, const PathSpec& path, VectorRole role, int part = 0) {
  for (const VectorSpec& v : path.vectors) {
    if (v.role != role || v.part != part) continue;
    if (vector == nullptr) return false;
    for (std::uint32_t i = 0; i < v.count; ++i)
      if (vector[i] != tests::known_vector(path, v, i)) return false;
    return true;
  }
  return vector == nullptr;
}

const PathSpec& find_path(const Manifest& manifest, PathKind kind, int layer, int index, int expert = 0) {
  for (const PathSpec& p : manifest.paths)
    if (p.kind == kind && p.layer == layer && p.index == index && p.expert == expert) return p;
  FAIL("no such path");
  return manifest.paths[0];
}

/// Checks every view against the packed weights and returns which (layer, query head) pairs the rank has.
std::set<std::pair<int, int>> check_weights(const Manifest& manifest, const engine::RankWeights& weights) {
  std::set<std::pair<int, int>> heads;
  for (std::size_t l = 0; l < weights.layers.size(); ++l) {
    const engine::LayerWeights& layer = weights.layers[l];
    const int number = weights.first_layer + static_cast<int>(l);
    const PathSpec& replicated = find_path(manifest, PathKind::kReplicated, number, 0);
    CHECK(holds(layer.attention_norm, replicated, VectorRole::kAttentionNorm));
    CHECK(holds(layer.feed_forward_norm, replicated, VectorRole::kFeedForwardNorm));
    CHECK(holds(layer.query_norm, replicated, VectorRole::kQueryNorm));
    CHECK(holds(layer.key_norm, replicated, VectorRole::kKeyNorm));
    CHECK(holds(layer.output_bias, replicated, VectorRole::kOutputBias));
    CHECK(holds(layer.router, replicated, VectorRole::kRouter));
    int slot = 0;
    const int side_by_side = manifest.config.output_heads;
    for (const engine::AttentionPath& a : layer.attention) {
      CHECK(a.kv_slot == slot);
      slot += static_cast<int>(a.key.size());
      const PathSpec& path = find_path(manifest, PathKind::kAttention, number, a.kv_head);
      REQUIRE(a.key.size() == static_cast<std::size_t>(path.count / manifest.config.query_heads_per_kv()));
      REQUIRE(a.value.size() == a.key.size());
      CHECK(a.key_bias.size() == (manifest.config.qkv_bias ? a.key.size() : 0));
      for (std::size_t k = 0; k < a.key.size(); ++k) {
        const int head = static_cast<int>(k);
        CHECK(holds(a.key[k], path, MatrixRole::kKey, head));
        CHECK(holds(a.value[k], path, MatrixRole::kValue, head));
        CHECK(holds(a.key_bias.empty() ? nullptr : a.key_bias[k], path, VectorRole::kKeyBias, head));
        CHECK(holds(a.value_bias.empty() ? nullptr : a.value_bias[k], path, VectorRole::kValueBias, head));
      }
      CHECK(a.query_bias.size() == (manifest.config.qkv_bias ? a.query.size() : 0));
      // Which heads these are is found by their weights: their numbers are not part of the view.
      int first = -1;
      for (int h = 0; h < path.count && first < 0; ++h)
        if (holds(a.query[0], path, MatrixRole::kQuery, h)) first = h;
      REQUIRE(first >= 0);
      REQUIRE(first % side_by_side == 0);
      REQUIRE(a.output.size() == (a.query.size() + static_cast<std::size_t>(side_by_side) - 1) / static_cast<std::size_t>(side_by_side));
      for (std::size_t o = 0; o < a.output.size(); ++o)
        CHECK(holds(a.output[o], path, MatrixRole::kOutput, first + static_cast<int>(o) * side_by_side));
      for (std::size_t i = 0; i < a.query.size(); ++i) {
        const int h = first + static_cast<int>(i);
        CHECK(holds(a.query[i], path, MatrixRole::kQuery, h));
        if (manifest.config.qkv_bias) CHECK(holds(a.query_bias[i], path, VectorRole::kQueryBias, h));
        heads.insert({number, path.first + h});
      }
    }
    CHECK(layer.n_kv_slots == slot);
  }
  return heads;
}

}  // namespace

TEST_CASE("ranks see exactly the weights that were packed, whatever the cut") {
  struct Case {
    tests::Shape shape;
    int n_ranks, n_stages;
    FormatId format;
    int output_heads = 1;
  };
  const Case cases[] = {
      {{40, 3, 6, 2, 24, 600, 700, 1, 1, false, true, true, true}, 1, 1, FormatId::kF32},
      {{40, 3, 6, 2, 24, 600, 700, 1, 1, false, true, true, true}, 5, 1, FormatId::kBf16},  // KV heads shared
      {{40, 4, 6, 2, 24, 300, 700, 4, 2, true, true, false, false}, 7, 2, FormatId::kInt8},
      {{32, 5, 4, 4, 8, 64, 300, 1, 1, true}, 3, 3, FormatId::kF32},
      {{40, 3, 14, 2, 16, 600, 700, 1, 1, false, true, true, true}, 7, 1, FormatId::kInt8, 3},  // groups of 3, 3 and 1 heads
      {{40, 3, 10, 5, 16, 600, 700, 1, 1, false, true, true, true}, 2, 1, FormatId::kBf16, 4},  // paths of 2, 2 and 1 KV heads
      {{40, 3, 6, 6, 16, 600, 700, 1, 1, false, true, true, true}, 5, 1, FormatId::kF32, 2},
  };
  for (const Case& c : cases) {
    CAPTURE(c.n_ranks, c.n_stages, static_cast<int>(c.format));
    auto config = tests::make_config(c.shape);
    config.output_heads = c.output_heads;
    const auto model = tests::make_memory_model(config, format_choice(c.format));
    PlanOptions options;
    options.n_stages = c.n_stages;
    const std::vector<RankMachine> machines(static_cast<std::size_t>(c.n_ranks));
    const auto plan = make_plan(config, model.manifest.paths, machines, options);
    REQUIRE(plan.ok());

    std::set<std::pair<int, int>> all_heads;
    std::map<std::pair<int, int>, int> experts;  // (layer, expert) -> neurons
    int tokens_embedded = 0, tokens_in_head = 0;
    for (int r = 0; r < c.n_ranks; ++r) {
      const RankPlan& rank = plan->ranks[static_cast<std::size_t>(r)];
      const SliceLayout layout = slice_layout(model.manifest, rank);
      std::uint64_t read_bytes = 0;
      for (const SliceRead& read : layout.reads) {
        read_bytes += read.bytes;
        CHECK(read.destination + read.bytes <= layout.bytes);
        CHECK(read.checksum == blob_checksum(std::span(model.file).subspan(read.offset, read.bytes)));
      }
      CHECK(read_bytes == rank.weight_bytes);
      CHECK(layout.bytes % 4096 == 0);
      CHECK(layout.bytes < rank.weight_bytes + 4096 * rank.paths.size());

      const tests::SliceMemory memory(layout.bytes);
      tests::read_slice(model, layout, memory.span());
      const auto weights = make_rank_weights(model.manifest, *plan, r, layout, memory.span());
      REQUIRE(weights.ok());
      for (const auto& head : check_weights(model.manifest, *weights)) CHECK(all_heads.insert(head).second);

      for (std::size_t l = 0; l < weights->layers.size(); ++l) {
        std::size_t next = 0;
        for (const Assignment& a : rank.paths) {
          const PathSpec& path = model.manifest.paths[a.path];
          if (path.kind != PathKind::kFeedForward || path.layer != weights->first_layer + static_cast<int>(l)) continue;
          const engine::FeedForwardPath& f = weights->layers[l].feed_forward[next++];
          CHECK(f.expert == path.expert);
          CHECK(holds(f.gate, path, MatrixRole::kGate));
          CHECK(holds(f.up, path, MatrixRole::kUp));
          CHECK(holds(f.down, path, MatrixRole::kDown));
          experts[{path.layer, path.expert}] += path.count;
        }
        CHECK(next == weights->layers[l].feed_forward.size());
      }
      for (const auto& v : weights->embedding) {
        CHECK(v.first_token == tokens_embedded);
        tokens_embedded += static_cast<int>(v.rows.rows);
      }
      for (const auto& v : weights->head) {
        CHECK(v.first_token == tokens_in_head);
        const PathKind kind = config.tied_embeddings ? PathKind::kEmbedding : PathKind::kHead;
        for (const PathSpec& p : model.manifest.paths)
          if (p.kind == kind && p.first == v.first_token) CHECK(holds(v.rows, p, MatrixRole::kVocabulary));
        tokens_in_head += static_cast<int>(v.rows.rows);
      }
      CHECK(weights->first_stage == (rank.stage == 0));
      CHECK(weights->last_stage == (rank.stage == c.n_stages - 1));
      CHECK((weights->final_norm != nullptr) == weights->last_stage);
    }
    CHECK(all_heads.size() == static_cast<std::size_t>(config.n_layers * config.n_heads));
    CHECK(experts.size() == static_cast<std::size_t>(config.n_layers * config.layers[0].n_experts));
    for (const auto& [expert, neurons] : experts) CHECK(neurons == config.layers[0].hidden_dim);
    CHECK(tokens_embedded == config.vocab_size);
    CHECK(tokens_in_head == config.vocab_size);
  }
}

TEST_CASE("neighbouring blobs stay neighbours, so that reads can be joined") {
  const auto config = tests::make_config({32, 2, 4, 4, 8, 64, 300});
  const auto model = tests::make_memory_model(config, format_choice(FormatId::kF32));
  const std::vector<RankMachine> machines(1);
  const auto plan = make_plan(config, model.manifest.paths, machines, {});
  REQUIRE(plan.ok());
  const SliceLayout layout = slice_layout(model.manifest, plan->ranks[0]);
  for (const SliceRead& read : layout.reads) CHECK(read.destination == read.offset);
  CHECK(layout.bytes == model.file.size());
}

TEST_CASE("what kernels read behind the last strip is part of the block") {
  auto config = tests::make_config({1024, 1, 2, 2, 8, 16, 32});
  config.tied_embeddings = true;  // the last blob is the final norm: 4096 bytes
  const auto model = tests::make_memory_model(config, format_choice(FormatId::kBf16));
  const std::vector<RankMachine> machines(1);
  const auto plan = make_plan(config, model.manifest.paths, machines, {});
  REQUIRE(plan.ok());
  const SliceLayout layout = slice_layout(model.manifest, plan->ranks[0]);
  const SliceRead& last = layout.reads.back();
  REQUIRE((last.destination + last.bytes) % 4096 == 0);
  CHECK(layout.bytes >= last.destination + last.bytes + engine::kReadSlack);
}

TEST_CASE("a corrupt blob is refused by name") {
  const auto config = tests::make_config({40, 2, 6, 2, 24, 600, 700});
  const auto model = tests::make_memory_model(config, format_choice(FormatId::kInt8));
  const std::vector<RankMachine> machines(1);
  const auto plan = make_plan(config, model.manifest.paths, machines, {});
  REQUIRE(plan.ok());
  const SliceLayout layout = slice_layout(model.manifest, plan->ranks[0]);
  const tests::SliceMemory memory(layout.bytes);
  std::size_t index = 0;
  while (model.manifest.paths[index].kind != PathKind::kAttention) ++index;
  const std::uint64_t begin = layout.path_base[index];
  for (const std::uint64_t at : {std::uint64_t{3}, blob_header_bytes(model.manifest.paths[index]) + 3}) {
    tests::read_slice(model, layout, memory.span());
    memory.span()[begin + at] = std::byte{0xFF};  // an offset beyond everything; a scale that is negative
    const auto weights = make_rank_weights(model.manifest, *plan, 0, layout, memory.span());
    REQUIRE_FALSE(weights.ok());
    CHECK(weights.error().code == ErrorCode::kCorrupt);
    CHECK_THAT(weights.error().message, Catch::Contains("blob of layer 0, KV head 0"));
  }
}
