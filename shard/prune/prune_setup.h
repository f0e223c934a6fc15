// Before the first layer is pruned: what identifies the work, and that all ranks mean the same.
#pragma once

#include <memory>
#include <string>

#include "engine/platform/team.h"
#include "shard/prune/prune_model.h"
#include "shard/prune/rank_group.h"
#include "shard/source_model.h"

namespace colonnade::shard {

/// Everything that the result depends on.
Result<std::string> prune_task(const std::filesystem::path& source, const PruneOptions& options);

/// kInvalidArgument, and which option it is, where a rank was given others than rank 0. Collective.
Status check_same_options(RankGroup& group, const PruneOptions& options);

/// The calibration text of rank 0 on all; kInvalidArgument where it does not suit the model, or where a rank has another model. Collective.
Status share_windows(RankGroup& group, const SourceModel& model, PruneOptions& options);

/// The cores of this rank: ranks of one host share them out.
Result<std::unique_ptr<engine::ThreadTeam>> prune_team(const Communicator& comm, int threads);

}  // namespace colonnade::shard
