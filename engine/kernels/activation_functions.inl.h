// Activation functions of feed-forwards, and soft caps.
#pragma once

#include "engine/kernels/elementwise.inl.h"
#include "engine/kernels/vector_math.inl.h"

namespace colonnade::engine {

/// x / (1 + e^-steepness x)
template <class V>
[[gnu::always_inline]] inline typename V::F swish(typename V::F x, typename V::F steepness) {
  return V::div(x, V::add(V::set(1.0f), exp_of<V>(V::neg(V::mul(steepness, x)))));
}

template <class V>
void silu_gate_rows(float* gate, const float* up, std::size_t count) {
  for_lanes(count, [=](std::size_t i, std::size_t n) {
    const typename V::F g = load_lanes<V>(gate + i, n);
    const typename V::F silu = V::div(g, V::add(V::set(1.0f), exp_of<V>(V::neg(g))));
    store_lanes<V>(gate + i, V::mul(silu, load_lanes<V>(up + i, n)), n);
  });
}

/// x (1 + tanh(u)) / 2 = x / (1 + e^-2u) with u = sqrt(2 / pi) (x + 0.044715 x^3).
template <class V>
void gelu_tanh_gate_rows(float* gate, const float* up, std::size_t count) {
  using F = typename V::F;
  for_lanes(count, [=](std::size_t i, std::size_t n) {
    const F x = load_lanes<V>(gate + i, n);
    const F cubic = V::fma(V::mul(V::mul(x, x), V::set(0.044715f)), x, x);
    const F gelu = V::div(x, V::add(V::set(1.0f), exp_of<V>(V::mul(cubic, V::set(-1.595769122f)))));
    store_lanes<V>(gate + i, V::mul(gelu, load_lanes<V>(up + i, n)), n);
  });
}

template <class V>
void clamped_swish_gate_rows(float* gate, const float* up, float limit, float steepness, std::size_t count) {
  using F = typename V::F;
  for_lanes(count, [=](std::size_t i, std::size_t n) {
    const F g = V::min(load_lanes<V>(gate + i, n), V::set(limit));
    const F u = V::max(V::set(-limit), V::min(load_lanes<V>(up + i, n), V::set(limit)));
    store_lanes<V>(gate + i, V::mul(swish<V>(g, V::set(steepness)), V::add(u, V::set(1.0f))), n);
  });
}

/// x (1 + erf(x / sqrt 2)) / 2, with erfc(z) = p(t) e^-z², t = 1 / (1 + 0.3275911 z), for z >= 0: Abramowitz and Stegun
/// 7.1.26, whose error is below 1.5e-7.
template <class V>
void gelu_erf_row(float* x, std::size_t count) {
  using F = typename V::F;
  for_lanes(count, [=](std::size_t i, std::size_t n) {
    const F value = load_lanes<V>(x + i, n);
    const F z = V::mul(V::abs(value), V::set(0.7071067812f));
    const F t = V::div(V::set(1.0f), V::fma(V::set(0.3275911f), z, V::set(1.0f)));
    F p = V::set(1.061405429f);
    p = V::fma(p, t, V::set(-1.453152027f));
    p = V::fma(p, t, V::set(1.421413741f));
    p = V::fma(p, t, V::set(-0.284496736f));
    p = V::fma(p, t, V::set(0.254829592f));
    const F complement = V::mul(V::mul(p, t), exp_of<V>(V::neg(V::mul(z, z))));
    // x is x - |x| erfc / 2 where it is positive, - |x| erfc / 2 elsewhere.
    const F rest = V::mul(V::mul(V::abs(value), V::set(-0.5f)), complement);
    store_lanes<V>(x + i, V::add(V::max(value, V::zero()), rest), n);
  });
}

template <class V>
[[gnu::always_inline]] inline typename V::F soft_capped(typename V::F x, float cap) {
  return V::mul(V::set(cap), tanh_of<V>(V::div(x, V::set(cap))));
}

template <class V>
void soft_cap_row(float* x, float cap, std::size_t count) {
  for_lanes(count, [=](std::size_t i, std::size_t n) { store_lanes<V>(x + i, soft_capped<V>(load_lanes<V>(x + i, n), cap), n); });
}

}  // namespace colonnade::engine
