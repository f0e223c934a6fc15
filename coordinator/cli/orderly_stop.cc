#include "coordinator/cli/orderly_stop.h"

#include <csignal>

#include "coordinator/cli/launch.h"
#include "worker/mpi_job.h"

namespace colonnade::cli {

OrderlyStop::OrderlyStop() {
  if (const auto launched = worker::launched_rank(); launched && launched->size > 1) return;
  signals_.emplace();
  watcher_ = std::thread([this] { watch(); });
}

OrderlyStop::~OrderlyStop() {
  if (!signals_) return;
  done_ = true;
  signals_->ring();
  watcher_.join();
}

void OrderlyStop::watch() {
  while (!done_ && signals_->count() == 0) signals_->wait(-1);
  if (signals_->count() == 0) return;
  const int number = signals_->last();
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  stop_jobs_for_good();
  std::raise(number);
}

}  // namespace colonnade::cli
