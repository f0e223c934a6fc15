// Functions of a whole row. Sums are kept in lanes and added in one fixed tree at the end.
#pragma once

#include "engine/kernels/elementwise.inl.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/vector_math.inl.h"

namespace colonnade::engine {

/// Vector i of the rows goes to chain i % 4, so that four multiplications are in flight; (c0 + c1) + (c2 + c3).
template <class V>
float dot_rows(const float* x, const float* y, std::size_t count) {
  using F = typename V::F;
  F chains[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  std::size_t i = 0;
  for (; i + 64 <= count; i += 64) {
    for (std::size_t c = 0; c < 4; ++c) {
      chains[c] = V::fma(V::load(x + i + 16 * c), V::load(y + i + 16 * c), chains[c]);
    }
  }
  for (std::size_t c = 0; i < count; ++c, i += 16) {
    const std::size_t n = count - i < 16 ? count - i : 16;
    chains[c] = V::fma(load_lanes<V>(x + i, n), load_lanes<V>(y + i, n), chains[c]);
  }
  return V::sum(V::add(V::add(chains[0], chains[1]), V::add(chains[2], chains[3])));
}

template <class V>
void rms_norm_row(const float* x, const float* weight, float eps, std::size_t count, float* out) {
  const float mean = dot_rows<V>(x, x, count) / static_cast<float>(count);
  const typename V::F factor = V::set(1.0f / __builtin_sqrtf(mean + eps));
  for_lanes(count, [=](std::size_t i, std::size_t n) {
    store_lanes<V>(out + i, V::mul(V::mul(load_lanes<V>(x + i, n), factor), load_lanes<V>(weight + i, n)), n);
  });
}

template <class V>
void scale_row_by(float* x, const float* weight, float factor, std::size_t count) {
  for_lanes(count, [=](std::size_t i, std::size_t n) {
    store_lanes<V>(x + i, V::mul(V::mul(load_lanes<V>(x + i, n), V::set(factor)), load_lanes<V>(weight + i, n)), n);
  });
}

template <class V>
void layer_norm_row(const float* x, const float* weight, const float* bias, float eps, std::size_t count, float* out) {
  using F = typename V::F;
  const auto n_values = static_cast<float>(count);
  F total = V::zero();
  for_lanes(count, [&](std::size_t i, std::size_t n) { total = V::add(total, load_lanes<V>(x + i, n)); });
  const F mean = V::set(V::sum(total) / n_values);
  F squares = V::zero();
  for_lanes(count, [&](std::size_t i, std::size_t n) {
    // Lanes past the end must not count as 0 - mean.
    const F off = V::select((1u << n) - 1u, V::sub(load_lanes<V>(x + i, n), mean), V::zero());
    squares = V::fma(off, off, squares);
  });
  const F factor = V::set(1.0f / __builtin_sqrtf(V::sum(squares) / n_values + eps));
  for_lanes(count, [=](std::size_t i, std::size_t n) {
    const F normal = V::mul(V::sub(load_lanes<V>(x + i, n), mean), factor);
    store_lanes<V>(out + i, V::fma(normal, load_lanes<V>(weight + i, n), load_lanes<V>(bias + i, n)), n);
  });
}

/// Lanes past the end hold -infinity.
template <class V>
[[gnu::always_inline]] inline typename V::F load_or_lowest(const float* p, std::size_t n) {
  return V::select((1u << n) - 1u, load_lanes<V>(p, n), V::set(-__builtin_inff()));
}

template <class V>
float max_of_row(const float* x, std::size_t count) {
  typename V::F largest = V::set(-__builtin_inff());
  for_lanes(count, [&](std::size_t i, std::size_t n) { largest = V::max(largest, load_or_lowest<V>(x + i, n)); });
  return V::largest(largest);
}

template <class V>
float sum_exp_of_row(const float* x, float offset, float factor, std::size_t count) {
  typename V::F total = V::zero();
  for_lanes(count, [&](std::size_t i, std::size_t n) {
    const typename V::F shifted = V::mul(V::sub(load_lanes<V>(x + i, n), V::set(offset)), V::set(factor));
    total = V::add(total, V::select((1u << n) - 1u, exp_of<V>(shifted), V::zero()));
  });
  return V::sum(total);
}

}  // namespace colonnade::engine
