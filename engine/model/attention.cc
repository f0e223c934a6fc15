#include "engine/model/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/units.h"

namespace colonnade::engine {
namespace {

template <typename Count>
std::size_t most(std::span<const LayerWeights> layers, Count count) {
  std::size_t result = 0;
  for (const LayerWeights& layer : layers) result = std::max(result, count(layer));
  return result;
}

std::size_t n_paths(const LayerWeights& layer) { return layer.attention.size(); }

std::size_t n_query_heads(const LayerWeights& layer) {
  std::size_t heads = 0;
  for (const AttentionPath& path : layer.attention) heads += path.query.size();
  return heads;
}

std::vector<AlignedBuffer<float>> buffers(int count, std::size_t floats) {
  std::vector<AlignedBuffer<float>> result;
  for (int i = 0; i < count; ++i) result.emplace_back(floats);
  return result;
}

}  // namespace

AttentionBlock::AttentionBlock(const RankContext& context, std::span<const LayerWeights> layers)
    : context_(context),
      padded_head_(round_up(context.head_dim(), kStripRows)),
      padded_dim_(round_up(context.dim(), kStripRows)),
      // One more strip than needed keeps rows of a power-of-two width from falling into the same cache sets.
      projected_stride_((2 * most(layers, n_paths) + most(layers, n_query_heads)) * padded_head_ + kStripRows),
      projected_(static_cast<std::size_t>(context.max_tokens) * projected_stride_),
      attended_(static_cast<std::size_t>(context.max_tokens) * most(layers, n_query_heads), padded_head_),
      slots_(most(layers, n_paths) * static_cast<std::size_t>(kMaxColumnTokens) * padded_dim_),
      part_(buffers(context.team.size(),
                    std::max(static_cast<std::size_t>(context.max_tokens) * kTileColumns,
                             static_cast<std::size_t>(kMaxColumnTokens) * padded_dim_))),
      path_sum_(buffers(context.team.size(), static_cast<std::size_t>(context.max_tokens) * kTileColumns)),
      sum_(buffers(context.team.size(), static_cast<std::size_t>(context.max_tokens) * kTileColumns)) {
  projections_.reserve(2 * most(layers, n_paths) + most(layers, n_query_heads));
  projection_strips_.reserve(projections_.capacity() + 1);
  columns_.reserve(most(layers, n_paths));
}

void AttentionBlock::run(const LayerConfig& shape, const LayerWeights& layer, const LayerCache& cache,
                         const Batch& batch, const ActivationRows& input, bool columns, float* contribution) {
  lay_out(layer);
  if (columns) {
    run_columns(shape, layer, cache, batch, input, contribution);
  } else {
    run_rows(shape, layer, cache, batch, input, contribution);
  }
}

void AttentionBlock::lay_out(const LayerWeights& layer) {
  projections_.clear();
  projection_strips_.assign(1, 0);
  columns_.clear();
  std::size_t column = 0;
  std::size_t head = 0;
  const auto add = [&](const MatrixView& matrix) {
    projections_.push_back({&matrix, column});
    projection_strips_.push_back(projection_strips_.back() + matrix.n_strips());
    column += padded_head_;
    return column - padded_head_;
  };
  for (const AttentionPath& path : layer.attention) {
    PathColumns parts{};
    parts.key = add(path.key);
    parts.value = add(path.value);
    parts.query = column;
    parts.first_head = head;
    for (const MatrixView& query : path.query) add(query);
    head += path.query.size();
    columns_.push_back(parts);
  }
}

void AttentionBlock::project(const Projection& projection, std::uint32_t first, std::uint32_t last,
                             const ActivationRows& input, int n_tokens) {
  multiply(context_.kernels, *projection.matrix, first, last, input.view(0), n_tokens,
           projected_.data() + projection.column, projected_stride_);
}

void AttentionBlock::rotate_and_store(std::size_t p, const LayerWeights& layer, const LayerCache& cache,
                                      const Batch& batch, int token) {
  const KernelTable& kernels = context_.kernels;
  const AttentionPath& path = layer.attention[p];
  const std::size_t head_dim = context_.head_dim();
  float* const row = projected_.data() + static_cast<std::size_t>(token) * projected_stride_;
  const auto finish_head = [&](float* head, const float* bias, const float* norm) {
    if (bias != nullptr) kernels.add(head, bias, head_dim);
    if (norm != nullptr) kernels.rms_norm(head, norm, context_.config.norm_eps, head_dim, head);
    kernels.rope(head, batch.cosine(token), batch.sine(token), batch.n_pairs());
  };
  float* const key = row + columns_[p].key;
  float* const value = row + columns_[p].value;
  finish_head(key, path.key_bias, layer.key_norm);
  if (path.value_bias != nullptr) kernels.add(value, path.value_bias, head_dim);
  for (std::size_t h = 0; h < path.query.size(); ++h)
    finish_head(row + columns_[p].query + h * padded_head_, path.query_bias.empty() ? nullptr : path.query_bias[h],
                layer.query_norm);

  const int position = batch.position(token);
  const std::int32_t page = batch.pages(token)[position / kPageTokens];
  std::byte* const block = cache.slot(path.kv_slot) + static_cast<std::size_t>(page) * cache.block_bytes;
  kernels.store_kv[static_cast<std::size_t>(context_.kv_type)](key, value, context_.config.head_dim,
                                                               position % kPageTokens, block);
}

void AttentionBlock::attend(std::size_t p, const LayerConfig& shape, const LayerWeights& layer,
                            const LayerCache& cache, const Batch& batch, int token) {
  const AttentionPath& path = layer.attention[p];
  const int position = batch.position(token);
  AttendArgs args{};
  args.queries = projected_.data() + static_cast<std::size_t>(token) * projected_stride_ + columns_[p].query;
  args.query_stride = padded_head_;
  args.n_queries = static_cast<int>(path.query.size());
  args.head_dim = context_.config.head_dim;
  args.scale = 1.0f / std::sqrt(static_cast<float>(context_.config.head_dim));
  args.first_position = shape.window_tokens > 0 ? std::max(0, position - shape.window_tokens + 1) : 0;
  args.last_position = position;
  args.pages = batch.pages(token);
  args.blocks = cache.slot(path.kv_slot);
  args.page_stride_bytes = cache.block_bytes;
  args.out = attended_.row(head_row(columns_[p].first_head, token));
  args.out_stride = static_cast<std::size_t>(context_.max_tokens) * attended_.stride();
  context_.kernels.attend[static_cast<std::size_t>(context_.kv_type)](args);
  for (std::size_t h = 0; h < path.query.size(); ++h)
    if (activation_kind(path.output[h].format) == ActivationKind::kInt8)
      attended_.quantize(context_.kernels, head_row(columns_[p].first_head + h, token), 0, context_.head_dim());
}

void AttentionBlock::run_columns(const LayerConfig& shape, const LayerWeights& layer, const LayerCache& cache,
                                 const Batch& batch, const ActivationRows& input, float* contribution) {
  const int n_tokens = batch.n_tokens();
  const auto slot_of = [&](std::size_t path) {
    return slots_.data() + path * static_cast<std::size_t>(kMaxColumnTokens) * padded_dim_;
  };
  context_.team.run([&](int thread) {
    const Range share = part_of(projection_strips_.back(), thread, context_.team.size());
    std::size_t projection = 0;
    for (std::size_t p = 0; p < layer.attention.size(); ++p) {
      const AttentionPath& path = layer.attention[p];
      const std::size_t first = projection;
      projection += 2 + path.query.size();
      // A path belongs to the core in whose share its middle falls.
      const std::size_t middle = (projection_strips_[first] + projection_strips_[projection]) / 2;
      if (middle < share.begin || middle >= share.end) continue;
      for (std::size_t i = first; i < projection; ++i)
        project(projections_[i], 0, projections_[i].matrix->n_strips(), input, n_tokens);
      for (int t = 0; t < n_tokens; ++t) rotate_and_store(p, layer, cache, batch, t);
      for (int t = 0; t < n_tokens; ++t) attend(p, shape, layer, cache, batch, t);
      float* const slot = slot_of(p);
      float* const part = part_[static_cast<std::size_t>(thread)].data();
      const std::size_t count = static_cast<std::size_t>(n_tokens) * padded_dim_;
      for (std::size_t h = 0; h < path.output.size(); ++h) {
        multiply(context_.kernels, path.output[h], 0, path.output[h].n_strips(),
                 attended_.view(head_row(columns_[p].first_head + h, 0)), n_tokens, h == 0 ? slot : part, padded_dim_);
        if (h != 0) context_.kernels.add(slot, part, count);
      }
    }
  });
  context_.team.run([&](int thread) {
    const Range range = part_of(context_.dim(), thread, context_.team.size(), kStripRows);
    const std::size_t count = range.end - range.begin;
    if (count == 0) return;
    for (int t = 0; t < n_tokens; ++t) {
      float* const sum = contribution + static_cast<std::size_t>(t) * context_.dim() + range.begin;
      std::memset(sum, 0, count * sizeof(float));
      for (std::size_t p = 0; p < layer.attention.size(); ++p)
        context_.kernels.add(sum, slot_of(p) + static_cast<std::size_t>(t) * padded_dim_ + range.begin, count);
    }
  });
}

void AttentionBlock::run_rows(const LayerConfig& shape, const LayerWeights& layer, const LayerCache& cache,
                              const Batch& batch, const ActivationRows& input, float* contribution) {
  const int n_tokens = batch.n_tokens();
  const std::size_t n_paths_here = layer.attention.size();
  const std::size_t pairs = static_cast<std::size_t>(n_tokens) * n_paths_here;
  context_.team.run([&](int thread) {
    const Range share = part_of(projection_strips_.back(), thread, context_.team.size());
    for (std::size_t i = 0; i < projections_.size(); ++i) {
      const std::size_t first = std::max<std::size_t>(share.begin, projection_strips_[i]);
      const std::size_t last = std::min<std::size_t>(share.end, projection_strips_[i + 1]);
      if (first < last)
        project(projections_[i], static_cast<std::uint32_t>(first - projection_strips_[i]),
                static_cast<std::uint32_t>(last - projection_strips_[i]), input, n_tokens);
    }
  });
  context_.team.run([&](int thread) {
    const Range share = part_of(pairs, thread, context_.team.size());
    for (std::size_t i = share.begin; i < share.end; ++i)
      rotate_and_store(i % n_paths_here, layer, cache, batch, static_cast<int>(i / n_paths_here));
  });
  // Later tokens look back further, so cores take turns instead of contiguous parts.
  context_.team.run([&](int thread) {
    for (std::size_t i = static_cast<std::size_t>(thread); i < pairs; i += static_cast<std::size_t>(context_.team.size()))
      attend(i % n_paths_here, shape, layer, cache, batch, static_cast<int>(i / n_paths_here));
  });
  context_.team.run([&](int thread) {
    const Range strips = part_of(padded_dim_ / kStripRows, thread, context_.team.size());
    for (std::size_t s = strips.begin; s < strips.end; s += kTileStrips)
      output_tile(layer, static_cast<std::uint32_t>(s),
                  static_cast<std::uint32_t>(std::min<std::size_t>(s + kTileStrips, strips.end)), n_tokens, thread,
                  contribution);
  });
}

void AttentionBlock::output_tile(const LayerWeights& layer, std::uint32_t first, std::uint32_t last, int n_tokens,
                                 int thread, float* contribution) {
  float* const part = part_[static_cast<std::size_t>(thread)].data();
  float* const path_sum = path_sum_[static_cast<std::size_t>(thread)].data();
  float* const sum = sum_[static_cast<std::size_t>(thread)].data();
  const std::size_t tile = static_cast<std::size_t>(n_tokens) * kTileColumns;
  std::memset(sum, 0, tile * sizeof(float));
  for (std::size_t p = 0; p < layer.attention.size(); ++p) {
    const AttentionPath& path = layer.attention[p];
    for (std::size_t h = 0; h < path.output.size(); ++h) {
      multiply_tile(context_.kernels, path.output[h], first, last, attended_.view(head_row(columns_[p].first_head + h, 0)),
                    n_tokens, h == 0 ? path_sum : part, kTileColumns);
      if (h != 0) context_.kernels.add(path_sum, part, tile);
    }
    context_.kernels.add(sum, path_sum, tile);
  }
  const std::size_t begin = first * kStripRows;
  const std::size_t count = std::min<std::size_t>((last - first) * kStripRows, context_.dim() - begin);
  for (int t = 0; t < n_tokens; ++t)
    std::memcpy(contribution + static_cast<std::size_t>(t) * context_.dim() + begin,
                sum + static_cast<std::size_t>(t) * kTileColumns, count * sizeof(float));
}

}  // namespace colonnade::engine
