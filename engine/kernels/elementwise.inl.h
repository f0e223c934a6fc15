// Functions of each element: additions, rope, quantisation.
#pragma once

#include "engine/kernels/kernels.h"
#include "engine/kernels/vector_math.inl.h"

namespace colonnade::engine {

/// Calls step(offset, lanes) for 16 lanes at a time, and once for what is left.
template <class Step>
[[gnu::always_inline]] inline void for_lanes(std::size_t count, const Step& step) {
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) step(i, std::size_t{16});
  if (i < count) step(i, count - i);
}

/// A full vector where n is 16, else its first n lanes.
template <class V>
[[gnu::always_inline]] inline typename V::F load_lanes(const float* p, std::size_t n) {
  return n == 16 ? V::load(p) : V::load_part(p, n);
}
template <class V>
[[gnu::always_inline]] inline void store_lanes(float* p, typename V::F a, std::size_t n) {
  if (n == 16) {
    V::store(p, a);
  } else {
    V::store_part(p, a, n);
  }
}

template <class V>
void add_rows(float* x, const float* y, std::size_t count) {
  for_lanes(count, [=](std::size_t i, std::size_t n) {
    store_lanes<V>(x + i, V::add(load_lanes<V>(x + i, n), load_lanes<V>(y + i, n)), n);
  });
}

template <class V>
void scale_row(float* x, float factor, std::size_t count) {
  for_lanes(count, [=](std::size_t i, std::size_t n) {
    store_lanes<V>(x + i, V::mul(load_lanes<V>(x + i, n), V::set(factor)), n);
  });
}

template <class V>
void add_scaled_rows(float* x, const float* y, float factor, std::size_t count) {
  for_lanes(count, [=](std::size_t i, std::size_t n) {
    store_lanes<V>(x + i, V::fma(V::set(factor), load_lanes<V>(y + i, n), load_lanes<V>(x + i, n)), n);
  });
}

template <class V>
void sigmoid_row(float* x, std::size_t count) {
  for_lanes(count, [=](std::size_t i, std::size_t n) {
    const typename V::F one = V::set(1.0f);
    store_lanes<V>(x + i, V::div(one, V::add(one, exp_of<V>(V::neg(load_lanes<V>(x + i, n))))), n);
  });
}

template <class V>
void rope_head(float* head, const float* cosine, const float* sine, int n_pairs) {
  const auto pairs = static_cast<std::size_t>(n_pairs);
  float* second = head + pairs;
  for_lanes(pairs, [=](std::size_t i, std::size_t n) {
    using F = typename V::F;
    const F a = load_lanes<V>(head + i, n);
    const F b = load_lanes<V>(second + i, n);
    const F c = load_lanes<V>(cosine + i, n);
    const F s = load_lanes<V>(sine + i, n);
    store_lanes<V>(head + i, V::fma(a, c, V::neg(V::mul(b, s))), n);
    store_lanes<V>(second + i, V::fma(b, c, V::mul(a, s)), n);
  });
}

template <class V>
void quantize_row(const float* x, std::size_t count, std::int8_t* q8, float* scales, std::int32_t* sums) {
  using F = typename V::F;
  using I = typename V::I;
  constexpr std::size_t kGroup = kActivationGroup;
  for (std::size_t begin = 0, group = 0; begin < count; begin += kGroup, ++group) {
    F values[kGroup / 16];
    F largest = V::zero();
    for (std::size_t part = 0; part < kGroup / 16; ++part) {
      const std::size_t at = begin + part * 16;
      const std::size_t n = at >= count ? 0 : (count - at < 16 ? count - at : 16);
      values[part] = n == 0 ? V::zero() : load_lanes<V>(x + at, n);
      largest = V::max(largest, V::abs(values[part]));
    }
    const float scale = V::largest(largest) / 127.0f;
    scales[group] = scale;
    I total = V::zero_i();
    for (std::size_t part = 0; part < kGroup / 16; ++part) {
      I q = V::zero_i();
      if (scale != 0.0f) {
        // The bounds matter where the scale is itself rounded: groups of subnormal numbers.
        const F steps = V::div(values[part], V::set(scale));
        q = V::to_int(V::min(V::max(steps, V::set(-127.0f)), V::set(127.0f)));
      }
      V::store_bytes(q8 + begin + part * 16, q);
      total = V::add_i(total, q);
    }
    sums[group] = V::sum_i(total);
  }
}

template <class V>
void quantize_wide_row(const float* x, std::size_t count, WideGroup* wide, std::size_t rows) {
  using F = typename V::F;
  using I = typename V::I;
  for (std::size_t begin = 0; begin < count; begin += kWideGroup, wide += rows) {
    const std::size_t in_group = count - begin < kWideGroup ? count - begin : kWideGroup;
    F largest = V::zero();
    for_lanes(in_group, [&](std::size_t i, std::size_t n) {
      largest = V::max(largest, V::abs(load_lanes<V>(x + begin + i, n)));
    });
    const float scale = V::largest(largest) / 127.0f;
    wide->scale = scale;
    for (std::size_t i = 0; i < kWideGroup; i += 16) {
      const std::size_t n = i >= in_group ? 0 : (in_group - i < 16 ? in_group - i : 16);
      I q = V::zero_i();
      if (scale != 0.0f && n != 0) {
        const F steps = V::div(load_lanes<V>(x + begin + i, n), V::set(scale));
        q = V::to_int(V::min(V::max(steps, V::set(-127.0f)), V::set(127.0f)));
      }
      V::store_offset_bytes(wide->bytes + i, q);
    }
  }
}

}  // namespace colonnade::engine
