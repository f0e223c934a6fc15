// exp and tanh on sixteen lanes.
#pragma once

#include "engine/kernels/kernels.h"

namespace colonnade::engine {

/// e^x for x within -105 ... 89.5, or NaN.
template <class V>
[[gnu::always_inline]] inline typename V::F exp_within(typename V::F x) {
  using F = typename V::F;
  // Adding 1.5 * 2^23 rounds x / ln 2 to even.
  const F magic = V::set(12582912.0f);
  const F n = V::sub(V::fma(x, V::set(1.44269504f), magic), magic);
  // ln 2 in two parts: n times the first is exact.
  F r = V::fma(n, V::set(-0.693359375f), x);
  r = V::fma(n, V::set(2.12194440e-4f), r);

  F power = V::set(1.0f / 5040.0f);
  power = V::fma(power, r, V::set(1.0f / 720.0f));
  power = V::fma(power, r, V::set(1.0f / 120.0f));
  power = V::fma(power, r, V::set(1.0f / 24.0f));
  power = V::fma(power, r, V::set(1.0f / 6.0f));
  power = V::fma(power, r, V::set(0.5f));
  power = V::fma(power, r, V::set(1.0f));
  power = V::fma(power, r, V::set(1.0f));
  return V::times_power_of_two(power, n);
}

/// e^x with a relative error below 2e-7: e^x = 2^n e^r with |r| <= ln 2 / 2, and e^r by its series to the seventh
/// power, whose remainder is below 6e-9. Tends to 0 and to infinity at the ends; NaN stays NaN.
template <class V>
[[gnu::always_inline]] inline typename V::F exp_of(typename V::F x) {
  // Beyond these bounds the result is 0 or infinity anyway, and n stays small. The order of the arguments keeps NaN.
  return exp_within<V>(V::min(V::set(89.5f), V::max(V::set(-105.0f), x)));
}

/// The same for x that is not positive, or NaN.
template <class V>
[[gnu::always_inline]] inline typename V::F exp_of_negative(typename V::F x) {
  return exp_within<V>(V::max(V::set(-105.0f), x));
}

/// tanh with an absolute error below 3e-7.
template <class V>
[[gnu::always_inline]] inline typename V::F tanh_of(typename V::F x) {
  return V::sub(V::set(1.0f), V::div(V::set(2.0f), V::add(exp_of<V>(V::add(x, x)), V::set(1.0f))));
}

}  // namespace colonnade::engine
