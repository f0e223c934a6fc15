// Stands in for the stages before and after the one that calibration runs: hands in activations and takes them out.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/base/comm.h"

namespace colonnade::shard {

/// One thread. The middle one of three stages of a rank each, or the first of two.
class StageFeed final : public Communicator {
 public:
  explicit StageFeed(bool first_stage);

  /// What the next step receives from the stage before. Must stay until then.
  void give(std::span<const float> activations) { given_ = std::as_bytes(activations); }
  /// What the last step sent to the stage after it.
  std::span<const std::byte> taken() const { return taken_; }
  /// By stage, for make_executor.
  const std::vector<std::vector<int>>& stage_ranks() const { return stage_ranks_; }

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(stage_ranks_.size()); }
  std::string transport() const override { return "calibration"; }
  Status send(int to, Channel channel, std::span<const std::byte> bytes) override;
  Result<bool> try_receive(int from, Channel channel, std::vector<std::byte>& out) override;
  void wait(std::int64_t) override {}
  void wake() override {}
  Result<std::unique_ptr<Join>> make_join(std::span<const int> members, std::size_t max_floats) override;
  std::vector<int> host_mates() const override { return {rank_}; }

 private:
  int rank_;
  std::vector<std::vector<int>> stage_ranks_;
  std::unique_ptr<Communicator> self_;
  std::span<const std::byte> given_;
  std::vector<std::byte> taken_;
};

}  // namespace colonnade::shard
