// Makes the table of one instruction set from its vector type. Included by exactly one source file per instruction
// set, which is compiled with that set's flags: everything here is a template over the vector type, so that no
// function with such instructions can be picked by the linker for code that must run everywhere.
#pragma once

#include "engine/kernels/activation_functions.inl.h"
#include "engine/kernels/attention.inl.h"
#include "engine/kernels/elementwise.inl.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/latent_attention.inl.h"
#include "engine/kernels/product.inl.h"
#include "engine/kernels/reductions.inl.h"
#include "engine/kernels/store_kv.h"
#include "engine/kernels/store_kv.inl.h"
#include "engine/kernels/strips_bitmask_bf16.inl.h"
#include "engine/kernels/strips_float.inl.h"
#include "engine/kernels/strips_int8.inl.h"
#include "engine/kernels/strips_permute.inl.h"
#include "engine/kernels/strips_turned.inl.h"

namespace colonnade::engine {

/// V: the vector type; T: what turned activations need beside it.
template <class V, class T>
constexpr KernelTable make_table(const char* name) {
  KernelTable table{};
  table.name = name;
  table.strips[static_cast<int>(FormatId::kF32)] = multiply_float_strips<V, F32Weights>;
  table.strips[static_cast<int>(FormatId::kBf16)] = multiply_float_strips<V, Bf16Weights>;
  table.strips[static_cast<int>(FormatId::kInt8)] = multiply_int8_strips<V, Int8Source, false>;
  table.add_strips[static_cast<int>(FormatId::kInt8)] = multiply_int8_strips<V, Int8Source, true>;
  table.strips[static_cast<int>(FormatId::kInt4)] = multiply_int8_strips<V, Int4Source, false>;
  table.add_strips[static_cast<int>(FormatId::kInt4)] = multiply_int8_strips<V, Int4Source, true>;
  table.strips[static_cast<int>(FormatId::kBitmaskBf16)] = multiply_bitmask_bf16_strips<V>;
  table.strips[static_cast<int>(FormatId::kBitmaskInt8)] = multiply_int8_strips<V, BitmaskInt8Source, false>;
  table.add_strips[static_cast<int>(FormatId::kBitmaskInt8)] = multiply_int8_strips<V, BitmaskInt8Source, true>;
  table.strips[static_cast<int>(FormatId::kBitmaskInt4)] = multiply_int8_strips<V, BitmaskInt4Source, false>;
  table.add_strips[static_cast<int>(FormatId::kBitmaskInt4)] = multiply_int8_strips<V, BitmaskInt4Source, true>;
  table.strips[static_cast<int>(FormatId::kPermuteInt8)] = multiply_permute_strips<V, T, false, false>;
  table.add_strips[static_cast<int>(FormatId::kPermuteInt8)] = multiply_permute_strips<V, T, false, true>;
  table.strips[static_cast<int>(FormatId::kPermuteInt4)] = multiply_permute_strips<V, T, true, false>;
  table.add_strips[static_cast<int>(FormatId::kPermuteInt4)] = multiply_permute_strips<V, T, true, true>;
  table.strips[static_cast<int>(FormatId::kGapInt4)] = multiply_gap_strips<V, T, false>;
  table.add_strips[static_cast<int>(FormatId::kGapInt4)] = multiply_gap_strips<V, T, true>;
  table.strips[static_cast<int>(FormatId::kQuadInt8)] = multiply_quad_strips<V, T, false, false>;
  table.add_strips[static_cast<int>(FormatId::kQuadInt8)] = multiply_quad_strips<V, T, false, true>;
  table.strips[static_cast<int>(FormatId::kQuadInt4)] = multiply_quad_strips<V, T, true, false>;
  table.add_strips[static_cast<int>(FormatId::kQuadInt4)] = multiply_quad_strips<V, T, true, true>;
  const auto turned = [&]<class Choose>(FormatId format) {
    table.turned[static_cast<int>(format)] = multiply_turned<V, T, Choose, false>;
    table.add_turned[static_cast<int>(format)] = multiply_turned<V, T, Choose, true>;
  };
  turned.template operator()<ChoosePairSteps<V, false>>(FormatId::kPermuteInt8);
  turned.template operator()<ChoosePairSteps<V, true>>(FormatId::kPermuteInt4);
  turned.template operator()<ChooseGapSteps<V>>(FormatId::kGapInt4);
  turned.template operator()<ChooseQuadSteps<V, false>>(FormatId::kQuadInt8);
  turned.template operator()<ChooseQuadSteps<V, true>>(FormatId::kQuadInt4);
  table.least_turned_tokens = T::kLeastTokens;
  table.turn = turn_group<T>;
  table.quantize_turned = quantize_turned_columns<V, T>;
  table.turn_back = turn_back_columns<T, false>;
  table.turn_back_and_add = turn_back_columns<T, true>;
  table.add_to_turned = add_to_turned<V>;
  table.store_kv[static_cast<int>(KvType::kF32)] = store_kv_f32;
  table.store_kv[static_cast<int>(KvType::kBf16)] = store_kv_bf16;
  table.store_kv[static_cast<int>(KvType::kInt8)] = store_kv_int8;
  table.store_kv_positions[static_cast<int>(KvType::kF32)] = store_kv_positions<V, T, KvType::kF32>;
  table.store_kv_positions[static_cast<int>(KvType::kBf16)] = store_kv_positions<V, T, KvType::kBf16>;
  table.store_kv_positions[static_cast<int>(KvType::kInt8)] = store_kv_positions<V, T, KvType::kInt8>;
  table.attend[static_cast<int>(KvType::kF32)] = attend_run<V, KvF32>;
  table.attend[static_cast<int>(KvType::kBf16)] = attend_run<V, KvBf16>;
  table.attend[static_cast<int>(KvType::kInt8)] = attend_run<V, KvInt8>;
  table.store_latent[static_cast<int>(KvType::kF32)] = store_latent_f32;
  table.store_latent[static_cast<int>(KvType::kBf16)] = store_latent_bf16;
  table.store_latent[static_cast<int>(KvType::kInt8)] = store_latent_int8;
  table.attend_latent[static_cast<int>(KvType::kF32)] = attend_latent_run<V, KvF32>;
  table.attend_latent[static_cast<int>(KvType::kBf16)] = attend_latent_run<V, KvBf16>;
  table.attend_latent[static_cast<int>(KvType::kInt8)] = attend_latent_run<V, KvInt8>;
  table.combine_runs = combine_runs<V>;
  table.quantize = quantize_row<V>;
  table.quantize_wide = quantize_wide_row<V>;
  table.rms_norm = rms_norm_row<V>;
  table.layer_norm = layer_norm_row<V>;
  table.scale_by = scale_row_by<V>;
  table.add = add_rows<V>;
  table.scale = scale_row<V>;
  table.add_scaled = add_scaled_rows<V>;
  table.silu_gate = silu_gate_rows<V>;
  table.sigmoid = sigmoid_row<V>;
  table.gelu_tanh_gate = gelu_tanh_gate_rows<V>;
  table.clamped_swish_gate = clamped_swish_gate_rows<V>;
  table.gelu_erf = gelu_erf_row<V>;
  table.soft_cap = soft_cap_row<V>;
  table.rope = rope_head<V>;
  table.max_value = max_of_row<V>;
  table.sum_exp = sum_exp_of_row<V>;
  table.dot = dot_rows<V>;
  table.add_product = add_product<V>;
  return table;
}

}  // namespace colonnade::engine
