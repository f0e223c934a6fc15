// Attention over one run of paged latents: keys and values of all heads are one row, whose first part is the value.
// Scores, softmax and runs as in attention.inl.h.
//
// Order of additions: a score is one chain over ascending dimensions; a value has 16 lanes (lane = position % 16) over
// ascending positions, then the fixed tree.
#pragma once

#include "engine/kernels/attention.inl.h"

namespace colonnade::engine {

/// The same elements, whose scores have their scales already.
template <class Kv>
struct LatentKind : Kv {
  static constexpr bool kScaledScores = false;
};

/// Scores of H times 16 positions for Q queries.
template <class V, class Kv, int Q, int H>
[[gnu::always_inline]] inline void score_latent_halves(const Run<typename Kv::Element>& run, std::size_t latent_dim,
                                                       const RunQuery* queries, int half, float (*scores)[kRunTokens]) {
  using F = typename V::F;
  using Element = typename Kv::Element;
  constexpr int kPages = H > 1 ? H / 2 : 1;
  constexpr std::size_t kLine = 64 / sizeof(Element);
  F acc[Q][H];
  for (int q = 0; q < Q; ++q) {
    for (int h = 0; h < H; ++h) acc[q][h] = V::zero();
  }
  const Element* rows[H];
  F rotated_scales[H], latent_scales[H];
  for (int h = 0; h < H; ++h) {
    const int page = (half + h) / 2, first = (half + h) % 2 * 16;
    rows[h] = run.blocks[page] + first;
    if constexpr (Kv::kScaled) {
      rotated_scales[h] = V::load(run.scales(page) + first);
      latent_scales[h] = V::load(run.scales(page) + kPageTokens + first);
    }
  }
  const Element* ahead[kPages];
  for (int i = 0; i < kPages; ++i) ahead[i] = run.stream[half / 2 + i + (run.pages_ahead > kPages ? run.pages_ahead : kPages)];
  const auto add_dim = [&](std::size_t d, auto load) __attribute__((always_inline)) {
    if (d * kPageTokens % kLine == 0) {
      for (int i = 0; i < kPages; ++i) {
        for (std::size_t at = 0; at < kPageTokens; at += kLine) __builtin_prefetch(ahead[i] + d * kPageTokens + at);
      }
    }
    F key[H];
    for (int h = 0; h < H; ++h) key[h] = load(h, rows[h] + d * kPageTokens);
    for (int q = 0; q < Q; ++q) {
      const F query = V::set(queries[q].query[d]);
      for (int h = 0; h < H; ++h) acc[q][h] = V::fma(query, key[h], acc[q][h]);
    }
  };
  for (std::size_t d = 0; d < latent_dim; ++d)
    add_dim(d, [](int, const Element* p) __attribute__((always_inline)) { return Kv::load(p); });
  if constexpr (Kv::kScaled) {
    for (int q = 0; q < Q; ++q) {
      for (int h = 0; h < H; ++h) acc[q][h] = V::mul(acc[q][h], latent_scales[h]);
    }
  }
  for (std::size_t d = latent_dim; d < run.head_dim; ++d) {
    add_dim(d, [&](int h, const Element* p) __attribute__((always_inline)) {
      if constexpr (Kv::kScaled) return V::mul(Kv::load(p), rotated_scales[h]);
      (void)h;
      return Kv::load(p);
    });
  }
  for (int q = 0; q < Q; ++q) {
    for (int h = 0; h < H; ++h) V::store(scores[q] + (half + h) * 16, acc[q][h]);
  }
}

template <class V, class Kv, int Q>
void score_latent_pages(const Run<typename Kv::Element>& run, std::size_t latent_dim, const RunQuery* queries, int page,
                        int end, float (*scores)[kRunTokens]) {
  constexpr int kSums = V::kAttendSums < 8 ? V::kAttendSums : 8;
  constexpr int kHalves = sums_each(kSums / Q, 8);
  int half = 2 * page;
  for (; half + kHalves <= 2 * end; half += kHalves)
    score_latent_halves<V, Kv, Q, kHalves>(run, latent_dim, queries, half, scores);
  constexpr int kRest = kHalves > 2 ? 2 : 1;
  for (; half < 2 * end; half += kRest) score_latent_halves<V, Kv, Q, kRest>(run, latent_dim, queries, half, scores);
}

/// Weighted sums of D dimensions from `dim` on for Q queries, over halves that hold positions [begin, end) of the run.
template <class V, class Kv, int Q, int D>
[[gnu::always_inline]] inline void sum_latent_dims(const Run<typename Kv::Element>& run, int begin, int end, std::size_t dim,
                                                   const RunQuery* queries, const float (*scores)[kRunTokens]) {
  using F = typename V::F;
  F acc[Q][D];
  for (int q = 0; q < Q; ++q) {
    for (int i = 0; i < D; ++i) acc[q][i] = V::zero();
  }
  const auto add_half = [&](int half, unsigned counted) __attribute__((always_inline)) {
    const typename Kv::Element* row = run.blocks[half / 2] + dim * kPageTokens + half % 2 * 16;
    F values[D];
    for (int i = 0; i < D; ++i) {
      values[i] = Kv::load(row + i * kPageTokens);
      // What no query sees may be anything, NaN too.
      if (counted != 0xffffu) values[i] = V::select(counted, values[i], V::zero());
    }
    for (int q = 0; q < Q; ++q) {
      const F weight = V::load(scores[q] + half * 16);
      for (int i = 0; i < D; ++i) acc[q][i] = V::fma(weight, values[i], acc[q][i]);
    }
  };
  int half = begin / 16;
  add_half(half, lanes_within(half, begin, end));
  for (++half; (half + 1) * 16 <= end; ++half) add_half(half, 0xffffu);
  if (half * 16 < end) add_half(half, lanes_within(half, begin, end));
  for (int q = 0; q < Q; ++q) {
    for (int i = 0; i < D; ++i) queries[q].sum[dim + static_cast<std::size_t>(i)] = V::sum(acc[q][i]);
  }
}

template <class V, class Kv, int Q>
void sum_latents(const Run<typename Kv::Element>& run, std::size_t latent_dim, const RunQuery* queries,
                 float (*scores)[kRunTokens]) {
  constexpr int kDims = sums_each(V::kAttendSums / Q, 4);
  const int first_position = run.first_position();
  int begin = queries[0].first - first_position, end = queries[0].last + 1 - first_position;
  for (int q = 1; q < Q; ++q) {
    const int from = queries[q].first - first_position, to = queries[q].last + 1 - first_position;
    begin = from < begin ? from : begin;
    end = to > end ? to : end;
  }
  for (int q = 0; q < Q; ++q) {
    const int from = queries[q].first - first_position, to = queries[q].last + 1 - first_position;
    for (int half = begin / 16; half * 16 < end; ++half) {
      const unsigned own = lanes_within(half, from, to);
      if (own == 0xffffu) continue;
      V::store(scores[q] + half * 16, V::select(own, V::load(scores[q] + half * 16), V::zero()));
    }
  }
  std::size_t dim = 0;
  for (; dim + kDims <= latent_dim; dim += kDims) sum_latent_dims<V, Kv, Q, kDims>(run, begin, end, dim, queries, scores);
  for (; dim < latent_dim; ++dim) sum_latent_dims<V, Kv, Q, 1>(run, begin, end, dim, queries, scores);
  for (int q = 0; q < Q; ++q) {
    for (std::size_t d = latent_dim; d < kv_value_stride(static_cast<int>(latent_dim)); ++d) queries[q].sum[d] = 0.0f;
  }
}

template <class V, template <class> class KvKind>
void attend_latent_run(const AttendArgs& args) {
  using Kv = LatentKind<KvKind<V>>;
  using Element = typename Kv::Element;
  alignas(64) float scores[kWalkQueries][kRunTokens];
  const auto latent_dim = static_cast<std::size_t>(args.value_dim);
  for (int walk = 0; walk < args.n_queries; walk += kWalkQueries) {
    RunQuery* const queries = args.queries + walk;
    const int n_queries = args.n_queries - walk < kWalkQueries ? args.n_queries - walk : kWalkQueries;
    int first = queries[0].first, last = queries[0].last;
    for (int q = 1; q < n_queries; ++q) {
      first = queries[q].first < first ? queries[q].first : first;
      last = queries[q].last > last ? queries[q].last : last;
    }
    Run<Element> run{};
    run.first_page = first / kPageTokens;
    run.n_pages = last / kPageTokens - run.first_page + 1;
    run.head_dim = static_cast<std::size_t>(args.head_dim);
    run.value_stride = 0;
    run.pages_ahead = 1;  // a page of latents is more than what is on its way from memory
    const auto block_of = [&](int page) {
      return reinterpret_cast<const Element*>(args.blocks + static_cast<std::size_t>(args.pages[page - args.first_page]) * args.page_stride_bytes);
    };
    for (int p = 0; p < 2 * kRunPages; ++p) {
      const int page = run.first_page + p;
      if (p < run.n_pages) run.blocks[p] = block_of(page);
      run.stream[p] = p < run.n_pages || page * kPageTokens <= args.next_position ? block_of(page) : run.blocks[0];
    }
    // Pages that several groups of queries need stay in the cache from one to the next.
    const int step = n_queries > 4 ? 1 : run.n_pages;
    for (int page = 0; page < run.n_pages; page += step) {
      const int end = page + step < run.n_pages ? page + step : run.n_pages;
      for_query_groups<V>(n_queries, [&](int q, auto count) __attribute__((always_inline)) {
        score_latent_pages<V, Kv, count()>(run, latent_dim, queries + q, page, end, scores + q);
      });
    }
    weigh_all<V, Kv>(run, args, queries, n_queries, scores);
    for_query_groups<V>(n_queries, [&](int q, auto count) __attribute__((always_inline)) {
      sum_latents<V, Kv, count()>(run, latent_dim, queries + q, scores + q);
    });
  }
}

}  // namespace colonnade::engine
