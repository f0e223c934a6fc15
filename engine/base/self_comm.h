// One rank alone: a communicator without anybody to talk to.
#pragma once

#include <memory>

#include "engine/base/comm.h"

namespace colonnade {

/// Messages to rank 0 come back to it; a join adds the one contribution.
std::unique_ptr<Communicator> make_self_communicator();

}  // namespace colonnade
