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

/// - erfc(|x| / sqrt 2) / 2 in eight pieces of equal width, which end at |x| = 5.25: piece i has a polynomial of u = t - i - 0.5,
/// where t = |x| * 7.75 / 5.25. Minimax: the error of |x| times it is below 8e-8 * max(1, |x|). The last piece is 0 at its end.
/// Not inline: a table of one instruction set's object is not shared with others (tests/engine/kernels/check_objects.sh).
constexpr float kGeluScale = 1.47619045f, kGeluEnd = 7.25f;
constexpr float kGeluPieces[6][8] = {
    {-0.367414266f, -0.154784054f, -0.0451755077f, -0.00887075253f, -0.00115037244f, -9.73523274e-05f, -5.33408047e-06f, -1.12043551e-07f},
    {0.255184203f, 0.161272064f, 0.0644119829f, 0.016258318f, 0.00259351684f, 0.000261467969f, 1.66606642e-05f, 6.71237274e-07f},
    {-0.0292705875f, -0.0554992668f, -0.0369520746f, -0.013059183f, -0.00267743063f, -0.000329490169f, -2.47416792e-05f, -1.15683827e-06f},
    {-0.0172565486f, 0.000400079502f, 0.00920173898f, 0.00574807916f, 0.00164527248f, 0.000257455598f, 2.33681585e-05f, 1.24776807e-06f},
    {0.00315391435f, 0.00410798751f, 0.000229627534f, -0.00128139812f, -0.000649143883f, -0.000142285076f, -1.66611226e-05f, -9.82663892e-07f},
    {0.000955025898f, -0.000586187816f, -0.000667402288f, 1.59266765e-05f, 0.0001506556f, 5.25487776e-05f, 8.07940614e-06f, 8.99869463e-07f}};

/// x (1 + erf(x / sqrt 2)) / 2: x is x - |x| erfc(|x| / sqrt 2) / 2 where it is positive, - |x| erfc(|x| / sqrt 2) / 2 elsewhere.
template <class V>
void gelu_erf_row(float* x, std::size_t count) {
  using F = typename V::F;
  typename V::Eight pieces[6];
  for (int power = 0; power < 6; ++power) pieces[power] = V::load_eight(kGeluPieces[power]);
  for_lanes(count, [=](std::size_t i, std::size_t n) {
    const F value = load_lanes<V>(x + i, n), size = V::abs(value);
    // The order of the arguments keeps NaN.
    const F t = V::min(V::set(kGeluEnd), V::fma(size, V::set(kGeluScale), V::set(-0.5f)));
    const F magic = V::set(12582912.0f), shifted = V::add(t, magic);  // t, rounded to even, is in the low bits
    const F u = V::sub(t, V::sub(shifted, magic));
    F p = V::pick(pieces[5], V::bits(shifted));
    for (int power = 4; power >= 0; --power) p = V::fma(p, u, V::pick(pieces[power], V::bits(shifted)));
    store_lanes<V>(x + i, V::fma(size, p, V::max(value, V::zero())), n);
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
