// Sharing out the blocks of one stage among its ranks. Part of make_plan (shard/plan.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace colonnade::shard {

/// Blocks that are alike, so that what one leaves unevenly shared the next can make up for.
enum class BlockClass { kAttention, kFeedForward, kSharedExpert, kLatent, kVocabulary };
inline constexpr int kBlockClasses = 5;

/// A block as a row of units (paths, or query heads of shared KV heads) that are handed out in contiguous runs.
struct Block {
  BlockClass block_class = BlockClass::kFeedForward;
  bool settles = false;            // makes up for what all classes before it left uneven, not only its own
  std::vector<double> unit_bytes = {};
};

/// Rank r of the stage gets units [cuts[r], cuts[r + 1]); one more entry than ranks.
using Cuts = std::vector<std::uint32_t>;

/// Cuts every block so that each rank gets its share (shares add up to 1) within one unit, of every block and of all
/// blocks of a class together: where a boundary falls inside a unit it goes to the nearer side, and the difference
/// moves the same boundary in the next block of the class. Then gives ranks that got nothing a unit of those that
/// have several. Deterministic.
std::vector<Cuts> share_blocks(std::span<const Block> blocks, std::span<const double> shares);

}  // namespace colonnade::shard
