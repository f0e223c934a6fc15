// The weights of a strip that are left, as entries: quantised with one bf16 scale for each row and kWideGroup columns.
// What index-permute and gap formats share.
#pragma once

#include <cstddef>

#include "engine/formats/permute_layout.h"
#include "engine/formats/permute_schedule.h"

namespace colonnade::engine {

/// Group `g` of a strip's columns: sets the scales, and no donors, of `group`; entries that round to 0 are left out.
/// `weights` is (n_rows, cols) with row stride `stride`. int4: values -8 … 7, else -127 … 127.
PermuteRows quantize_group(const float* weights, std::size_t stride, int n_rows, std::size_t g, std::size_t cols, bool int4,
                           PermuteGroup& group);

}  // namespace colonnade::engine
