// Attention over paged keys and values: softmax page by page in ascending order, so that the result does not depend
// on how much is in the cache or on who else is in the batch.
#pragma once

#include "engine/kernels/kernels.h"
#include "engine/kernels/vector_math.inl.h"

namespace colonnade::engine {

template <class V>
struct KvF32 {
  using Element = float;
  [[gnu::always_inline]] static inline typename V::F load(const float* p) { return V::load(p); }
};

template <class V>
struct KvBf16 {
  using Element = std::uint16_t;
  [[gnu::always_inline]] static inline typename V::F load(const std::uint16_t* p) { return V::load_bf16(p); }
};

/// Query heads that one walk over the pages serves; more are served by further walks.
inline constexpr int kWalkQueries = 32;

/// The running softmax of the query heads of one walk.
struct SoftmaxState {
  alignas(64) float weights[kWalkQueries][kPageTokens];  // of the page's positions
  float largest[kWalkQueries];
  float total[kWalkQueries];
  float correction[kWalkQueries];  // factor for what was summed before this page
};

/// What is known of one page.
template <class Element>
struct PagePart {
  const Element* keys;    // (kPageTokens / 16, head_dim, 16)
  const Element* values;  // (kPageTokens, padded head_dim)
  int begin, end;         // slots that count
  bool is_first;
};

/// Scores of the page's 32 positions for Q query heads, and the step of the softmax. Order of additions of a score:
/// two chains, even and odd dimensions.
template <class V, class Kv, int Q>
[[gnu::always_inline]] inline void weigh_page(const AttendArgs& args, const PagePart<typename Kv::Element>& page,
                                              int first_query, SoftmaxState& state) {
  using F = typename V::F;
  const auto head_dim = static_cast<std::size_t>(args.head_dim);
  const float* queries = args.queries + static_cast<std::size_t>(first_query) * args.query_stride;
  F even[Q][2], odd[Q][2];
  for (int q = 0; q < Q; ++q) {
    for (int half = 0; half < 2; ++half) even[q][half] = odd[q][half] = V::zero();
  }
  const typename Kv::Element* lower = page.keys;
  const typename Kv::Element* upper = page.keys + head_dim * 16;
  std::size_t d = 0;
  for (; d + 2 <= head_dim; d += 2) {
    const F keys[2] = {Kv::load(lower + d * 16), Kv::load(upper + d * 16)};
    const F next_keys[2] = {Kv::load(lower + d * 16 + 16), Kv::load(upper + d * 16 + 16)};
    for (int q = 0; q < Q; ++q) {
      const float* query = queries + static_cast<std::size_t>(q) * args.query_stride + d;
      const F now = V::set(query[0]), next = V::set(query[1]);
      for (int half = 0; half < 2; ++half) {
        even[q][half] = V::fma(now, keys[half], even[q][half]);
        odd[q][half] = V::fma(next, next_keys[half], odd[q][half]);
      }
    }
  }
  if (d < head_dim) {
    for (int q = 0; q < Q; ++q) {
      const F now = V::set(queries[static_cast<std::size_t>(q) * args.query_stride + d]);
      even[q][0] = V::fma(now, Kv::load(lower + d * 16), even[q][0]);
      even[q][1] = V::fma(now, Kv::load(upper + d * 16), even[q][1]);
    }
  }

  const std::uint32_t counted = (page.end == 32 ? ~0u : (1u << page.end) - 1u) & (~0u << page.begin);
  const F lowest = V::set(-__builtin_inff());
  for (int q = 0; q < Q; ++q) {
    const int at = first_query + q;
    F scores[2];
    for (int half = 0; half < 2; ++half) {
      const F score = V::mul(V::add(even[q][half], odd[q][half]), V::set(args.scale));
      // What lies in slots that do not count may be anything, NaN too: it is replaced, not multiplied.
      scores[half] = V::select(counted >> (16 * half) & 0xffffu, score, lowest);
    }
    const float page_largest = V::largest(V::max(scores[0], scores[1]));
    const float before = page.is_first ? page_largest : state.largest[at];
    const float largest = before > page_largest ? before : page_largest;
    const F offset = V::set(largest);
    const F weights[2] = {exp_of<V>(V::sub(scores[0], offset)), exp_of<V>(V::sub(scores[1], offset))};
    float correction[16];
    V::store(correction, exp_of<V>(V::set(before - largest)));
    const float page_total = V::sum(V::add(weights[0], weights[1]));
    state.largest[at] = largest;
    state.correction[at] = correction[0];
    state.total[at] = page.is_first ? page_total : __builtin_fmaf(state.total[at], correction[0], page_total);
    V::store(state.weights[at], weights[0]);
    V::store(state.weights[at] + 16, weights[1]);
  }
}

/// Adds the page's weighted values of D * 16 dimensions for Q heads.
template <class V, class Kv, int Q, int D>
[[gnu::always_inline]] inline void add_values(const AttendArgs& args, const PagePart<typename Kv::Element>& page,
                                              int first_query, std::size_t dim, const SoftmaxState& state) {
  using F = typename V::F;
  const std::size_t row = (static_cast<std::size_t>(args.head_dim) + 15) / 16 * 16;
  float* out = args.out + static_cast<std::size_t>(first_query) * args.out_stride + dim;
  F acc[Q][D];
  for (int q = 0; q < Q; ++q) {
    for (int i = 0; i < D; ++i) {
      acc[q][i] = V::zero();
      if (page.is_first) continue;
      const float* from = out + static_cast<std::size_t>(q) * args.out_stride + 16 * i;
      acc[q][i] = V::mul(V::load(from), V::set(state.correction[first_query + q]));
    }
  }
  const typename Kv::Element* value = page.values + static_cast<std::size_t>(page.begin) * row + dim;
  for (int slot = page.begin; slot < page.end; ++slot, value += row) {
    F values[D];
    for (int i = 0; i < D; ++i) values[i] = Kv::load(value + 16 * i);
    for (int q = 0; q < Q; ++q) {
      const F weight = V::set(state.weights[first_query + q][slot]);
      for (int i = 0; i < D; ++i) acc[q][i] = V::fma(weight, values[i], acc[q][i]);
    }
  }
  for (int q = 0; q < Q; ++q) {
    for (int i = 0; i < D; ++i) V::store(out + static_cast<std::size_t>(q) * args.out_stride + 16 * i, acc[q][i]);
  }
}

template <class V, class Kv, int Q>
void attend_page(const AttendArgs& args, const PagePart<typename Kv::Element>& page, int first_query,
                 SoftmaxState& state) {
  weigh_page<V, Kv, Q>(args, page, first_query, state);
  const auto head_dim = static_cast<std::size_t>(args.head_dim);
  std::size_t dim = 0;
  for (; dim + 64 <= head_dim; dim += 64) add_values<V, Kv, Q, 4>(args, page, first_query, dim, state);
  for (; dim < head_dim; dim += 16) add_values<V, Kv, Q, 1>(args, page, first_query, dim, state);
}

template <class V, template <class> class KvKind>
void attend_heads(const AttendArgs& args) {
  using Kv = KvKind<V>;
  using Element = typename Kv::Element;
  SoftmaxState state;
  const auto head_dim = static_cast<std::size_t>(args.head_dim);
  for (int walk = 0; walk < args.n_queries; walk += kWalkQueries) {
    AttendArgs part = args;
    part.queries = args.queries + static_cast<std::size_t>(walk) * args.query_stride;
    part.out = args.out + static_cast<std::size_t>(walk) * args.out_stride;
    part.n_queries = args.n_queries - walk < kWalkQueries ? args.n_queries - walk : kWalkQueries;
    const int first_page = args.first_position / kPageTokens;
    const int last_page = args.last_position / kPageTokens;
    for (int p = first_page; p <= last_page; ++p) {
      const std::byte* block = args.blocks + static_cast<std::size_t>(args.pages[p]) * args.page_stride_bytes;
      PagePart<Element> page;
      page.keys = reinterpret_cast<const Element*>(block);
      page.values = page.keys + kPageTokens * head_dim;
      page.begin = p == first_page ? args.first_position % kPageTokens : 0;
      page.end = p == last_page ? args.last_position % kPageTokens + 1 : kPageTokens;
      page.is_first = p == first_page;
      int query = 0;
      for (; query + V::kAttendQueries <= part.n_queries; query += V::kAttendQueries) {
        attend_page<V, Kv, V::kAttendQueries>(part, page, query, state);
      }
      if constexpr (V::kAttendQueries > 2) {
        for (; query + 2 <= part.n_queries; query += 2) attend_page<V, Kv, 2>(part, page, query, state);
      }
      for (; query < part.n_queries; ++query) attend_page<V, Kv, 1>(part, page, query, state);
    }
    for (int query = 0; query < part.n_queries; ++query) {
      float* out = part.out + static_cast<std::size_t>(query) * part.out_stride;
      const typename V::F inverse = V::set(1.0f / state.total[query]);
      for (std::size_t d = 0; d < head_dim; d += 16) V::store(out + d, V::mul(V::load(out + d), inverse));
    }
  }
}

}  // namespace colonnade::engine
