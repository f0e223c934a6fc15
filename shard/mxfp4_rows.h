// MXFP4 as gpt-oss checkpoints store it: for 32 columns 16 bytes of E2M1 pairs, the even column in the low bits, and an E8M0
// scale in a tensor of its own. OCP Microscaling Formats 1.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "shard/tensor_rows.h"

namespace colonnade::shard {

inline constexpr std::uint64_t kMxfp4Block = 32;

/// `groups` blocks a row.
std::shared_ptr<const RowReader> mxfp4_rows(const std::byte* blocks, const std::byte* scales, std::uint64_t groups);

}  // namespace colonnade::shard
