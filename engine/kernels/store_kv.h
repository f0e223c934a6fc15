// Writing one position into a KV page: a plain scatter, the same code for every instruction set.
#pragma once

#include <cstddef>

namespace colonnade::engine {

/// See StoreKvFunction in kernels.h.
void store_kv_f32(const float* key, const float* value, int head_dim, int slot, std::byte* block);
void store_kv_bf16(const float* key, const float* value, int head_dim, int slot, std::byte* block);
void store_kv_int8(const float* key, const float* value, int head_dim, int slot, std::byte* block);

/// See StoreLatentFunction.
void store_latent_f32(const float* row, int latent_dim, int row_dim, int slot, std::byte* block);
void store_latent_bf16(const float* row, int latent_dim, int row_dim, int slot, std::byte* block);
void store_latent_int8(const float* row, int latent_dim, int row_dim, int slot, std::byte* block);

}  // namespace colonnade::engine
