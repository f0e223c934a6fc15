#include "engine/model/latent_attention.h"

#include <algorithm>
#include <cstring>

#include "engine/base/units.h"

namespace colonnade::engine {
namespace {

/// Tokens whose heads are computed together: 128 heads of DeepSeek-V3 take 1 MiB a token, and a weight that is read once
/// for 64 tokens costs a tenth of its multiplications.
constexpr int kTileTokens = 64;
/// Query heads of a block: they share each load of the cache.
constexpr std::size_t kBlockHeads = 16;

std::size_t most_heads(std::span<const LayerWeights> layers) {
  std::size_t heads = 0;
  for (const LayerWeights& layer : layers)
    for (const AttentionPath& path : layer.attention) heads = std::max(heads, path.query.size());
  return heads;
}

/// Columns of an output matrix, at most.
std::size_t output_columns(const ModelConfig& config) {
  return static_cast<std::size_t>(config.output_heads) * static_cast<std::size_t>(config.latent.value_dim);
}

std::size_t most_outputs(std::span<const LayerWeights> layers) {
  std::size_t outputs = 0;
  for (const LayerWeights& layer : layers)
    for (const AttentionPath& path : layer.attention) outputs = std::max(outputs, path.output.size());
  return outputs;
}

std::size_t width(int dim) { return static_cast<std::size_t>(dim); }
std::size_t padded(int dim) { return round_up(static_cast<std::size_t>(dim), kStripRows); }

std::vector<AlignedBuffer<float>> tiles(int n_threads, int n_tokens) {
  std::vector<AlignedBuffer<float>> result;
  for (int i = 0; i < n_threads; ++i) result.emplace_back(tile_floats(n_tokens));
  return result;
}

}  // namespace

std::size_t LatentAttentionBlock::joined_width(const LatentConfig& latent) {
  return padded(latent.query_dim) + padded(latent.cached_dim());
}

LatentAttentionBlock::LatentAttentionBlock(const RankContext& context, std::span<const LayerWeights> layers)
    : context_(context),
      latent_(context.config.latent),
      tile_tokens_(std::min(kTileTokens, context.max_tokens)),
      max_heads_(most_heads(layers)),
      padded_dim_(round_up(context.dim(), kStripRows)),
      joined_width_(joined_width(latent_)),
      latent_column_(padded(latent_.query_dim)),
      // One more strip than needed keeps rows of a power-of-two width from falling into the same cache sets.
      projected_stride_(max_heads_ * padded(latent_.query_rows()) + kStripRows),
      query_stride_(max_heads_ * padded(latent_.cached_dim()) + kStripRows),
      joined_(static_cast<std::size_t>(context.max_tokens) * joined_width_),
      query_latents_(latent_.query_dim > 0 ? static_cast<std::size_t>(context.max_tokens) : 0, width(latent_.query_dim)),
      projected_(width(tile_tokens_) * projected_stride_),
      plain_(max_heads_ * width(tile_tokens_), width(latent_.plain_dim)),
      queries_(width(tile_tokens_) * query_stride_),
      attended_(max_heads_ * width(tile_tokens_), width(latent_.dim)),
      values_(most_outputs(layers) * width(tile_tokens_), output_columns(context.config)),
      cache_attention_(context, kBlockHeads, div_up(max_heads_, kBlockHeads)),
      part_(tiles(context.team.size(), tile_tokens_)),
      sum_(tiles(context.team.size(), tile_tokens_)) {
  std::size_t most = max_heads_;
  for (const LayerWeights& layer : layers) most = std::max(most, layer.latents.size());
  products_.reserve(most);
  strips_.reserve(most + 1);
}

void LatentAttentionBlock::begin_products() {
  products_.clear();
  strips_.assign(1, 0);
}

void LatentAttentionBlock::add_product(const MatrixView& matrix, const Activations& input, float* out, std::size_t out_stride) {
  products_.push_back({&matrix, input, out, out_stride});
  strips_.push_back(strips_.back() + matrix.n_strips());
}

void LatentAttentionBlock::multiply_share(int n_tokens, int thread) const {
  const Range share = part_of(strips_.back(), thread, context_.team.size());
  for (std::size_t i = 0; i < products_.size(); ++i) {
    const std::size_t begin = std::max<std::size_t>(share.begin, strips_[i]), end = std::min<std::size_t>(share.end, strips_[i + 1]);
    if (begin >= end) continue;
    const Product& p = products_[i];
    multiply(context_.kernels, *p.matrix, static_cast<std::uint32_t>(begin - strips_[i]),
             static_cast<std::uint32_t>(end - strips_[i]), p.input, n_tokens, p.out, p.out_stride);
  }
}

Status LatentAttentionBlock::run(const LayerWeights& layer, const LayerCache& cache, const Batch& batch,
                                 const ActivationRows& input, Join& join) {
  COLONNADE_TRY(join_latents(layer, batch, input, join));
  const int n_tokens = batch.n_tokens();
  float* const contribution = join.contribution();
  if (layer.attention.empty()) {
    std::memset(contribution, 0, width(n_tokens) * context_.dim() * sizeof(float));
    return {};
  }
  const AttentionPath& path = layer.attention.front();
  ActivationKinds wanted;
  for (const MatrixView& query : path.query) wanted.add(query.format);
  context_.team.run([&](int thread) {
    const Range tokens = part_of(width(n_tokens), thread, context_.team.size());
    for (std::size_t t = tokens.begin; t < tokens.end; ++t)
      finish_latents(layer, cache, batch, static_cast<int>(t), wanted);
  });
  if (context_.tap != nullptr) show_latents(layer, input, n_tokens);
  for (int first = 0; first < n_tokens; first += tile_tokens_)
    run_tile(cache, batch, input, {path, first, std::min(tile_tokens_, n_tokens - first)}, contribution);
  return {};
}

Status LatentAttentionBlock::join_latents(const LayerWeights& layer, const Batch& batch, const ActivationRows& input,
                                          Join& join) {
  const std::size_t count = width(batch.n_tokens()) * joined_width_;
  float* const own = join.contribution();
  std::memset(own, 0, count * sizeof(float));
  std::memset(joined_.data(), 0, count * sizeof(float));
  begin_products();
  for (const LatentPath& path : layer.latents)
    add_product(path.rows, input.view(0), own + (path.of_query ? 0 : latent_column_) + path.first_row, joined_width_);
  context_.team.run([&](int thread) { multiply_share(batch.n_tokens(), thread); });
  return join.reduce(joined_.data(), count, context_.team);
}

void LatentAttentionBlock::finish_latents(const LayerWeights& layer, const LayerCache& cache, const Batch& batch, int token,
                                          const ActivationKinds& wanted) {
  const KernelTable& kernels = context_.kernels;
  const auto t = static_cast<std::size_t>(token);
  float* const joined = joined_.data() + t * joined_width_;
  if (latent_.query_dim > 0) {
    kernels.rms_norm(joined, layer.query_latent_norm, latent_.norm_eps, width(latent_.query_dim), query_latents_.row(t));
    query_latents_.quantize(kernels, t, 0, width(latent_.query_dim), wanted);
  }
  float* const latent = joined + latent_column_;
  kernels.rms_norm(latent, layer.latent_norm, latent_.norm_eps, width(latent_.dim), latent);
  kernels.rope(latent + latent_.dim, batch.cosine(0, token), batch.sine(0, token), batch.n_pairs(0));
  const int position = batch.position(token);
  const std::int32_t page = batch.pages(token, cache.group).page_of(position);
  kernels.store_latent[static_cast<std::size_t>(context_.kv_type)](latent, latent_.dim, latent_.cached_dim(),
                                                                   position % kPageTokens,
                                                                   cache.slot(0) + static_cast<std::size_t>(page) * cache.block_bytes);
}

void LatentAttentionBlock::finish_query(const Batch& batch, const Tile& tile, std::size_t head, int token) {
  const KernelTable& kernels = context_.kernels;
  const auto t = static_cast<std::size_t>(token);
  const float* const projected = projected_.data() + t * projected_stride_ + head * padded(latent_.query_rows());
  const std::size_t row = head_row(head, token);
  std::copy_n(projected, latent_.plain_dim, plain_.row(row));
  plain_.quantize(kernels, row, 0, width(latent_.plain_dim), wanted_by(tile.path.into_latent[head]));
  float* const rotated = queries_.data() + t * query_stride_ + head * padded(latent_.cached_dim()) + latent_.dim;
  std::copy_n(projected + latent_.plain_dim, latent_.rotary_dim, rotated);
  const int of_step = tile.first_token + token;
  kernels.rope(rotated, batch.cosine(0, of_step), batch.sine(0, of_step), batch.n_pairs(0));
}

void LatentAttentionBlock::run_tile(const LayerCache& cache, const Batch& batch, const ActivationRows& input, const Tile& tile,
                                    float* contribution) {
  const std::size_t n_heads = tile.path.query.size();
  const CacheLayout layout{cache.block_bytes,
                           query_stride_,
                           padded(latent_.cached_dim()),
                           attended_.stride(),
                           width(tile_tokens_) * attended_.stride(),
                           1,
                           0,
                           false,
                           false,
                           tile.first_token,
                           cache.group};
  const auto quantize_attended = [&](const QueryBlock& block) {
    for (std::size_t h = block.path; h < block.path + static_cast<std::size_t>(block.n_heads); ++h)
      for (int t = block.first_token; t < block.first_token + block.n_tokens; ++t)
        attended_.quantize(context_.kernels, head_row(h, t - tile.first_token), 0, width(latent_.dim),
                           wanted_by(tile.path.out_of_latent[h]));
  };
  const std::size_t query_row = padded(latent_.cached_dim());
  cache_attention_.clear();
  for (std::size_t h = 0; h < n_heads; h += kBlockHeads)
    cache_attention_.add(batch, {cache.slot(0), queries_.data() + h * query_row, attended_.row(head_row(h, 0)), nullptr,
                                 static_cast<int>(std::min(kBlockHeads, n_heads - h)), tile.first_token, tile.n_tokens, h});
  cache_attention_.begin(layout, batch);

  const auto each_row = [&](std::size_t count, int thread, const auto& visit) {
    const Range rows = part_of(count * width(tile.n_tokens), thread, context_.team.size());
    for (std::size_t i = rows.begin; i < rows.end; ++i)
      visit(i / width(tile.n_tokens), static_cast<int>(i % width(tile.n_tokens)));
  };
  const auto first = static_cast<std::size_t>(tile.first_token);
  begin_products();
  for (std::size_t h = 0; h < n_heads; ++h)
    add_product(tile.path.query[h], latent_.query_dim > 0 ? query_latents_.view(first) : input.view(first),
                projected_.data() + h * padded(latent_.query_rows()), projected_stride_);
  context_.team.run([&](int thread) {
    multiply_share(tile.n_tokens, thread);
    context_.team.barrier();
    each_row(n_heads, thread, [&](std::size_t head, int token) { finish_query(batch, tile, head, token); });
  });
  begin_products();
  for (std::size_t h = 0; h < n_heads; ++h)
    add_product(tile.path.into_latent[h], plain_.view(head_row(h, 0)), queries_.data() + h * query_row, query_stride_);
  context_.team.run([&](int thread) {
    multiply_share(tile.n_tokens, thread);
    context_.team.barrier();
    cache_attention_.work(layout, batch, thread, quantize_attended);
  });
  begin_products();
  const std::size_t side_by_side = width(context_.config.output_heads);
  for (std::size_t h = 0; h < n_heads; ++h)
    add_product(tile.path.out_of_latent[h], attended_.view(head_row(h, 0)),
                values_.row(head_row(h / side_by_side, 0)) + h % side_by_side * width(latent_.value_dim), values_.stride());
  context_.team.run([&](int thread) {
    multiply_share(tile.n_tokens, thread);
    context_.team.barrier();
    each_row(tile.path.output.size(), thread, [&](std::size_t o, int token) {
      values_.quantize(context_.kernels, head_row(o, token), 0, tile.path.output[o].cols, wanted_by(tile.path.output[o]));
    });
    context_.team.barrier();
    const Range strips = part_of(padded_dim_ / kStripRows, thread, context_.team.size());
    const std::size_t step = sum_tile_strips(tile.n_tokens);
    for (std::size_t s = strips.begin; s < strips.end; s += step)
      output_tile(tile, static_cast<std::uint32_t>(s), static_cast<std::uint32_t>(std::min(s + step, strips.end)), thread,
                  contribution);
  });
  if (context_.tap != nullptr) show_values(tile);
}

void LatentAttentionBlock::show_latents(const LayerWeights& layer, const ActivationRows& input, int n_tokens) const {
  for (const LatentPath& path : layer.latents) context_.tap->multiplied(path.rows, input.view(0), n_tokens);
  Activations latents;
  latents.values = joined_.data() + latent_column_;
  latents.stride = joined_width_;
  for (const AttentionPath& path : layer.attention)
    for (std::size_t h = 0; h < path.query.size(); ++h) {
      context_.tap->multiplied(path.query[h], latent_.query_dim > 0 ? query_latents_.view(0) : input.view(0), n_tokens);
      context_.tap->multiplied(path.into_latent[h], latents, n_tokens);
      context_.tap->multiplied(path.out_of_latent[h], latents, n_tokens);
    }
}

void LatentAttentionBlock::show_values(const Tile& tile) const {
  for (std::size_t o = 0; o < tile.path.output.size(); ++o)
    context_.tap->multiplied(tile.path.output[o], values_.view(head_row(o, 0)), tile.n_tokens);
}

void LatentAttentionBlock::output_tile(const Tile& tile, std::uint32_t first, std::uint32_t last, int thread,
                                       float* contribution) {
  float* const part = part_[static_cast<std::size_t>(thread)].data();
  float* const sum = sum_[static_cast<std::size_t>(thread)].data();
  const std::size_t columns = (last - first) * kStripRows;
  for (std::size_t o = 0; o < tile.path.output.size(); ++o) {
    const Activations heads = values_.view(head_row(o, 0));
    if (o == 0) multiply_tile(context_.kernels, tile.path.output[o], first, last, heads, tile.n_tokens, sum, columns);
    else add_tile(context_.kernels, tile.path.output[o], first, last, heads, tile.n_tokens, sum, part);
  }
  const std::size_t begin = first * kStripRows;
  const std::size_t count = std::min<std::size_t>(columns, context_.dim() - begin);
  for (int t = 0; t < tile.n_tokens; ++t)
    std::memcpy(contribution + width(tile.first_token + t) * context_.dim() + begin, sum + width(t) * columns,
                count * sizeof(float));
}

}  // namespace colonnade::engine
