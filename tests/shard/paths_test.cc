#include "shard/paths.h"

#include <catch2/catch.hpp>

#include <map>
#include <numeric>

using namespace colonnade;
using namespace colonnade::shard;
using engine::FormatId;

namespace {

engine::ModelConfig mixture() {
  engine::ModelConfig config;
  config.dim = 96;
  config.n_layers = 2;
  config.n_heads = 6;
  config.n_kv_heads = 2;
  config.head_dim = 24;
  config.vocab_size = 600;
  config.qkv_bias = config.output_bias = config.qk_norm = true;
  config.layers = {{.hidden_dim = 40}, {.hidden_dim = 530, .n_experts = 3, .n_active = 2}};
  return config;
}

std::uint64_t parameters(const std::vector<PathSpec>& paths) {
  std::uint64_t sum = 0;
  for (const PathSpec& p : paths) {
    for (const MatrixSpec& m : p.matrices) sum += std::uint64_t{m.rows} * m.cols;
    for (const VectorSpec& v : p.vectors) sum += v.count;
  }
  return sum;
}

}  // namespace

TEST_CASE("groups cover everything in whole strips, none below the least, as equal as possible") {
  const int least = GENERATE(256, 512);
  for (int total = 1; total < 5000; ++total) {
    const auto groups = split_groups(total, least);
    int next = 0, smallest = total, largest = 0;
    for (const Group& g : groups) {
      REQUIRE(g.first == next);
      REQUIRE(g.first % 16 == 0);
      next += g.count;
      smallest = std::min(smallest, g.count);
      largest = std::max(largest, g.count);
    }
    REQUIRE(next == total);
    REQUIRE(smallest >= std::min(total, least));
    REQUIRE(largest < 2 * least);
    REQUIRE(largest - smallest <= 31);
  }
  CHECK(split_groups(128256, 256).size() == 501);
  CHECK(split_groups(768, 256).size() == 3);
}

TEST_CASE("the paths of a model hold each of its parameters once") {
  const auto config = mixture();
  const auto paths = enumerate_paths(config, format_choice(FormatId::kBf16));
  const std::uint64_t attention = 2ull * 6 * 24 * 96 + 2ull * 2 * 24 * 96 + (6 + 2 + 2) * 24 + 96 + 2 * 24;
  const std::uint64_t expected = 2 * 600ull * 96 + 2 * attention + 3ull * 40 * 96 + 3ull * (3 * 530 * 96) + 3 * 96 +
                                 2 * 2 * 96 + 96;
  CHECK(parameters(paths) == expected);
}

TEST_CASE("paths come in plan order: layer, neuron group, expert") {
  const auto config = mixture();
  const auto paths = enumerate_paths(config, format_choice(FormatId::kBf16));
  std::vector<std::string> titles;
  for (const PathSpec& p : paths) titles.push_back(path_title(p));
  const std::vector<std::string> expected{
      "embedding of tokens 0-303", "embedding of tokens 304-599",
      "layer 0, norms and router", "layer 0, KV head 0", "layer 0, KV head 1", "layer 0, neurons 0-39 of expert 0",
      "layer 1, norms and router", "layer 1, KV head 0", "layer 1, KV head 1",
      "layer 1, neurons 0-271 of expert 0", "layer 1, neurons 0-271 of expert 1", "layer 1, neurons 0-271 of expert 2",
      "layer 1, neurons 272-529 of expert 0", "layer 1, neurons 272-529 of expert 1",
      "layer 1, neurons 272-529 of expert 2",
      "layer 2, norms and router",
      "head rows of tokens 0-303", "head rows of tokens 304-599"};
  CHECK(titles == expected);

  auto tied = config;
  tied.tied_embeddings = true;
  CHECK(enumerate_paths(tied, format_choice(FormatId::kBf16)).size() == expected.size() - 2);
  CHECK(count_paths(config) == expected.size());
  CHECK(count_paths(tied) == expected.size() - 2);
}

TEST_CASE("an embedding that is only looked up keeps 16 bits; a tied one has the format of the head") {
  auto config = mixture();
  CHECK(enumerate_paths(config, format_choice(FormatId::kInt8)).front().matrices[0].format == FormatId::kBf16);
  config.tied_embeddings = true;
  CHECK(enumerate_paths(config, format_choice(FormatId::kInt8)).front().matrices[0].format == FormatId::kInt8);
}

TEST_CASE("matrices, vectors and offset tables of an attention path lie as documented") {
  const auto paths = enumerate_paths(mixture(), format_choice(FormatId::kF32));
  const PathSpec& path = paths[4];
  REQUIRE(path.kind == PathKind::kAttention);
  CHECK(path.index == 1);
  CHECK(path.first == 3);
  CHECK(path.count == 3);
  const MatrixRole roles[] = {MatrixRole::kKey,    MatrixRole::kValue, MatrixRole::kQuery, MatrixRole::kOutput,
                              MatrixRole::kQuery, MatrixRole::kOutput, MatrixRole::kQuery, MatrixRole::kOutput};
  REQUIRE(path.matrices.size() == std::size(roles));
  for (std::size_t m = 0; m < std::size(roles); ++m) {
    CHECK(path.matrices[m].role == roles[m]);
    CHECK(path.matrices[m].part == (m < 2 ? 0 : static_cast<int>(m - 2) / 2));
    CHECK(path.matrices[m].rows == (roles[m] == MatrixRole::kOutput ? 96u : 24u));
    CHECK(path.matrices[m].cols == (roles[m] == MatrixRole::kOutput ? 24u : 96u));
  }
  // head_dim 24 is 2 strips, dim 96 is 6: tables of 5 * (2 + 1) + 3 * (6 + 1) entries.
  CHECK(table_offset(path, 4) == (3 * 3 + 7) * 8);
  CHECK(table_offset(path, 8) == 36 * 8);
  CHECK(path.vectors.size() == 5);
  CHECK(path.vectors[3].role == VectorRole::kQueryBias);
  CHECK(path.vectors[3].part == 1);
  CHECK(vector_offset(path, 0) == 320);  // 288 rounded up to 64
  CHECK(vector_offset(path, 1) == 320 + 128);
  CHECK(blob_header_bytes(path) == 320 + 5 * 128);
  // f32 strips without padding: every weight is 4 bytes once rows are filled up to 16.
  CHECK(path.bytes >= blob_header_bytes(path) + 4ull * (5 * 24 * 96 + 3 * 96 * 24));
}

TEST_CASE("query heads side by side: a group's queries, then its output; several KV heads are one path") {
  auto config = mixture();
  config.output_heads = 2;
  auto paths = enumerate_paths(config, format_choice(FormatId::kF32));
  CHECK(paths.size() == count_paths(config));
  CHECK(parameters(paths) == parameters(enumerate_paths(mixture(), format_choice(FormatId::kF32))));
  using Role = MatrixRole;
  const auto shape_of = [](const PathSpec& path) {
    std::vector<std::tuple<Role, int, std::uint32_t>> shape;  // role, part, columns
    for (const MatrixSpec& m : path.matrices) shape.emplace_back(m.role, m.part, m.cols);
    return shape;
  };
  CHECK(shape_of(paths[4]) == std::vector<std::tuple<Role, int, std::uint32_t>>{
                                  {Role::kKey, 0, 96}, {Role::kValue, 0, 96}, {Role::kQuery, 0, 96}, {Role::kQuery, 1, 96},
                                  {Role::kOutput, 0, 48}, {Role::kQuery, 2, 96}, {Role::kOutput, 2, 24}});
  const std::vector<BlobPart> parts = blob_parts(paths[4]);
  REQUIRE(parts.size() == 3);
  CHECK(parts[0].bytes == blob_header_bytes(paths[4]) + paths[4].matrices[0].bytes + paths[4].matrices[1].bytes);
  CHECK(std::pair(parts[1].first_head, parts[1].n_heads) == std::pair(0, 2));
  CHECK(std::pair(parts[2].first_head, parts[2].n_heads) == std::pair(2, 1));
  CHECK(parts[2].offset + parts[2].bytes == paths[4].bytes);
  CHECK(parts[0].needed_for(2, 1));
  CHECK_FALSE(parts[1].needed_for(2, 1));
  CHECK(parts[2].needed_for(2, 1));

  config.n_kv_heads = 6;  // as many as query heads: paths of four and of two
  config.output_heads = 4;
  paths = enumerate_paths(config, format_choice(FormatId::kF32));
  CHECK(paths.size() == count_paths(config));
  CHECK(path_title(paths[3]) == "layer 0, KV heads 0-3");
  CHECK(path_title(paths[4]) == "layer 0, KV heads 4-5");
  CHECK(paths[4].first == 4);
  CHECK(kv_heads_of(config, paths[4]) == 2);
  CHECK(shape_of(paths[4]) == std::vector<std::tuple<Role, int, std::uint32_t>>{
                                  {Role::kKey, 0, 96}, {Role::kValue, 0, 96}, {Role::kKey, 1, 96}, {Role::kValue, 1, 96},
                                  {Role::kQuery, 0, 96}, {Role::kQuery, 1, 96}, {Role::kOutput, 0, 48}});
  CHECK(blob_parts(paths[4]).size() == 2);
}

TEST_CASE("output matrices are as wide as leaves enough of them, and no wider than 512 columns") {
  const auto heads = [](int n_heads, int n_kv_heads, int head_dim) {
    engine::ModelConfig config = mixture();
    config.n_heads = n_heads;
    config.n_kv_heads = n_kv_heads;
    config.head_dim = head_dim;
    return wide_output_heads(config);
  };
  CHECK(heads(32, 8, 64) == 4);     // Llama 3.2 1B: a KV head's
  CHECK(heads(32, 8, 128) == 2);    // 8B: 16 groups
  CHECK(heads(64, 8, 128) == 4);    // 70B
  CHECK(heads(128, 8, 128) == 4);   // 405B
  CHECK(heads(32, 4, 128) == 2);    // Qwen3 30B
  CHECK(heads(14, 2, 64) == 2);     // Qwen2 0.5B: 2, 2, 2 and 1 of each KV head
  CHECK(heads(28, 4, 128) == 2);
  CHECK(heads(40, 8, 128) == 3);    // 3 and 2
  CHECK(heads(16, 16, 64) == 2);    // BERT large
  CHECK(heads(12, 12, 64) == 2);    // BERT base
  CHECK(heads(32, 32, 128) == 2);
  CHECK(heads(64, 64, 128) == 4);
  CHECK(heads(4, 2, 16) == 1);      // too few
  CHECK(heads(64, 8, 40) == 1);     // heads end within strips
  engine::ModelConfig latents = mixture();
  latents.n_heads = 128;
  latents.n_kv_heads = 1;
  latents.head_dim = 576;
  latents.latent = {.dim = 512, .rotary_dim = 64, .query_dim = 1536, .plain_dim = 128, .value_dim = 128};
  CHECK(wide_output_heads(latents) == 4);
}

TEST_CASE("gate and up strips alternate, then come the down strips") {
  const auto paths = enumerate_paths(mixture(), format_choice(FormatId::kF32));
  const PathSpec& path = paths[5];
  REQUIRE(path.kind == PathKind::kFeedForward);
  std::vector<std::pair<unsigned, unsigned>> order;
  for (const StripRef& s : execution_order(path)) order.emplace_back(s.matrix, s.strip);
  const std::vector<std::pair<unsigned, unsigned>> expected{{0, 0}, {1, 0}, {0, 1}, {1, 1}, {0, 2}, {1, 2},
                                                            {2, 0}, {2, 1}, {2, 2}, {2, 3}, {2, 4}, {2, 5}};
  CHECK(order == expected);
}
