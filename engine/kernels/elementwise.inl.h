// Everything but multiplication and attention, written once over the vector type V of an instruction set.
#pragma once

#include <cmath>

#include "engine/kernels/kernels.h"

namespace colonnade::engine {

template <typename V>
struct Elementwise {
  using F = typename V::F;
  using I = typename V::I;

  /// e to the power of x, about 1e-7 relative; 0 below -87.3 and about 1.6e38 above 88.
  static F exp(F x) {
    const F bounded = V::max(V::min(x, V::set(88.0f)), V::set(-87.3f));
    const I n = V::round(V::mul(bounded, V::set(1.44269504f)));
    const F k = V::to_float(n);
    // ln 2 in two parts, the first exact in few bits, so that the remainder keeps full precision.
    F r = V::fma(k, V::set(-0.693145752f), bounded);
    r = V::fma(k, V::set(-1.42860677e-6f), r);
    // Taylor to degree 7 on |r| <= 0.3466: error 4e-9.
    F p = V::set(1.0f / 5040);
    for (const float c : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) p = V::fma(p, r, V::set(c));
    return V::keep_from(V::mul(p, V::exp2(n)), x, -87.3f);
  }

  static void quantize(const float* x, std::size_t count, std::int8_t* q8, float* scales, std::int32_t* sums) {
    constexpr std::size_t kVectors = kActivationGroup / 16;
    for (std::size_t at = 0, group = 0; at < count; at += kActivationGroup, ++group) {
      F values[kVectors];
      F largest = V::zero();
      for (std::size_t i = 0; i < kVectors; ++i) {
        values[i] = part(x, at + 16 * i, count);
        largest = V::max(V::abs(values[i]), largest);
      }
      const float scale = V::max_lane(largest) / 127.0f;
      scales[group] = scale;
      std::int32_t sum = 0;
      for (std::size_t i = 0; i < kVectors; ++i) {
        const I q = scale > 0.0f ? V::round(V::max(V::min(V::div(values[i], V::set(scale)), V::set(127.0f)), V::set(-127.0f)))
                                 : V::set_int(0);
        V::store_int8(q8 + at + 16 * i, q);
        sum += V::sum(q);
      }
      sums[group] = sum;
    }
  }

  static void rms_norm(const float* x, const float* weight, float eps, std::size_t count, float* out) {
    F squares = V::zero();
    for (std::size_t i = 0; i < count; i += 16) {
      const F v = part(x, i, count);
      squares = V::fma(v, v, squares);
    }
    const float factor = 1.0f / std::sqrt(V::sum(squares) / static_cast<float>(count) + eps);
    for (std::size_t i = 0; i < count; i += 16)
      put(out, i, count, V::mul(V::mul(part(x, i, count), V::set(factor)), part(weight, i, count)));
  }

  static void add(float* x, const float* y, std::size_t count) {
    for (std::size_t i = 0; i < count; i += 16) put(x, i, count, V::add(part(x, i, count), part(y, i, count)));
  }

  static void add_scaled(float* x, const float* y, float factor, std::size_t count) {
    for (std::size_t i = 0; i < count; i += 16) put(x, i, count, V::fma(V::set(factor), part(y, i, count), part(x, i, count)));
  }

  static void silu_gate(float* gate, const float* up, std::size_t count) {
    for (std::size_t i = 0; i < count; i += 16) {
      const F g = part(gate, i, count);
      const F sigmoid = V::div(V::set(1.0f), V::add(V::set(1.0f), exp(V::sub(V::zero(), g))));
      put(gate, i, count, V::mul(V::mul(g, sigmoid), part(up, i, count)));
    }
  }

  static void rope(float* head, const float* cosine, const float* sine, int n_pairs) {
    const auto n = static_cast<std::size_t>(n_pairs);
    for (std::size_t i = 0; i < n; i += 16) {
      const F a = part(head, i, n), b = part(head + n, i, n), c = part(cosine, i, n), s = part(sine, i, n);
      put(head, i, n, V::fma(a, c, V::sub(V::zero(), V::mul(b, s))));
      put(head + n, i, n, V::fma(b, c, V::mul(a, s)));
    }
  }

  static float max_value(const float* x, std::size_t count) {
    F largest = V::set(-INFINITY);
    std::size_t i = 0;
    for (; i + 16 <= count; i += 16) largest = V::max(V::load(x + i), largest);
    float result = V::max_lane(largest);
    for (; i < count; ++i) result = x[i] > result ? x[i] : result;
    return result;
  }

  static float sum_exp(const float* x, float offset, float factor, std::size_t count) {
    F sum = V::zero();
    for (std::size_t i = 0; i < count; i += 16) {
      const F e = exp(V::mul(V::sub(part(x, i, count), V::set(offset)), V::set(factor)));
      if (count - i >= 16) {
        sum = V::add(sum, e);
      } else {
        float lanes[16];
        V::store(lanes, e);
        sum = V::add(sum, V::load_part(lanes, count - i));
      }
    }
    return V::sum(sum);
  }

  static float dot(const float* x, const float* y, std::size_t count) {
    F sum = V::zero();
    for (std::size_t i = 0; i < count; i += 16) sum = V::fma(part(x, i, count), part(y, i, count), sum);
    return V::sum(sum);
  }

 private:
  /// 16 values from x + i; beyond `count` zeros, and nothing is read there.
  static F part(const float* x, std::size_t i, std::size_t count) {
    if (i + 16 <= count) return V::load(x + i);
    return i < count ? V::load_part(x + i, count - i) : V::zero();
  }
  static void put(float* x, std::size_t i, std::size_t count, F value) {
    if (i + 16 <= count) {
      V::store(x + i, value);
    } else {
      V::store_part(x + i, value, count - i);
    }
  }
};

}  // namespace colonnade::engine
