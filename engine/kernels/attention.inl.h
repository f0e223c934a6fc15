// Attention of one token over a paged cache, written once over the vector type V of an instruction set: the softmax is
// carried from page to page (Milakov and Gimelshein, Online normalizer calculation for softmax, 2018).
#pragma once

#include <cmath>

#include "engine/kernels/elementwise.inl.h"
#include "engine/kernels/kernels.h"

namespace colonnade::engine {

template <typename V>
struct F32Cache {
  static constexpr std::size_t kBytes = 4;
  static typename V::F load(const std::byte* p) { return V::load(reinterpret_cast<const float*>(p)); }
  static void store(std::byte* p, float x) { std::memcpy(p, &x, sizeof x); }
};

template <typename V>
struct Bf16Cache {
  static constexpr std::size_t kBytes = 2;
  static typename V::F load(const std::byte* p) { return V::load_bf16(p); }
  /// Rounds to nearest even; a NaN stays one.
  static void store(std::byte* p, float x) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    const auto half = (bits & 0x7fffffffu) > 0x7f800000u ? static_cast<std::uint16_t>((bits >> 16) | 0x40u)
                                                         : static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    std::memcpy(p, &half, sizeof half);
  }
};

template <typename V, typename Cache>
struct Attention {
  using F = typename V::F;
  static constexpr int kBlocks = kPageTokens / 16;  // of 16 positions

  static std::size_t padded(int head_dim) { return (static_cast<std::size_t>(head_dim) + 15) / 16 * 16; }

  static void store_kv(const float* key, const float* value, int head_dim, int slot, std::byte* block) {
    const auto dim = static_cast<std::size_t>(head_dim);
    const auto s = static_cast<std::size_t>(slot);
    std::byte* const keys = block + s / 16 * dim * 16 * Cache::kBytes;
    std::byte* const values = block + (kPageTokens * dim + s * padded(head_dim)) * Cache::kBytes;
    for (std::size_t i = 0; i < dim; ++i) {
      Cache::store(keys + (i * 16 + s % 16) * Cache::kBytes, key[i]);
      Cache::store(values + i * Cache::kBytes, value[i]);
    }
    for (std::size_t i = dim; i < padded(head_dim); ++i) Cache::store(values + i * Cache::kBytes, 0.0f);
  }

  static void attend(const AttendArgs& args) {
    for (int q = 0; q < args.n_queries; ++q)
      attend_one(args, args.queries + static_cast<std::size_t>(q) * args.query_stride,
                 args.out + static_cast<std::size_t>(q) * args.out_stride);
  }

 private:
  static void attend_one(const AttendArgs& args, const float* query, float* out) {
    const std::size_t width = padded(args.head_dim);
    for (std::size_t d = 0; d < width; d += 16) V::store(out + d, V::zero());
    float running_max = -INFINITY;
    float total = 0.0f;
    const int first_page = args.first_position / kPageTokens;
    for (int page = first_page; page * kPageTokens <= args.last_position; ++page) {
      const std::byte* const block = args.blocks + static_cast<std::size_t>(args.pages[page]) * args.page_stride_bytes;
      const int begin = args.first_position - page * kPageTokens;  // visible slots of this page: [begin, end]
      const int end = args.last_position - page * kPageTokens;
      float scores[kPageTokens];
      for (int b = 0; b < kBlocks && b * 16 <= end; ++b) score(args, query, block, b, scores + 16 * b);
      const int from = begin > 0 ? begin : 0;
      const int to = end < kPageTokens - 1 ? end : kPageTokens - 1;
      float page_max = running_max;
      for (int i = from; i <= to; ++i) page_max = scores[i] > page_max ? scores[i] : page_max;
      for (int i = 0; i < kPageTokens; ++i)
        if (i < from || i > to) scores[i] = -INFINITY;
      float weights[kPageTokens];
      F sum = V::zero();
      for (int b = 0; b < kBlocks; ++b) {
        const F e = Elementwise<V>::exp(V::sub(V::load(scores + 16 * b), V::set(page_max)));
        V::store(weights + 16 * b, e);
        sum = V::add(sum, e);
      }
      float keep[16];
      V::store(keep, Elementwise<V>::exp(V::set(running_max - page_max)));
      total = std::fma(total, keep[0], V::sum(sum));
      running_max = page_max;
      const std::byte* const values = block + static_cast<std::size_t>(kPageTokens) * static_cast<std::size_t>(args.head_dim) * Cache::kBytes;
      for (std::size_t d = 0; d < width; d += 16) {
        F acc = V::mul(V::load(out + d), V::set(keep[0]));
        for (int i = from; i <= to; ++i)
          acc = V::fma(V::set(weights[i]), Cache::load(values + (static_cast<std::size_t>(i) * width + d) * Cache::kBytes), acc);
        V::store(out + d, acc);
      }
    }
    const F inverse = V::set(1.0f / total);
    for (std::size_t d = 0; d < width; d += 16) V::store(out + d, V::mul(V::load(out + d), inverse));
  }

  /// Scores of 16 positions: lane = position, two chains over the head.
  static void score(const AttendArgs& args, const float* query, const std::byte* block, int b, float* scores) {
    const auto dim = static_cast<std::size_t>(args.head_dim);
    const std::byte* keys = block + static_cast<std::size_t>(b) * dim * 16 * Cache::kBytes;
    F even = V::zero(), odd = V::zero();
    std::size_t i = 0;
    for (; i + 2 <= dim; i += 2, keys += 32 * Cache::kBytes) {
      even = V::fma(V::set(query[i]), Cache::load(keys), even);
      odd = V::fma(V::set(query[i + 1]), Cache::load(keys + 16 * Cache::kBytes), odd);
    }
    if (i < dim) even = V::fma(V::set(query[i]), Cache::load(keys), even);
    V::store(scores, V::mul(V::add(even, odd), V::set(args.scale)));
  }
};

}  // namespace colonnade::engine
