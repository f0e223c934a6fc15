#include "engine/base/thread_comm.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <cstring>
#include <thread>

#include "engine/base/self_comm.h"
#include "tests/support/comm_checks.h"

using namespace colonnade;

namespace {

/// Runs body(communicator) as every rank; Catch's macros are for one thread, so bodies return what was wrong.
template <typename Body>
std::vector<std::string> run_ranks(ThreadJob& job, const Body& body) {
  std::vector<std::vector<std::string>> found(static_cast<std::size_t>(job.size()));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < job.size(); ++rank)
    threads.emplace_back([&, rank] { found[static_cast<std::size_t>(rank)] = body(job.comm(rank)); });
  for (auto& thread : threads) thread.join();
  std::vector<std::string> all;
  for (const auto& lines : found) all.insert(all.end(), lines.begin(), lines.end());
  return all;
}

}  // namespace

TEST_CASE("one rank alone talks to itself and joins with itself") {
  const auto comm = make_self_communicator();
  CHECK(comm->size() == 1);
  CHECK(tests::communicator_failures(*comm, 20) == std::vector<std::string>{});
}

TEST_CASE("ranks as threads: messages, wake-ups and joins") {
  const int n_ranks = GENERATE(1, 2, 3, 4, 5, 7);
  CAPTURE(n_ranks);
  ThreadJob job(n_ranks);
  const auto failures = run_ranks(job, [](Communicator& comm) { return tests::communicator_failures(comm, 20); });
  CHECK(failures == std::vector<std::string>{});
}

TEST_CASE("both join algorithms give the same bits, at any number of threads a rank") {
  const int n_ranks = GENERATE(2, 3, 7);
  const auto algorithm = GENERATE(JoinAlgorithm::kDirect, JoinAlgorithm::kOwner);
  CAPTURE(n_ranks, static_cast<int>(algorithm));
  ThreadJob job(n_ranks, {.join = {.wait = wait_policy_for(n_ranks), .algorithm = algorithm}});
  std::vector<int> everybody;
  for (int rank = 0; rank < n_ranks; ++rank) everybody.push_back(rank);
  const auto failures =
      run_ranks(job, [&](Communicator& comm) { return tests::join_failures(comm, everybody, 30'001, 27, true); });
  CHECK(failures == std::vector<std::string>{});
}

namespace {

/// A team that runs its parts in reverse order and in the caller's thread.
class BackwardTeam final : public Parallel {
 public:
  int size() const override { return 3; }
  void run_raw(void (*function)(void*, int), void* context) override {
    ++runs;
    for (int thread = size() - 1; thread >= 0; --thread) function(context, thread);
  }
  void barrier() override { FAIL("its parts do not run together"); }
  int runs = 0;
};

}  // namespace

TEST_CASE("a large join is spread over the team and covers every element") {
  constexpr std::size_t kCount = 100'003;
  ThreadJob job(3);
  const std::vector<int> everybody{0, 1, 2};
  const auto failures = run_ranks(job, [&](Communicator& comm) -> std::vector<std::string> {
    BackwardTeam team;
    auto join = std::move(comm.make_join(everybody, kCount)).value();
    std::vector<float> x(kCount);
    float* mine = join->contribution();
    for (std::size_t i = 0; i < kCount; ++i) {
      mine[i] = tests::contribution_value(comm.rank(), 0, i);
      x[i] = 1.0f;
    }
    if (!join->reduce(x.data(), kCount, team).ok()) return {"reduce failed"};
    for (std::size_t i = 0; i < kCount; ++i) {
      float sum = 1.0f;
      for (int member = 0; member < 3; ++member) sum += tests::contribution_value(member, 0, i);
      if (std::memcmp(&sum, &x[i], sizeof sum) != 0) return {"element " + std::to_string(i) + " differs"};
    }
    return team.runs > 0 ? std::vector<std::string>{} : std::vector<std::string>{"the team was not used"};
  });
  CHECK(failures == std::vector<std::string>{});
}

TEST_CASE("a member that never comes gives a timeout that names it, and nobody hangs") {
  ThreadJob job(3, {.join = {.wait = wait_policy_for(3), .timeout_us = 100'000}});
  std::vector<ErrorCode> codes(3);
  std::vector<std::string> messages(3);
  const auto failures = run_ranks(job, [&](Communicator& comm) -> std::vector<std::string> {
    auto join = std::move(comm.make_join(std::vector<int>{0, 1, 2}, 64)).value();
    if (comm.rank() == 2) return {};
    float x[64] = {};
    SerialParallel serial;
    const Status done = join->reduce(x, 64, serial);
    if (done.ok()) return {"a join without one of its members succeeded"};
    codes[static_cast<std::size_t>(comm.rank())] = done.error().code;
    messages[static_cast<std::size_t>(comm.rank())] = done.error().message;
    return {};
  });
  CHECK(failures == std::vector<std::string>{});
  int timeouts = 0;
  for (std::size_t rank = 0; rank < 2; ++rank) {
    CHECK((codes[rank] == ErrorCode::kTimeout || codes[rank] == ErrorCode::kUnavailable));
    if (codes[rank] != ErrorCode::kTimeout) continue;
    ++timeouts;
    CHECK(messages[rank].find("rank 2 did not come") != std::string::npos);
  }
  CHECK(timeouts >= 1);
}

TEST_CASE("ending a job wakes those who receive and those who join") {
  ThreadJob job(3);
  const auto start = std::chrono::steady_clock::now();
  const auto failures = run_ranks(job, [&](Communicator& comm) -> std::vector<std::string> {
    Status status;
    if (comm.rank() == 0) {
      auto join = std::move(comm.make_join(std::vector<int>{0, 1}, 16)).value();
      float x[16] = {};
      SerialParallel serial;
      status = join->reduce(x, 16, serial);
    } else if (comm.rank() == 1) {
      std::vector<std::byte> out;
      status = comm.receive(0, Channel::kStep, out);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      job.end();
      return {};
    }
    if (status.ok() || status.error().code != ErrorCode::kUnavailable) return {"no kUnavailable after end()"};
    return {};
  });
  CHECK(failures == std::vector<std::string>{});
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}
