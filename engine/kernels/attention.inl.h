// Attention over one run of paged keys and values: all scores of the run, one softmax, then the weighted values. Runs are
// combined in ascending order, so a result does not depend on how much is in the cache, on who else is in the batch or
// on how many cores share the runs.
//
// Order of additions: a score is one chain over ascending dimensions; the weights of a run are added in 16 lanes (lane =
// position % 16) over ascending positions, then in the fixed tree; a value is one chain over ascending positions.
#pragma once

#include "engine/kernels/activation_functions.inl.h"
#include "engine/kernels/elementwise.inl.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/vector_math.inl.h"

namespace colonnade::engine {

template <class V>
struct KvF32 {
  using Element = float;
  static constexpr bool kScaled = false, kScaledScores = false;
  [[gnu::always_inline]] static inline typename V::F load(const float* p) { return V::load(p); }
};

template <class V>
struct KvBf16 {
  using Element = std::uint16_t;
  static constexpr bool kScaled = false, kScaledScores = false;
  [[gnu::always_inline]] static inline typename V::F load(const std::uint16_t* p) { return V::load_bf16(p); }
};

template <class V>
struct KvInt8 {
  using Element = std::int8_t;
  static constexpr bool kScaled = true, kScaledScores = true;  // scores are to be multiplied by the scale of their key
  [[gnu::always_inline]] static inline typename V::F load(const std::int8_t* p) { return V::load_int8(p); }
};

/// Queries that one walk over the run serves: their scores take 16 KiB, and with the pages' keys stay in L1.
inline constexpr int kWalkQueries = 16;
/// What is on its way from memory: about 30 GB/s times 250 ns (measured: 8 KiB is better than 4 or 12).
inline constexpr int kBytesAhead = 8192;
inline constexpr int kRunPages = kRunTokens / kPageTokens;
/// Values that groups of queries share out of L1, beside the scores.
inline constexpr int kStepBytes = 16384;

/// The pages of a run that the queries of a walk see.
template <class Element>
struct Run {
  int first_page, n_pages;  // of the page table
  int pages_ahead;          // whose lines are fetched: 1 … kRunPages
  std::size_t head_dim, value_stride;
  const Element* blocks[kRunPages];
  /// What is read, in its order: the keys of each page, the values of each, then the keys of what follows this run.
  /// While one page is read the lines of a later one are fetched.
  const Element* stream[4 * kRunPages];

  int first_position() const { return first_page * kPageTokens; }
  const Element* values(int page) const { return stream[n_pages + page]; }
  const float* scales(int page) const {
    return reinterpret_cast<const float*>(blocks[page] + kPageTokens * (head_dim + value_stride));
  }
};

/// How many sums of a query there are registers for: a power of two, at most `most`.
constexpr int sums_each(int registers, int most) { return most > 1 && most > registers ? sums_each(registers, most / 2) : most; }

/// Scores of H times 16 positions for Q queries, before any scale.
template <class V, class Kv, int Q, int H>
[[gnu::always_inline]] inline void score_halves(const Run<typename Kv::Element>& run, const RunQuery* queries, int half,
                                                float (*scores)[kRunTokens]) {
  using F = typename V::F;
  using Element = typename Kv::Element;
  constexpr int kPages = H > 1 ? H / 2 : 1;
  constexpr std::size_t kLine = 64 / sizeof(Element);
  constexpr std::size_t kDims = kLine > kPageTokens ? kLine / kPageTokens : 1;  // of a cache line
  F acc[Q][H];
  for (int q = 0; q < Q; ++q) {
    for (int h = 0; h < H; ++h) acc[q][h] = V::zero();
  }
  const Element* keys[H];
  for (int h = 0; h < H; ++h) keys[h] = run.blocks[(half + h) / 2] + (half + h) % 2 * 16;
  const Element* ahead[kPages];
  for (int i = 0; i < kPages; ++i) ahead[i] = run.stream[half / 2 + i + (run.pages_ahead > kPages ? run.pages_ahead : kPages)];
  const auto add_dim = [&](std::size_t d) __attribute__((always_inline)) {
    F key[H];
    for (int h = 0; h < H; ++h) key[h] = Kv::load(keys[h] + d * kPageTokens);
    for (int q = 0; q < Q; ++q) {
      const F query = V::set(queries[q].query[d]);
      for (int h = 0; h < H; ++h) acc[q][h] = V::fma(query, key[h], acc[q][h]);
    }
  };
  std::size_t d = 0;
  for (; d + kDims <= run.head_dim; d += kDims) {
    for (int i = 0; i < kPages; ++i) {
      for (std::size_t at = 0; at < kDims * kPageTokens; at += kLine) __builtin_prefetch(ahead[i] + d * kPageTokens + at);
    }
    for (std::size_t i = 0; i < kDims; ++i) add_dim(d + i);
  }
  for (; d < run.head_dim; ++d) add_dim(d);
  for (int q = 0; q < Q; ++q) {
    for (int h = 0; h < H; ++h) V::store(scores[q] + (half + h) * 16, acc[q][h]);
  }
}

/// Scores of pages [page, end) of the run.
template <class V, class Kv, int Q>
void score_pages(const Run<typename Kv::Element>& run, const RunQuery* queries, int page, int end, float (*scores)[kRunTokens]) {
  // Eight sums hide the latency of their additions where there are registers for them; of four queries sixteen are faster,
  // because each broadcast serves more of them.
  constexpr int kHalves = sums_each(V::kAttendSums / Q, Q > 1 ? 4 : 8);
  int half = 2 * page;
  for (; half + kHalves <= 2 * end; half += kHalves) score_halves<V, Kv, Q, kHalves>(run, queries, half, scores);
  constexpr int kRest = kHalves > 2 ? 2 : 1;
  for (; half < 2 * end; half += kRest) score_halves<V, Kv, Q, kRest>(run, queries, half, scores);
}

/// Lanes of a half of the run that lie in positions [begin, end) of it.
[[gnu::always_inline]] inline unsigned lanes_within(int half, int begin, int end) {
  const int from = begin - half * 16, to = end - half * 16;
  if (to <= 0 || from >= 16) return 0u;
  return (to >= 16 ? 0xffffu : (1u << to) - 1u) & (from > 0 ? 0xffffu << from : 0xffffu);
}

/// Gives a query's scores their scale and cap, -infinity outside of its positions, and finds the largest.
template <class V, class Kv, bool Capped>
[[gnu::always_inline]] inline void finish_scores(const Run<typename Kv::Element>& run, float scale, float soft_cap, RunQuery& query,
                                                 float* scores) {
  using F = typename V::F;
  const int begin = query.first - run.first_position(), end = query.last + 1 - run.first_position();
  const F lowest = V::set(-__builtin_inff());
  F largest = lowest;
  const auto finish_half = [&](int half, unsigned counted) __attribute__((always_inline)) {
    F score = V::mul(V::load(scores + half * 16), V::set(scale));
    if constexpr (Kv::kScaledScores) score = V::mul(score, V::load(run.scales(half / 2) + half % 2 * 16));
    if constexpr (Capped) score = soft_capped<V>(score, soft_cap);
    // What lies in slots that do not count may be anything, NaN too: it is replaced, not multiplied.
    if (counted != 0xffffu) score = V::select(counted, score, lowest);
    V::store(scores + half * 16, score);
    largest = V::max(largest, score);
  };
  int half = begin / 16;
  if (begin % 16 != 0 || end < begin + 16) {
    finish_half(half, lanes_within(half, begin, end));
    ++half;
  }
  for (; half < end / 16; ++half) finish_half(half, 0xffffu);
  if (half * 16 < end) finish_half(half, lanes_within(half, begin, end));
  query.largest = V::largest(largest);
}

/// Turns a query's scores into weights; those outside of its positions become 0.
template <class V, class Kv>
[[gnu::always_inline]] inline void weigh(const Run<typename Kv::Element>& run, RunQuery& query, float* scores) {
  using F = typename V::F;
  const int begin = query.first - run.first_position(), end = query.last + 1 - run.first_position();
  const F offset = V::set(query.largest);
  F total = V::zero();
  const auto weigh_halves = [&](int half, auto count) __attribute__((always_inline)) {
    constexpr int N = count();
    F weights[N];
    // No score is above the largest.
    for (int i = 0; i < N; ++i) weights[i] = V::max(V::set(-105.0f), V::sub(V::load(scores + (half + i) * 16), offset));
    exps_within<V, N>(weights);
    for (int i = 0; i < N; ++i) {
      total = V::add(total, weights[i]);
      // Outside of the query's positions the product may be anything; it is not looked at.
      if constexpr (Kv::kScaled) weights[i] = V::mul(weights[i], V::load(run.scales((half + i) / 2) + kPageTokens + (half + i) % 2 * 16));
      V::store(scores + (half + i) * 16, weights[i]);
    }
  };
  int half = begin / 16;
  for (; half + V::kMathVectors <= (end + 15) / 16; half += V::kMathVectors) weigh_halves(half, std::integral_constant<int, V::kMathVectors>{});
  if constexpr (V::kMathVectors > 1) {
    for (; half * 16 < end; ++half) weigh_halves(half, std::integral_constant<int, 1>{});
  }
  query.total = V::sum(total);
}

/// Turns the scores of all queries of a walk into weights: in two rounds, so that none waits for its own largest score.
template <class V, class Kv>
void weigh_all(const Run<typename Kv::Element>& run, const AttendArgs& args, RunQuery* queries, int n_queries, float (*scores)[kRunTokens]) {
  if (args.soft_cap != 0.0f) {
    for (int q = 0; q < n_queries; ++q) finish_scores<V, Kv, true>(run, args.scale, args.soft_cap, queries[q], scores[q]);
  } else {
    for (int q = 0; q < n_queries; ++q) finish_scores<V, Kv, false>(run, args.scale, 0.0f, queries[q], scores[q]);
  }
  for (int q = 0; q < n_queries; ++q) weigh<V, Kv>(run, queries[q], scores[q]);
}

/// Adds the weighted values of positions [begin, end) of the run for Q queries: D * 16 of the `width` dimensions from
/// `chunk` on, from `dim` on.
template <class V, class Kv, int Q, int D>
[[gnu::always_inline]] inline void add_values(const Run<typename Kv::Element>& run, int begin, int end, std::size_t chunk,
                                              std::size_t width, std::size_t dim, const RunQuery* queries,
                                              const float (*scores)[kRunTokens]) {
  using F = typename V::F;
  using Element = typename Kv::Element;
  F acc[Q][D];
  for (int q = 0; q < Q; ++q) {
    for (int i = 0; i < D; ++i) acc[q][i] = V::load(queries[q].sum + chunk + dim + 16 * i);
  }
  for (int position = begin; position < end;) {
    const int page = position / kPageTokens, slot = position % kPageTokens;
    const int page_end = (page + 1) * kPageTokens < end ? (page + 1) * kPageTokens : end;
    const std::size_t first = kPageTokens * chunk + static_cast<std::size_t>(slot) * width + dim;
    const Element* value = run.values(page) + first;
    const Element* ahead = run.stream[run.n_pages + page + run.pages_ahead] + first;
    for (; position < page_end; ++position, value += width, ahead += width) {
      for (std::size_t at = 0; at < D * 16; at += 64 / sizeof(Element)) __builtin_prefetch(ahead + at);
      F values[D];
      for (int i = 0; i < D; ++i) values[i] = Kv::load(value + 16 * i);
      for (int q = 0; q < Q; ++q) {
        const F weight = V::set(scores[q][position]);
        for (int i = 0; i < D; ++i) acc[q][i] = V::fma(weight, values[i], acc[q][i]);
      }
    }
  }
  for (int q = 0; q < Q; ++q) {
    for (int i = 0; i < D; ++i) V::store(queries[q].sum + chunk + dim + 16 * i, acc[q][i]);
  }
}

template <class V, class Kv, int Q>
void add_positions(const Run<typename Kv::Element>& run, int begin, int end, const RunQuery* queries,
                   const float (*scores)[kRunTokens]) {
  constexpr int kDims = sums_each(V::kAttendSums / Q, 4);
  for (std::size_t chunk = 0; chunk < run.value_stride; chunk += kValueChunk) {
    const std::size_t width = run.value_stride - chunk < kValueChunk ? run.value_stride - chunk : kValueChunk;
    std::size_t dim = 0;
    for (; dim + kDims * 16 <= width; dim += kDims * 16)
      add_values<V, Kv, Q, kDims>(run, begin, end, chunk, width, dim, queries, scores);
    if constexpr (kDims > 1) {
      for (; dim < width; dim += 16) add_values<V, Kv, Q, 1>(run, begin, end, chunk, width, dim, queries, scores);
    }
  }
}

/// Adds the values of pages [page, page_end) for Q queries: together those positions that all see, for each alone what lies
/// before and after.
template <class V, class Kv, int Q>
void add_pages(const Run<typename Kv::Element>& run, int page, int page_end, const RunQuery* queries,
               const float (*scores)[kRunTokens]) {
  const int low = page * kPageTokens, high = page_end * kPageTokens;
  int begin[Q], end[Q];
  int all_begin = low, all_end = high;
  for (int q = 0; q < Q; ++q) {
    const int first = queries[q].first - run.first_position(), after = queries[q].last + 1 - run.first_position();
    begin[q] = first > low ? first : low;
    end[q] = after < high ? after : high;
    all_begin = begin[q] > all_begin ? begin[q] : all_begin;
    all_end = end[q] < all_end ? end[q] : all_end;
  }
  const auto add_alone = [&](int q, int from, int to) __attribute__((always_inline)) {
    if (from < to) add_positions<V, Kv, 1>(run, from, to, queries + q, scores + q);
  };
  if constexpr (Q == 1) {
    add_alone(0, begin[0], end[0]);
  } else if (all_begin >= all_end) {
    for (int q = 0; q < Q; ++q) add_alone(q, begin[q], end[q]);
  } else {
    for (int q = 0; q < Q; ++q) add_alone(q, begin[q], all_begin);
    add_positions<V, Kv, Q>(run, all_begin, all_end, queries, scores);
    for (int q = 0; q < Q; ++q) add_alone(q, all_end, end[q]);
  }
}

/// Calls step(first query, number of them as a constant) for groups of as many queries as the registers allow.
template <class V, class Step>
[[gnu::always_inline]] inline void for_query_groups(int n_queries, const Step& step) {
  int query = 0;
  for (; query + V::kAttendQueries <= n_queries; query += V::kAttendQueries)
    step(query, std::integral_constant<int, V::kAttendQueries>{});
  if constexpr (V::kAttendQueries > 4) {
    for (; query + 4 <= n_queries; query += 4) step(query, std::integral_constant<int, 4>{});
  }
  if constexpr (V::kAttendQueries > 2) {
    for (; query + 2 <= n_queries; query += 2) step(query, std::integral_constant<int, 2>{});
  }
  if constexpr (V::kAttendQueries > 1) {
    for (; query < n_queries; ++query) step(query, std::integral_constant<int, 1>{});
  }
}

template <class V, template <class> class KvKind>
void attend_run(const AttendArgs& args) {
  using Kv = KvKind<V>;
  using Element = typename Kv::Element;
  alignas(64) float scores[kWalkQueries][kRunTokens];
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
    run.value_stride = kv_value_stride(args.head_dim);
    const int page_bytes = static_cast<int>(kPageTokens * run.head_dim * sizeof(Element));
    run.pages_ahead = kBytesAhead < page_bytes ? 1 : kBytesAhead / page_bytes < kRunPages ? kBytesAhead / page_bytes : kRunPages;
    const auto block_of = [&](int page) {
      return reinterpret_cast<const Element*>(args.blocks + static_cast<std::size_t>(args.pages[page - args.first_page]) * args.page_stride_bytes);
    };
    for (int p = 0; p < 2 * kRunPages; ++p) {
      if (p < run.n_pages) {
        run.blocks[p] = run.stream[p] = block_of(run.first_page + p);
        run.stream[run.n_pages + p] = run.blocks[p] + kPageTokens * run.head_dim;
      } else {
        const int next = run.first_page + p;
        run.stream[run.n_pages + p] = next * kPageTokens <= args.next_position ? block_of(next) : run.blocks[0];
      }
    }

    const auto fetch_queries = [&](int begin, int end) __attribute__((always_inline)) {
      for (int q = begin; q < end && q < n_queries; ++q)
        for (std::size_t dim = 0; dim < run.head_dim; dim += 16) __builtin_prefetch(queries[q].query + dim);
    };
    fetch_queries(0, V::kAttendQueries);
    // What several groups of queries need stays in L1 from one to the next.
    const int key_step = n_queries > 4 ? 2 : run.n_pages;
    for (int page = 0; page < run.n_pages; page += key_step) {
      const int end = page + key_step < run.n_pages ? page + key_step : run.n_pages;
      for_query_groups<V>(n_queries, [&](int q, auto count) __attribute__((always_inline)) {
        if (page == 0) {
          constexpr int N = count();
          // Meanwhile the next queries arrive, and the lines for these queries' sums, which another core may own.
          fetch_queries(q + N, q + N + V::kAttendQueries);
          for (int i = q; i < q + N; ++i)
            for (std::size_t dim = 0; dim < run.value_stride; dim += 16) V::prefetch_for_writing(queries[i].sum + dim);
        }
        score_pages<V, Kv, count()>(run, queries + q, page, end, scores + q);
      });
    }
    weigh_all<V, Kv>(run, args, queries, n_queries, scores);
    for (int q = 0; q < n_queries; ++q)
      for (std::size_t dim = 0; dim < run.value_stride; dim += 16) V::store(queries[q].sum + dim, V::zero());
    const int value_step = n_queries <= 4 || page_bytes > kStepBytes / 2 ? 1 : kStepBytes / page_bytes;
    for (int page = 0; page < run.n_pages; page += value_step) {
      const int end = page + value_step < run.n_pages ? page + value_step : run.n_pages;
      for_query_groups<V>(n_queries, [&](int q, auto count) __attribute__((always_inline)) {
        add_pages<V, Kv, count()>(run, page, end, queries + q, scores + q);
      });
    }
  }
}

template <class V>
void combine_runs(RunQuery& before, const RunQuery& next, std::size_t count) {
  using F = typename V::F;
  const float largest = before.largest > next.largest ? before.largest : next.largest;
  float factors[2][16];
  V::store(factors[0], exp_of<V>(V::set(before.largest - largest)));
  V::store(factors[1], exp_of<V>(V::set(next.largest - largest)));
  const F old = V::set(factors[0][0]), fresh = V::set(factors[1][0]);
  before.largest = largest;
  before.total = __builtin_fmaf(next.total, factors[1][0], before.total * factors[0][0]);
  for (std::size_t i = 0; i < count; i += 16)
    V::store(before.sum + i, V::fma(V::load(next.sum + i), fresh, V::mul(V::load(before.sum + i), old)));
}

}  // namespace colonnade::engine
