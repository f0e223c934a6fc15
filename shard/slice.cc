#include "shard/slice.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "shard/blob.h"

namespace colonnade::shard {
namespace {

using engine::MatrixView;

bool is_whole(const PathSpec& path, const Assignment& a) {
  return path.kind != PathKind::kAttention || a.n_heads == path.count;
}

bool of_query_head(const MatrixSpec& m) { return is_of_query_head(m.role); }

/// One path in memory, checked: its vectors and matrices.
class LoadedPath {
 public:
  static Result<LoadedPath> open(const PathSpec& path, const Assignment& held, const SliceLayout& layout,
                                 std::size_t index, std::span<const std::byte> memory) {
    LoadedPath p(path, memory.data() + layout.path_base[index], memory.data() + layout.head_base[index]);
    COLONNADE_ASSIGN(const auto places, locate_strips(path, {p.base_, blob_header_bytes(path)}));
    for (const StripPlace& place : places) {
      const MatrixSpec& m = path.matrices[place.strip.matrix];
      if (of_query_head(m) && (m.part < held.first_head || m.part >= held.first_head + held.n_heads)) continue;
      COLONNADE_TRY(check_strip(path, place, p.base_of(m) + place.offset));
    }
    return p;
  }

  bool has(MatrixRole role, int part) const {
    return std::any_of(path_->matrices.begin(), path_->matrices.end(), [&](const MatrixSpec& m) { return m.role == role && m.part == part; });
  }

  MatrixView matrix(MatrixRole role, int part = 0) const {
    for (std::size_t i = 0; i < path_->matrices.size(); ++i) {
      const MatrixSpec& m = path_->matrices[i];
      if (m.role != role || m.part != part) continue;
      const auto* offsets = reinterpret_cast<const std::uint64_t*>(base_ + table_offset(*path_, i));
      const bool alternates = role == MatrixRole::kUp || (role == MatrixRole::kGate && i + 1 < path_->matrices.size() &&
                                                          path_->matrices[i + 1].role == MatrixRole::kUp);
      return {.format = m.format,
              .rows = m.rows,
              .cols = m.cols,
              .base = base_of(m),
              .alternating = alternates ? 2u : 1u,
              .strip_offsets = offsets};
    }
    COLONNADE_CHECK(false, text(path_title(*path_), " lacks a matrix that enumerate_paths gives it"));
  }

  /// nullptr when the path has none.
  const float* vector(VectorRole role, int part = 0) const {
    for (std::size_t i = 0; i < path_->vectors.size(); ++i) {
      const VectorSpec& v = path_->vectors[i];
      if (v.role == role && v.part == part) return reinterpret_cast<const float*>(base_ + vector_offset(*path_, i));
    }
    return nullptr;
  }

 private:
  LoadedPath(const PathSpec& path, const std::byte* base, const std::byte* head_base)
      : path_(&path), base_(base), head_base_(head_base) {}
  const std::byte* base_of(const MatrixSpec& m) const { return of_query_head(m) ? head_base_ : base_; }

  const PathSpec* path_;
  const std::byte* base_;
  const std::byte* head_base_;
};

engine::AttentionPath attention_path(const PathSpec& path, const Assignment& held, const LoadedPath& loaded, int kv_slot,
                                     bool latent) {
  engine::AttentionPath a;
  a.kv_head = path.index;
  a.first_head = path.first + held.first_head;
  a.kv_slot = kv_slot;
  for (const MatrixSpec& m : path.matrices) {
    if (m.role != MatrixRole::kKey) continue;
    a.key.push_back(loaded.matrix(MatrixRole::kKey, m.part));
    a.value.push_back(loaded.matrix(MatrixRole::kValue, m.part));
    if (const float* bias = loaded.vector(VectorRole::kKeyBias, m.part)) a.key_bias.push_back(bias);
    if (const float* bias = loaded.vector(VectorRole::kValueBias, m.part)) a.value_bias.push_back(bias);
  }
  COLONNADE_CHECK(a.key.size() <= 1 || held.n_heads == path.count, text(path_title(path), " is held in part"));
  if (const float* sinks = loaded.vector(VectorRole::kSinks)) a.sinks = sinks + held.first_head;
  for (int h = held.first_head; h < held.first_head + held.n_heads; ++h) {
    a.query.push_back(loaded.matrix(MatrixRole::kQuery, h));
    if (loaded.has(MatrixRole::kOutput, h)) a.output.push_back(loaded.matrix(MatrixRole::kOutput, h));
    if (latent) {
      a.into_latent.push_back(loaded.matrix(MatrixRole::kIntoLatent, h));
      a.out_of_latent.push_back(loaded.matrix(MatrixRole::kOutOfLatent, h));
    }
    if (const float* bias = loaded.vector(VectorRole::kQueryBias, h)) a.query_bias.push_back(bias);
  }
  return a;
}

void take_vectors(engine::LayerWeights& layer, const LoadedPath& loaded) {
  layer.attention_norm = loaded.vector(VectorRole::kAttentionNorm);
  layer.feed_forward_norm = loaded.vector(VectorRole::kFeedForwardNorm);
  layer.query_norm = loaded.vector(VectorRole::kQueryNorm);
  layer.key_norm = loaded.vector(VectorRole::kKeyNorm);
  layer.output_bias = loaded.vector(VectorRole::kOutputBias);
  layer.attention_norm_bias = loaded.vector(VectorRole::kAttentionNormBias);
  layer.feed_forward_norm_bias = loaded.vector(VectorRole::kFeedForwardNormBias);
  layer.attention_post_norm = loaded.vector(VectorRole::kAttentionPostNorm);
  layer.feed_forward_post_norm = loaded.vector(VectorRole::kFeedForwardPostNorm);
  layer.router_logit_bias = loaded.vector(VectorRole::kRouterLogitBias);
  layer.query_latent_norm = loaded.vector(VectorRole::kQueryLatentNorm);
  layer.latent_norm = loaded.vector(VectorRole::kLatentNorm);
  layer.router = loaded.vector(VectorRole::kRouter);
  layer.router_bias = loaded.vector(VectorRole::kRouterBias);
  layer.shared_gate = loaded.vector(VectorRole::kSharedGate);
}

}  // namespace

SliceLayout slice_layout(const Manifest& manifest, const RankPlan& rank) {
  SliceLayout layout;
  for (const Assignment& a : rank.paths) {
    const PathSpec& path = manifest.paths[a.path];
    const std::uint64_t base = layout.bytes;
    layout.path_base.push_back(base);
    if (is_whole(path, a)) {
      layout.head_base.push_back(static_cast<std::int64_t>(base));
      layout.reads.push_back({path.file, path.offset, path.bytes, base, a.path, true, path.checksum});
      layout.bytes = round_up(base + path.bytes, kBlobAlignment);
      continue;
    }
    const std::vector<BlobPart> parts = blob_parts(path);
    COLONNADE_CHECK(parts.size() == path.part_checksums.size(), text(path_title(path), " lacks checksums of its parts"));
    std::uint64_t end = base;
    const auto read = [&](std::size_t part) {
      layout.reads.push_back({path.file, path.offset + parts[part].offset, parts[part].bytes, end, a.path, false,
                              path.part_checksums[part]});
      end += parts[part].bytes;
    };
    for (std::size_t part = 0; part < parts.size(); ++part) {
      if (!parts[part].needed_for(a.first_head, a.n_heads)) continue;
      if (part > 0 && parts[part].first_head == a.first_head)
        layout.head_base.push_back(static_cast<std::int64_t>(end) - static_cast<std::int64_t>(parts[part].offset));
      read(part);
    }
    COLONNADE_CHECK(layout.head_base.size() == layout.path_base.size(), text(path_title(path), " is cut within a group of query heads"));
    layout.bytes = round_up(end, kBlobAlignment);
  }
  if (!layout.reads.empty()) {
    const SliceRead& last = layout.reads.back();
    layout.bytes = round_up(last.destination + last.bytes + engine::kReadSlack, kBlobAlignment);
  }
  return layout;
}

Result<engine::RankWeights> make_rank_weights(const Manifest& manifest, const Plan& plan, int rank,
                                              const SliceLayout& layout, std::span<const std::byte> memory) {
  COLONNADE_CHECK(memory.size() >= layout.bytes, "a slice's memory is smaller than its layout");
  COLONNADE_CHECK(reinterpret_cast<std::uintptr_t>(memory.data()) % engine::kStripAlignment == 0,
                  "a slice's memory is not 64-byte aligned");
  const RankPlan& own = plan.ranks[static_cast<std::size_t>(rank)];
  const StagePlan& stage = plan.stages[static_cast<std::size_t>(own.stage)];
  COLONNADE_CHECK(layout.path_base.size() == own.paths.size(), "a slice's layout is of another rank");

  engine::RankWeights weights;
  weights.first_layer = stage.first_layer;
  weights.layers.resize(static_cast<std::size_t>(stage.n_layers));
  weights.first_stage = own.stage == 0;
  weights.last_stage = own.stage + 1 == static_cast<int>(plan.stages.size());
  for (std::size_t i = 0; i < own.paths.size(); ++i) {
    const Assignment& held = own.paths[i];
    const PathSpec& path = manifest.paths[held.path];
    COLONNADE_ASSIGN(const LoadedPath loaded, LoadedPath::open(path, held, layout, i, memory));
    const auto layer = [&]() -> engine::LayerWeights& {
      return weights.layers[static_cast<std::size_t>(path.layer - stage.first_layer)];
    };
    switch (path.kind) {
      case PathKind::kReplicated:
        if (path.layer == 0 && path.index == 1) {
          weights.positions = loaded.vector(VectorRole::kPositions);
          weights.embedding_norm = loaded.vector(VectorRole::kEmbeddingNorm);
          weights.embedding_norm_bias = loaded.vector(VectorRole::kEmbeddingNormBias);
          weights.token_types = loaded.vector(VectorRole::kTokenTypes);
        } else if (path.layer == manifest.config.n_layers)
          weights.final_norm = loaded.vector(VectorRole::kFinalNorm);
        else
          take_vectors(layer(), loaded);
        break;
      case PathKind::kAttention: {
        engine::LayerWeights& l = layer();
        l.attention.push_back(attention_path(path, held, loaded, l.n_kv_slots, manifest.config.latent.used()));
        l.n_kv_slots += kv_heads_of(manifest.config, path);  // a rank holds at most one run of a KV head's query heads
        break;
      }
      case PathKind::kLatent: {
        const bool of_query = path.matrices.front().role == MatrixRole::kQueryLatent;
        layer().latents.push_back({.of_query = of_query, .first_row = path.first, .rows = loaded.matrix(path.matrices.front().role)});
        break;
      }
      case PathKind::kFeedForward:
      case PathKind::kSharedExpert:
        layer().feed_forward.push_back({.expert = path.expert,
                                        .shared = path.kind == PathKind::kSharedExpert,
                                        .gate = loaded.matrix(MatrixRole::kGate),
                                        .up = manifest.config.gated() ? loaded.matrix(MatrixRole::kUp) : MatrixView{},
                                        .down = loaded.matrix(MatrixRole::kDown),
                                        .gate_bias = loaded.vector(VectorRole::kGateBias),
                                        .up_bias = loaded.vector(VectorRole::kUpBias),
                                        .down_bias = loaded.vector(VectorRole::kDownBias)});
        break;
      case PathKind::kEmbedding:
      case PathKind::kHead: {
        const engine::VocabularyPath rows{.first_token = path.first, .rows = loaded.matrix(MatrixRole::kVocabulary)};
        if (path.kind == PathKind::kEmbedding && weights.first_stage) weights.embedding.push_back(rows);
        if (path.kind == PathKind::kHead || (manifest.config.tied_embeddings && weights.last_stage))
          weights.head.push_back(rows);
        break;
      }
    }
  }
  return weights;
}

}  // namespace colonnade::shard
