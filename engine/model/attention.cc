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

std::size_t n_kv_heads(const LayerWeights& layer) {
  std::size_t heads = 0;
  for (const AttentionPath& path : layer.attention) heads += path.key.size();
  return heads;
}

std::size_t n_query_heads(const LayerWeights& layer) {
  std::size_t heads = 0;
  for (const AttentionPath& path : layer.attention) heads += path.query.size();
  return heads;
}

std::size_t n_outputs(const LayerWeights& layer) {
  std::size_t outputs = 0;
  for (const AttentionPath& path : layer.attention) outputs += path.output.size();
  return outputs;
}

/// Output matrices that take turned activations.
std::size_t n_turned_outputs(const LayerWeights& layer) {
  std::size_t outputs = 0;
  for (const AttentionPath& path : layer.attention)
    for (const MatrixView& output : path.output) outputs += wanted_by(output).wide ? 1 : 0;
  return outputs == n_outputs(layer) ? outputs : 0;
}

std::size_t widest_output(std::span<const LayerWeights> layers) {
  std::size_t columns = 0;
  for (const LayerWeights& layer : layers)
    for (const AttentionPath& path : layer.attention)
      for (const MatrixView& output : path.output) columns = std::max<std::size_t>(columns, output.cols);
  return columns;
}

float query_growth(const ModelConfig& config, int position) {
  const int steps = (position + 1) / config.query_growth_tokens;
  return 1.0f + config.query_growth * std::log(1.0f + static_cast<float>(steps));
}

/// With this many units for each core, whole units are shared out evenly enough.
constexpr std::size_t kUnitsPerThread = 4;

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
      projected_stride_((2 * most(layers, n_kv_heads) + most(layers, n_query_heads)) * padded_head_ + kStripRows),
      projected_(static_cast<std::size_t>(context.max_tokens) * projected_stride_),
      attended_(static_cast<std::size_t>(context.max_tokens) * most(layers, n_outputs), std::max(padded_head_, widest_output(layers)),
                n_token_blocks(context.max_tokens) * most(layers, n_turned_outputs)),
      factors_(context.config.qk_norm_joint ? static_cast<std::size_t>(context.max_tokens) : 0),
      cache_attention_(context, static_cast<std::size_t>(context.config.query_heads_per_kv()), most(layers, n_kv_heads)),
      slots_(most(layers, n_paths) * static_cast<std::size_t>(kMaxColumnTokens) * padded_dim_),
      part_(buffers(context.team.size(),
                    std::max(tile_floats(context.max_tokens),
                             static_cast<std::size_t>(kMaxColumnTokens) * padded_dim_))),
      path_sum_(buffers(context.team.size(), tile_floats(context.max_tokens))),
      sum_(buffers(context.team.size(), tile_floats(context.max_tokens))) {
  projections_.reserve(2 * most(layers, n_kv_heads) + most(layers, n_query_heads));
  strips_.reserve(projections_.capacity() + 1);
  units_.reserve(most(layers, n_kv_heads) + most(layers, n_query_heads));
  paths_.reserve(most(layers, n_paths));
  outputs_.reserve(most(layers, n_outputs));
}

Result<bool> AttentionBlock::run(const LayerConfig& shape, const LayerWeights& layer, const LayerCache& cache, const Batch& batch,
                                 const ActivationRows& input, bool columns, Join& join, float* residual) {
  lay_out(layer);
  Call call{shape, layer, cache, batch, input, false, {}};
  if (context_.config.qk_norm_joint) {
    COLONNADE_TRY(project_jointly(call, join));
    call.projected = true;
  }
  const bool by_blocks = !columns && outputs_are_turned(batch.n_tokens());
  call.sums = {join.contribution(), by_blocks ? residual : nullptr};
  if (columns) {
    run_columns(call);
  } else {
    run_rows(call);
  }
  if (context_.tap != nullptr) show(call);
  return call.sums.residual != nullptr;
}

void AttentionBlock::show(const Call& call) const {
  const int n_tokens = call.batch.n_tokens();
  for (const Projection& projection : projections_)
    context_.tap->multiplied(*projection.matrix, call.input.view(0), n_tokens);
  for (std::size_t o = 0; o < outputs_.size(); ++o)
    context_.tap->multiplied(*outputs_[o], attended_.view(output_row(o, 0)), n_tokens);
}

void AttentionBlock::lay_out(const LayerWeights& layer) {
  projections_.clear();
  strips_.assign(1, 0);
  units_.clear();
  paths_.clear();
  outputs_.clear();
  const auto add = [&](const MatrixView& matrix) {
    projections_.push_back({&matrix, projections_.size() * padded_head_});
    strips_.push_back(strips_.back() + matrix.n_strips());
  };
  for (const AttentionPath& path : layer.attention) {
    const std::size_t p = paths_.size();
    const std::size_t first_query = projections_.size() + 2 * path.key.size();
    paths_.push_back({units_.size(), path.key.size() + path.query.size(), first_query * padded_head_, outputs_.size()});
    for (const MatrixView& output : path.output) outputs_.push_back(&output);
    const bool joint = context_.config.qk_norm_joint;
    const auto norm_of = [&](const float* norm, int of_head) {
      return norm == nullptr || !joint ? norm : norm + static_cast<std::size_t>(of_head) * context_.head_dim();
    };
    for (std::size_t k = 0; k < path.key.size(); ++k) {
      units_.push_back({p, k, projections_.size(), 2, path.key_bias.empty() ? nullptr : path.key_bias[k],
                        norm_of(layer.key_norm, path.kv_head + static_cast<int>(k))});
      add(path.key[k]);
      add(path.value[k]);
    }
    for (std::size_t h = 0; h < path.query.size(); ++h) {
      units_.push_back({p, h, projections_.size(), 1, path.query_bias.empty() ? nullptr : path.query_bias[h],
                        norm_of(layer.query_norm, path.first_head + static_cast<int>(h))});
      add(path.query[h]);
    }
  }
}

void AttentionBlock::project(const Call& call, std::size_t first, std::size_t last, int thread) {
  const auto for_each_part = [&](bool wide, const auto& work) {
    for (std::size_t i = 0; i < projections_.size(); ++i) {
      const std::size_t begin = std::max<std::size_t>(first, strips_[i]), end = std::min<std::size_t>(last, strips_[i + 1]);
      if (begin < end && wanted_by(*projections_[i].matrix).wide == wide) work(projections_[i], begin - strips_[i], end - strips_[i]);
    }
  };
  const int n_tokens = call.batch.n_tokens();
  const auto project_rows = [&](const Projection& projection, std::size_t begin, std::size_t end) {
    multiply(context_.kernels, *projection.matrix, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), call.input.view(0), n_tokens,
             projected_.data() + projection.column, projected_stride_);
  };
  for_each_part(false, project_rows);
  if (!context_.by_blocks(n_tokens)) return for_each_part(true, project_rows);
  for_each_tile(0, 1, 1, n_tokens, true, [&](const ProductTile& tokens) {
    // A head has few strips: those of several together share what is read of the tokens.
    TurnedHeads heads;
    for_each_part(true, [&](const Projection& projection, std::size_t begin, std::size_t end) {
      for (std::size_t s = begin; s < end;) {
        const std::size_t after = std::min<std::size_t>(s + kWideTileStrips, end);
        if (!heads.takes(*projection.matrix, after - s)) project_turned(call, heads, tokens, thread);
        heads.add(projection, static_cast<std::uint32_t>(s), static_cast<std::uint32_t>(after));
        s = after;
      }
    });
    project_turned(call, heads, tokens, thread);
  });
}

void AttentionBlock::project_turned(const Call& call, TurnedHeads& heads, const ProductTile& tokens, int thread) {
  const std::size_t row = static_cast<std::size_t>(tokens.first_token), block = row / kTurnedTokens;
  const bool is_last = tokens.end_token == call.batch.n_tokens();
  float* columns = part_[static_cast<std::size_t>(thread)].data();
  multiply_turned(context_.kernels, heads.strips(), call.input.turned(block), call.input.turned(is_last ? block : block + 1),
                  tokens.n_tokens(), columns);
  for (std::size_t i = 0; i < heads.strips().size(); ++i) {
    const StripRange& strips = heads.strips()[i];
    const std::size_t n_columns = std::size_t{strips.last - strips.first} * kStripRows;
    context_.kernels.turn_back(columns, n_columns, tokens.n_tokens(),
                               projected_.data() + row * projected_stride_ + heads.column(i) + strips.first * kStripRows, projected_stride_);
    columns += n_columns * kTurnedTokens;
  }
  heads.clear();
}

Status AttentionBlock::project_jointly(const Call& call, Join& join) {
  const auto n_tokens = static_cast<std::size_t>(call.batch.n_tokens());
  context_.team.run([&](int thread) {
    const Range strips = part_of(strips_.back(), thread, context_.team.size());
    project(call, strips.begin, strips.end, thread);
    context_.team.barrier();
    const Range tokens = part_of(n_tokens, thread, context_.team.size());
    for (std::size_t t = tokens.begin; t < tokens.end; ++t)
      for (const Unit& unit : units_) add_bias(unit, static_cast<int>(t));
  });
  auto* const squares = reinterpret_cast<float*>(factors_.data());  // (n_tokens, 2)
  float* const own = join.contribution();
  std::memset(squares, 0, n_tokens * sizeof(NormFactors));
  std::memset(own, 0, n_tokens * sizeof(NormFactors));
  for (const Unit& unit : units_) {
    // Of ranks that share a KV head, the one with its first query head counts the key.
    const AttentionPath& path = call.layer.attention[unit.path];
    if (unit.is_key() && path.first_head % context_.config.query_heads_per_kv() != 0) continue;
    for (std::size_t t = 0; t < n_tokens; ++t) {
      const float* const head = first_row(unit, static_cast<int>(t));
      own[2 * t + (unit.is_key() ? 1 : 0)] += context_.kernels.dot(head, head, context_.head_dim());
    }
  }
  COLONNADE_TRY(join.reduce(squares, 2 * n_tokens, context_.team));
  const auto factor = [&](float sum, int width) {
    return 1.0f / std::sqrt(sum / static_cast<float>(width) + context_.config.norm_eps);
  };
  for (std::size_t t = 0; t < n_tokens; ++t)
    factors_[t] = {factor(squares[2 * t], context_.config.query_norm_dim()),
                   factor(squares[2 * t + 1], context_.config.key_norm_dim())};
  return {};
}

void AttentionBlock::add_bias(const Unit& unit, int token) {
  if (unit.bias != nullptr) context_.kernels.add(first_row(unit, token), unit.bias, context_.head_dim());
}

void AttentionBlock::finish_unit(const Call& call, const Unit& unit, int first, int last) {
  for (int t = first; t < last; ++t) finish_row(call, unit, t);
  if (unit.is_key()) store_keys(call, unit, first, last);
}

void AttentionBlock::finish_row(const Call& call, const Unit& unit, int token) {
  const KernelTable& kernels = context_.kernels;
  const Batch& batch = call.batch;
  const std::size_t head_dim = context_.head_dim();
  float* const head = first_row(unit, token);
  if (call.projected) {
    const NormFactors& factors = factors_[static_cast<std::size_t>(token)];
    kernels.scale_by(head, unit.norm, unit.is_key() ? factors.key : factors.query, head_dim);
  } else {
    add_bias(unit, token);
    if (unit.norm != nullptr) kernels.rms_norm(head, unit.norm, context_.config.norm_eps, head_dim, head);
  }
  const int rope = call.shape.rope;
  if (rope >= 0 && context_.config.qk_unit_norm) {
    const float mean = kernels.dot(head, head, head_dim) / static_cast<float>(head_dim);
    kernels.scale(head, 1.0f / std::sqrt(mean + context_.config.norm_eps), head_dim);
  }
  if (rope < 0 && context_.config.query_growth != 0.0f && !unit.is_key())
    kernels.scale(head, query_growth(context_.config, batch.position(token)), head_dim);
  if (rope >= 0) kernels.rope(head, batch.cosine(rope, token), batch.sine(rope, token), batch.n_pairs(rope));
  const AttentionPath& path = call.layer.attention[unit.path];
  if (unit.is_key() && !path.value_bias.empty()) kernels.add(head + padded_head_, path.value_bias[unit.head], head_dim);
}

void AttentionBlock::store_keys(const Call& call, const Unit& unit, int first, int last) {
  const auto type = static_cast<std::size_t>(context_.kv_type);
  const int head_dim = context_.config.head_dim;
  std::byte* const blocks = call.cache.slot(call.layer.attention[unit.path].kv_slot + static_cast<int>(unit.head));
  const auto page_of = [&](int token) { return call.batch.pages(token, call.cache.group).page_of(call.batch.position(token)); };
  for (int t = first; t < last;) {
    const float* const key = first_row(unit, t);
    const int position = call.batch.position(t);
    const std::int32_t page = page_of(t);
    std::byte* const block = blocks + static_cast<std::size_t>(page) * call.cache.block_bytes;
    // A sequence's tokens follow each other, and a page is one sequence's.
    const int end = t + kStoredTogether - 1;
    const bool together = position % kStoredTogether == 0 && end < last && call.batch.position(end) == position + kStoredTogether - 1 && page_of(end) == page;
    if (together) context_.kernels.store_kv_positions[type](key, key + padded_head_, projected_stride_, head_dim, position % kPageTokens, block);
    else context_.kernels.store_kv[type](key, key + padded_head_, head_dim, position % kPageTokens, block);
    t += together ? kStoredTogether : 1;
  }
}

CacheLayout AttentionBlock::cache_layout(const Call& call) const {
  return {call.cache.block_bytes, projected_stride_, padded_head_, attended_.stride(),
          static_cast<std::size_t>(context_.max_tokens) * attended_.stride(), context_.config.output_heads, call.shape.window_tokens,
          call.shape.window_chunks,
          context_.config.encoder,
          0,
          call.cache.group};
}

QueryBlock AttentionBlock::query_block(const Call& call, std::size_t p, std::size_t kv_head) {
  const AttentionPath& path = call.layer.attention[p];
  const std::size_t n_heads = path.query.size() / path.key.size(), first = kv_head * n_heads;
  return {call.cache.slot(path.kv_slot + static_cast<int>(kv_head)), projected_.data() + paths_[p].query + first * padded_head_,
          attended_.row(output_row(paths_[p].first_output, 0)) + first * context_.head_dim(),
          path.sinks == nullptr ? nullptr : path.sinks + first, static_cast<int>(n_heads), 0, call.batch.n_tokens(), p};
}

void AttentionBlock::quantize_attended(const MatrixView& output, std::size_t local_output, std::size_t token) {
  attended_.quantize(context_.kernels, output_row(local_output, token), 0, output.cols, wanted_by(output));
}

void AttentionBlock::run_columns(const Call& call) {
  const LayerWeights& layer = call.layer;
  const int n_tokens = call.batch.n_tokens();
  const auto slot_of = [&](std::size_t path) {
    return slots_.data() + path * static_cast<std::size_t>(kMaxColumnTokens) * padded_dim_;
  };
  const auto do_paths = [&](int thread) {
    const Range share = part_of(strips_.back(), thread, context_.team.size());
    for (std::size_t p = 0; p < layer.attention.size(); ++p) {
      const AttentionPath& path = layer.attention[p];
      const std::span units(units_.data() + paths_[p].first_unit, paths_[p].n_units);
      const std::size_t first = strips_[units.front().first_projection];
      const std::size_t last = strips_[units.back().first_projection + units.back().n_projections];
      // A path belongs to the core in whose share its middle falls.
      if (const std::size_t middle = (first + last) / 2; middle < share.begin || middle >= share.end) continue;
      if (!call.projected) project(call, first, last, thread);
      for (const Unit& unit : units)
        finish_unit(call, unit, 0, n_tokens);
      for (std::size_t k = 0; k < path.key.size(); ++k)
        cache_attention_.for_each_block(call.batch, query_block(call, p, k), [&](const QueryBlock& block) {
          cache_attention_.attend(cache_layout(call), call.batch, block, thread);
        });
      float* const slot = slot_of(p);
      float* const part = part_[static_cast<std::size_t>(thread)].data();
      const std::size_t count = static_cast<std::size_t>(n_tokens) * padded_dim_;
      for (std::size_t o = 0; o < path.output.size(); ++o) {
        const std::size_t local = paths_[p].first_output + o;
        for (std::size_t t = 0; t < static_cast<std::size_t>(n_tokens); ++t) quantize_attended(path.output[o], local, t);
        multiply(context_.kernels, path.output[o], 0, path.output[o].n_strips(), attended_.view(output_row(local, 0)), n_tokens,
                 o == 0 ? slot : part, padded_dim_);
        if (o != 0) context_.kernels.add(slot, part, count);
      }
    }
  };
  context_.team.run([&](int thread) {
    do_paths(thread);
    context_.team.barrier();
    const Range range = part_of(context_.dim(), thread, context_.team.size(), kStripRows);
    const std::size_t count = range.end - range.begin;
    if (count == 0) return;
    for (int t = 0; t < n_tokens; ++t) {
      float* const sum = call.sums.contribution + static_cast<std::size_t>(t) * context_.dim() + range.begin;
      std::memset(sum, 0, count * sizeof(float));
      for (std::size_t p = 0; p < layer.attention.size(); ++p)
        context_.kernels.add(sum, slot_of(p) + static_cast<std::size_t>(t) * padded_dim_ + range.begin, count);
    }
  });
}

void AttentionBlock::project_rows(const Call& call, int thread) {
  const int n_tokens = call.batch.n_tokens();
  const int n_threads = context_.team.size();
  const Range share = part_of(strips_.back(), thread, n_threads);
  if (n_threads == 1 || units_.size() >= kUnitsPerThread * static_cast<std::size_t>(n_threads)) {
    for (const Unit& unit : units_) {
      // A unit belongs to the core in whose share its middle falls.
      const std::size_t first = strips_[unit.first_projection], last = strips_[unit.first_projection + unit.n_projections];
      if (const std::size_t middle = (first + last) / 2; middle < share.begin || middle >= share.end) continue;
      if (!call.projected) project(call, first, last, thread);
      finish_unit(call, unit, 0, n_tokens);
    }
    return;
  }
  if (!call.projected) project(call, share.begin, share.end, thread);
  context_.team.barrier();
  const auto tokens = static_cast<std::size_t>(n_tokens);
  const Range finished = part_of(units_.size() * tokens, thread, n_threads);
  for (std::size_t i = finished.begin; i < finished.end;) {
    const std::size_t unit = i / tokens, end = std::min(finished.end, (unit + 1) * tokens);
    finish_unit(call, units_[unit], static_cast<int>(i % tokens), static_cast<int>(end - unit * tokens));
    i = end;
  }
}

bool AttentionBlock::outputs_are_turned(int n_tokens) const {
  return context_.by_blocks(n_tokens) &&
         std::all_of(outputs_.begin(), outputs_.end(), [](const MatrixView* output) { return wanted_by(*output).wide; });
}

void AttentionBlock::run_rows(const Call& call) {
  const CacheLayout layout = cache_layout(call);
  const auto n_tokens = static_cast<std::size_t>(call.batch.n_tokens());
  const bool turned = outputs_are_turned(call.batch.n_tokens());
  cache_attention_.clear();
  for (std::size_t p = 0; p < paths_.size(); ++p)
    for (std::size_t k = 0; k < call.layer.attention[p].key.size(); ++k) cache_attention_.add(call.batch, query_block(call, p, k));
  cache_attention_.begin(layout, call.batch);
  context_.team.run([&](int thread) {
    project_rows(call, thread);
    context_.team.barrier();
    cache_attention_.work(layout, call.batch, thread, [](const QueryBlock&) {});
    context_.team.barrier();
    const std::size_t units = turned ? n_token_blocks(call.batch.n_tokens()) : n_tokens;  // of each output
    const Range attended = part_of(outputs_.size() * units, thread, context_.team.size());
    for (std::size_t i = attended.begin; i < attended.end; ++i) {
      if (turned) quantize_block(call, i / units, i % units);
      else quantize_attended(*outputs_[i / units], i / units, i % units);
    }
    context_.team.barrier();
    const Range strips = part_of(padded_dim_ / kStripRows, thread, context_.team.size());
    const int all_tokens = call.batch.n_tokens();
    for_each_tile(static_cast<std::uint32_t>(strips.begin), static_cast<std::uint32_t>(strips.end), sum_tile_strips(all_tokens), all_tokens, turned,
                  [&](const ProductTile& tile) {
                    if (turned) output_turned(call, tile, thread);
                    else output_tile(call, tile, thread);
                  });
  });
}

void AttentionBlock::quantize_block(const Call& call, std::size_t local_output, std::size_t block) {
  const MatrixView& output = *outputs_[local_output];
  const auto n_tokens = static_cast<std::size_t>(call.batch.n_tokens());
  const std::size_t first = block * kTurnedTokens, last = std::min(first + kTurnedTokens, n_tokens);
  for (std::size_t t = first; t < last; ++t) quantize_attended(output, local_output, t);
  for (std::size_t group = 0; group < div_up(std::size_t{output.cols}, kWideGroup); ++group)
    attended_.turn(context_.kernels, output_row(local_output, first), last - first, group, output_block(local_output, block), wanted_by(output));
}

void AttentionBlock::output_turned(const Call& call, const ProductTile& tile, int thread) {
  const KernelTable& kernels = context_.kernels;
  float* const part = part_[static_cast<std::size_t>(thread)].data();
  float* const path_sum = path_sum_[static_cast<std::size_t>(thread)].data();
  float* const sum = sum_[static_cast<std::size_t>(thread)].data();
  const std::size_t floats = tile.columns() * kTurnedTokens;
  if (paths_.empty()) std::memset(sum, 0, floats * sizeof(float));
  const std::size_t block = static_cast<std::size_t>(tile.first_token) / kTurnedTokens;
  for (std::size_t p = 0; p < paths_.size(); ++p) {
    const std::span<const MatrixView> outputs = call.layer.attention[p].output;
    float* const to = p == 0 ? sum : path_sum;
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const std::size_t local = paths_[p].first_output + o;
      const StripRange strips{&outputs[o], tile.first, tile.end};
      const TurnedGroup* const heads = attended_.turned(output_block(local, block));
      const TurnedGroup* const next = local + 1 < outputs_.size() ? attended_.turned(output_block(local + 1, block)) : nullptr;
      if (p != 0 && outputs.size() == 1) add_turned(kernels, strips, heads, next, tile.n_tokens(), sum, part);
      else if (o == 0) multiply_turned(kernels, {&strips, 1}, heads, next, tile.n_tokens(), to);
      else add_turned(kernels, strips, heads, next, tile.n_tokens(), to, part);
    }
    if (p != 0 && outputs.size() != 1) kernels.add(sum, path_sum, floats);
  }
  turn_back_tile(kernels, tile, sum, part, context_.dim(), call.sums);
}

void AttentionBlock::output_tile(const Call& call, const ProductTile& tile, int thread) {
  const std::uint32_t first = tile.first, last = tile.end;
  const int n_tokens = tile.n_tokens();
  float* const part = part_[static_cast<std::size_t>(thread)].data();
  float* const path_sum = path_sum_[static_cast<std::size_t>(thread)].data();
  float* const sum = sum_[static_cast<std::size_t>(thread)].data();
  const std::size_t width = tile.columns();
  const std::size_t floats = static_cast<std::size_t>(n_tokens) * width;
  if (paths_.empty()) std::memset(sum, 0, floats * sizeof(float));
  for (std::size_t p = 0; p < paths_.size(); ++p) {
    const AttentionPath& path = call.layer.attention[p];
    float* const to = p == 0 ? sum : path_sum;
    for (std::size_t o = 0; o < path.output.size(); ++o) {
      const Activations heads = attended_.view(output_row(paths_[p].first_output + o, static_cast<std::size_t>(tile.first_token)));
      if (o == 0) multiply_tile(context_.kernels, path.output[o], first, last, heads, n_tokens, to, width);
      else add_tile(context_.kernels, path.output[o], first, last, heads, n_tokens, to, part);
    }
    if (p != 0) context_.kernels.add(sum, path_sum, floats);
  }
  const std::size_t begin = first * kStripRows;
  const std::size_t count = std::min<std::size_t>(width, context_.dim() - begin);
  for (int t = 0; t < n_tokens; ++t)
    std::memcpy(call.sums.contribution + static_cast<std::size_t>(tile.first_token + t) * context_.dim() + begin,
                sum + static_cast<std::size_t>(t) * width, count * sizeof(float));
}

}  // namespace colonnade::engine
