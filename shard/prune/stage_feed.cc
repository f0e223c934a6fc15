#include "shard/prune/stage_feed.h"

#include "engine/base/self_comm.h"

namespace colonnade::shard {

StageFeed::StageFeed(bool first_stage)
    : rank_(first_stage ? 0 : 1),
      stage_ranks_(first_stage ? std::vector<std::vector<int>>{{0}, {1}} : std::vector<std::vector<int>>{{0}, {1}, {2}}),
      self_(make_self_communicator()) {}

Status StageFeed::send(int, Channel, std::span<const std::byte> bytes) {
  taken_.assign(bytes.begin(), bytes.end());
  return {};
}

Result<bool> StageFeed::try_receive(int, Channel, std::vector<std::byte>& out) {
  COLONNADE_CHECK(!given_.empty(), "a step was run without activations");
  out.assign(given_.begin(), given_.end());
  given_ = {};
  return true;
}

Result<std::unique_ptr<Join>> StageFeed::make_join(std::span<const int> members, std::size_t max_floats) {
  COLONNADE_CHECK(members.size() == 1, "a stage of calibration has one rank");
  const int alone[] = {0};
  return self_->make_join(alone, max_floats);
}

}  // namespace colonnade::shard
