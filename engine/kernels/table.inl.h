// The table of one instruction set from its vector type.
#pragma once

#include "engine/kernels/attention.inl.h"
#include "engine/kernels/elementwise.inl.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/strips.inl.h"

namespace colonnade::engine {

template <typename V>
constexpr KernelTable make_table(const char* name) {
  KernelTable table{};
  table.name = name;
  table.strips[static_cast<std::size_t>(FormatId::kF32)] = Strips<V>::template floats<typename Strips<V>::F32Columns>;
  table.strips[static_cast<std::size_t>(FormatId::kBf16)] = Strips<V>::template floats<typename Strips<V>::Bf16Columns>;
  table.strips[static_cast<std::size_t>(FormatId::kInt8)] = Strips<V>::int8;
  table.store_kv[0] = Attention<V, F32Cache<V>>::store_kv;
  table.store_kv[1] = Attention<V, Bf16Cache<V>>::store_kv;
  table.attend[0] = Attention<V, F32Cache<V>>::attend;
  table.attend[1] = Attention<V, Bf16Cache<V>>::attend;
  table.quantize = Elementwise<V>::quantize;
  table.rms_norm = Elementwise<V>::rms_norm;
  table.add = Elementwise<V>::add;
  table.add_scaled = Elementwise<V>::add_scaled;
  table.silu_gate = Elementwise<V>::silu_gate;
  table.rope = Elementwise<V>::rope;
  table.max_value = Elementwise<V>::max_value;
  table.sum_exp = Elementwise<V>::sum_exp;
  table.dot = Elementwise<V>::dot;
  return table;
}

}  // namespace colonnade::engine
