// exp and tanh on sixteen lanes.
#pragma once

#include "engine/kernels/kernels.h"

namespace colonnade::engine {

/// x[i] = e^x[i] for x within -105 ... 89.5, or NaN. Several at once, step by step, so that none of them waits for its own result.
template <class V, int N>
[[gnu::always_inline]] inline void exps_within(typename V::F* x) {
  using F = typename V::F;
  typename V::I exponent[N];
  F n[N], power[N];
  // Adding 1.5 * 2^23 leaves x / ln 2, rounded to even, in the low bits.
  const F magic = V::set(12582912.0f);
  for (int i = 0; i < N; ++i) {
    const F shifted = V::fma(x[i], V::set(1.44269504f), magic);
    n[i] = V::sub(shifted, magic);
    exponent[i] = V::sub_i(V::bits(shifted), V::bits(magic));
  }
  // ln 2 in two parts: n times the first is exact.
  for (int i = 0; i < N; ++i) x[i] = V::fma(n[i], V::set(-0.693359375f), x[i]);
  for (int i = 0; i < N; ++i) x[i] = V::fma(n[i], V::set(2.12194440e-4f), x[i]);
  constexpr float kSeries[] = {1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f, 1.0f / 6.0f, 0.5f, 1.0f, 1.0f};
  for (int i = 0; i < N; ++i) power[i] = V::set(1.0f / 5040.0f);
  for (int k = 0; k < 7; ++k) {
    for (int i = 0; i < N; ++i) power[i] = V::fma(power[i], x[i], V::set(kSeries[k]));
  }
  for (int i = 0; i < N; ++i) x[i] = V::times_power_of_two(power[i], n[i], exponent[i]);
}

/// e^x with a relative error below 2e-7: e^x = 2^n e^r with |r| <= ln 2 / 2, and e^r by its series to the seventh
/// power, whose remainder is below 6e-9. Tends to 0 and to infinity at the ends; NaN stays NaN.
template <class V>
[[gnu::always_inline]] inline typename V::F exp_of(typename V::F x) {
  // Beyond these bounds the result is 0 or infinity anyway, and n stays small. The order of the arguments keeps NaN.
  x = V::min(V::set(89.5f), V::max(V::set(-105.0f), x));
  exps_within<V, 1>(&x);
  return x;
}

/// tanh with an absolute error below 3e-7.
template <class V>
[[gnu::always_inline]] inline typename V::F tanh_of(typename V::F x) {
  return V::sub(V::set(1.0f), V::div(V::set(2.0f), V::add(exp_of<V>(V::add(x, x)), V::set(1.0f))));
}

}  // namespace colonnade::engine
