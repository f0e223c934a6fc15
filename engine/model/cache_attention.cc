#include "engine/model/cache_attention.h"

#include <algorithm>
#include <cmath>

#include "engine/base/units.h"

namespace colonnade::engine {
namespace {

/// With this many blocks for each core nobody waits long for the last one.
constexpr std::size_t kBlocksPerThread = 4;
/// Blocks that a thread takes at once, and how often at least each thread takes some: whoever ends last, ends soon after the others.
constexpr std::size_t kMostTogether = 8, kTakesPerThread = 64;

std::size_t n_queries(const QueryBlock& block) {
  return static_cast<std::size_t>(block.n_tokens) * static_cast<std::size_t>(block.n_heads);
}

int first_position(const CacheLayout& layout, int position) {
  if (layout.window_tokens == 0) return 0;
  if (layout.window_chunks) return position - position % layout.window_tokens;
  return std::max(0, position - layout.window_tokens + 1);
}

/// The last position that a token sees.
int last_position(const CacheLayout& layout, const Batch& batch, int token) {
  return batch.position(layout.whole_sequence ? batch.sequence_end(token) - 1 : token);
}

}  // namespace

CacheAttention::CacheAttention(const RankContext& context, std::size_t max_heads, std::size_t max_calls)
    : context_(context),
      row_(kv_value_stride(context.config.attended_dim())),
      max_queries_(std::max(max_heads, std::size_t{kBlockQueries})),
      max_shared_(kBlocksPerThread * static_cast<std::size_t>(context.team.size())),
      shared_(std::make_unique<Shared[]>(max_shared_)) {
  const auto n_threads = static_cast<std::size_t>(context.team.size());
  blocks_.reserve(max_calls * static_cast<std::size_t>(context.max_tokens));
  const auto with_sums = [&](std::vector<RunQuery>& queries, AlignedBuffer<float>& sums, std::size_t count) {
    queries.resize(count);
    sums = AlignedBuffer<float>(count * row_);
    for (std::size_t i = 0; i < count; ++i) queries[i].sum = sums.data() + i * row_;
  };
  const std::size_t positions = std::min(static_cast<std::size_t>(context.config.max_context_tokens),
                                         static_cast<std::size_t>(context.n_pages) * kPageTokens);
  if (n_threads > 1) with_sums(parts_, part_sums_, div_up(positions, std::size_t{kRunTokens}) * max_queries_);
  with_sums(own_parts_, own_sums_, n_threads * max_queries_);
  done_.resize(n_threads * max_queries_);
}

CacheAttention::Runs CacheAttention::runs_of(const CacheLayout& layout, const Batch& batch, const QueryBlock& block) const {
  const int last_token = block.first_token + block.n_tokens - 1;
  return {first_position(layout, batch.position(block.first_token)) / kRunTokens, last_position(layout, batch, last_token) / kRunTokens};
}

void CacheAttention::attend_run(const CacheLayout& layout, const Batch& batch, const QueryBlock& block, int run,
                                RunQuery* queries, int next_position) const {
  const int begin = run * kRunTokens, last = begin + kRunTokens - 1;
  RunQuery* first = nullptr;  // positions ascend with tokens, so the queries that see the run are neighbours
  int count = 0;
  for (int t = 0; t < block.n_tokens; ++t) {
    const int token = block.first_token + t, seen_to = last_position(layout, batch, token);
    const int seen_from = first_position(layout, batch.position(token));
    const bool sees = seen_to >= begin && seen_from <= last;
    const float* query = block.queries + static_cast<std::size_t>(token - layout.first_token) * layout.query_stride;
    for (int h = 0; h < block.n_heads; ++h, ++queries, query += layout.query_head_stride) {
      queries->total = 0.0f;
      if (!sees) continue;
      queries->query = query;
      queries->first = std::max(seen_from, begin);
      queries->last = std::min(seen_to, last);
      if (count++ == 0) first = queries;
    }
  }
  AttendArgs args;
  args.queries = first;
  args.n_queries = count;
  args.head_dim = context_.config.head_dim;
  args.value_dim = context_.config.attended_dim();
  args.scale = context_.attention_scale();
  args.soft_cap = context_.config.attention_soft_cap;
  const PageTable& table = batch.pages(block.first_token, layout.group);
  args.pages = table.pages;
  args.first_page = table.first_page;
  args.blocks = block.kv_blocks;
  args.page_stride_bytes = layout.block_bytes;
  args.next_position = next_position;
  const KernelTable& kernels = context_.kernels;
  (context_.config.latent.used() ? kernels.attend_latent : kernels.attend)[static_cast<std::size_t>(context_.kv_type)](args);
}

void CacheAttention::combine(RunQuery* before, const RunQuery* parts, std::size_t count) const {
  for (std::size_t q = 0; q < count; ++q) {
    if (parts[q].total == 0.0f) continue;
    if (before[q].total == 0.0f) {  // the first run that it sees
      std::copy_n(parts[q].sum, row_, before[q].sum);
      before[q].largest = parts[q].largest;
      before[q].total = parts[q].total;
    } else {
      context_.kernels.combine_runs(before[q], parts[q], row_);
    }
  }
}

RunQuery* CacheAttention::begin_block(const CacheLayout& layout, const QueryBlock& block, int thread) {
  RunQuery* const done = done_.data() + static_cast<std::size_t>(thread) * max_queries_;
  RunQuery* query = done;
  const auto attended = static_cast<std::size_t>(context_.config.attended_dim());
  for (int t = 0; t < block.n_tokens; ++t) {
    float* const out = block.out + static_cast<std::size_t>(block.first_token + t - layout.first_token) * layout.out_stride;
    for (int h = 0; h < block.n_heads; ++h, ++query) {
      query->sum = out + static_cast<std::size_t>(h / layout.out_heads) * layout.out_group_stride +
                   static_cast<std::size_t>(h % layout.out_heads) * attended;
      query->total = 0.0f;
    }
  }
  return done;
}

void CacheAttention::end_block(const QueryBlock& block, const RunQuery* done) const {
  for (std::size_t q = 0; q < n_queries(block); ++q) {
    float total = done[q].total;
    if (block.sinks != nullptr) total += std::exp(block.sinks[q % static_cast<std::size_t>(block.n_heads)] - done[q].largest);
    context_.kernels.scale(done[q].sum, 1.0f / total, row_);
  }
}

void CacheAttention::attend(const CacheLayout& layout, const Batch& batch, const QueryBlock& block, int thread) {
  RunQuery* const done = begin_block(layout, block, thread);
  RunQuery* const parts = own_parts_.data() + static_cast<std::size_t>(thread) * max_queries_;
  const Runs runs = runs_of(layout, batch, block);
  const int furthest = last_position(layout, batch, block.first_token + block.n_tokens - 1);
  for (int run = runs.first; run <= runs.last; ++run) {
    if (run == 0) {  // whoever sees it sees nothing before: no copy
      attend_run(layout, batch, block, run, done, furthest);
    } else {
      attend_run(layout, batch, block, run, parts, furthest);
      combine(done, parts, n_queries(block));
    }
  }
  end_block(block, done);
}

void CacheAttention::begin(const CacheLayout& layout, const Batch& batch) {
  next_block_ = 0;
  shares_runs_ = context_.team.size() > 1 && blocks_.size() <= max_shared_;
  std::size_t n_runs = 0;
  for (std::size_t b = 0; shares_runs_ && b < blocks_.size(); ++b) {
    shared_[b].runs = runs_of(layout, batch, blocks_[b]);
    n_runs += shared_[b].runs.count();
    if (shared_[b].runs.count() * n_queries(blocks_[b]) > parts_.size()) shares_runs_ = false;
  }
  if (n_runs == blocks_.size()) shares_runs_ = false;
  begin_wave();
}

void CacheAttention::begin_wave() {
  next_item_.store(0);
  if (!shares_runs_) {
    n_items_ = next_block_ = blocks_.size();
    grain_ = std::clamp(n_items_ / (kTakesPerThread * static_cast<std::size_t>(context_.team.size())), std::size_t{1}, kMostTogether);
    return;
  }
  n_items_ = 0;
  grain_ = 1;
  for (std::size_t part = 0; next_block_ < blocks_.size(); ++next_block_) {
    Shared& shared = shared_[next_block_];
    const std::size_t n_parts = shared.runs.count() * n_queries(blocks_[next_block_]);
    if (part + n_parts > parts_.size()) break;
    shared.first_part = part;
    shared.first_item = n_items_;
    shared.left.store(shared.runs.count());
    part += n_parts;
    n_items_ += shared.runs.count();
  }
}

const QueryBlock* CacheAttention::do_item(const CacheLayout& layout, const Batch& batch, std::size_t index, int thread) {
  if (!shares_runs_) {
    const QueryBlock& block = blocks_[blocks_.size() - 1 - index];  // later tokens look back further: longest first
    attend(layout, batch, block, thread);
    return &block;
  }
  std::size_t b = next_block_ - 1;
  while (index < shared_[b].first_item) --b;
  const QueryBlock& block = blocks_[b];
  Shared& shared = shared_[b];
  const std::size_t run = index - shared.first_item;
  RunQuery* const parts = parts_.data() + shared.first_part;
  attend_run(layout, batch, block, shared.runs.first + static_cast<int>(run), parts + run * n_queries(block), -1);
  if (shared.left.fetch_sub(1, std::memory_order_acq_rel) != 1) return nullptr;
  RunQuery* const done = begin_block(layout, block, thread);
  for (std::size_t r = 0; r < shared.runs.count(); ++r) combine(done, parts + r * n_queries(block), n_queries(block));
  end_block(block, done);
  return &block;
}

}  // namespace colonnade::engine
