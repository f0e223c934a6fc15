// For commands that start jobs and listen to no signals themselves.
#pragma once

#include <atomic>
#include <optional>
#include <thread>

#include "coordinator/cli/stop_signals.h"

namespace colonnade::cli {

/// While it lives, SIGINT and SIGTERM still end this process, but first its jobs: their processes leave, and nothing of them stays in
/// temporary folders. A second signal ends it at once. Does nothing under a launcher, which tells every rank itself. Lives longer than all jobs.
class OrderlyStop {
 public:
  OrderlyStop();
  ~OrderlyStop();
  OrderlyStop(const OrderlyStop&) = delete;
  OrderlyStop& operator=(const OrderlyStop&) = delete;

 private:
  void watch();

  std::optional<StopSignals> signals_;
  std::atomic<bool> done_{false};
  std::thread watcher_;
};

}  // namespace colonnade::cli
