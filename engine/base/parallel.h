// Parallel: "run this on every core of the rank". The thread team (engine/platform/team.h) implements it; code
// that only wants to spread work takes this interface.
#pragma once

#include <cstddef>
#include <utility>

namespace colonnade {

class Parallel {
 public:
  virtual ~Parallel() = default;

  /// Number of threads that run() uses, the caller included.
  virtual int size() const = 0;

  /// Calls function(context, thread) for thread = 0 … size()-1 and returns when all have returned. The caller is
  /// thread 0. Not re-entrant; only the owner calls it. Allocates nothing.
  virtual void run_raw(void (*function)(void* context, int thread), void* context) = 0;

  /// Inside run(): waits until every thread has come here; all must. Cheaper than to end run() and begin another.
  virtual void barrier() = 0;

  /// run_raw() for a callable `void(int thread)`.
  template <typename Function>
  void run(Function&& function) {
    auto call = [](void* context, int thread) { (*static_cast<std::remove_reference_t<Function>*>(context))(thread); };
    run_raw(call, const_cast<void*>(static_cast<const void*>(&function)));
  }
};

/// One thread: the caller.
class SerialParallel final : public Parallel {
 public:
  int size() const override { return 1; }
  void run_raw(void (*function)(void*, int), void* context) override { function(context, 0); }
  void barrier() override {}
};

/// The part [begin, end) of `count` items that `part` of `parts` handles; parts are contiguous, differ by at most
/// one granule of `granule` items, and cover everything.
struct Range {
  std::size_t begin;
  std::size_t end;
};
inline Range part_of(std::size_t count, int part, int parts, std::size_t granule = 1) {
  const std::size_t granules = (count + granule - 1) / granule;
  const auto p = static_cast<std::size_t>(part);
  const auto n = static_cast<std::size_t>(parts);
  const std::size_t begin = granules * p / n * granule;
  const std::size_t end = granules * (p + 1) / n * granule;
  return {begin < count ? begin : count, end < count ? end : count};
}

}  // namespace colonnade
