#include "tests/support/comm_checks.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>

#include "engine/base/format_text.h"

namespace colonnade::tests {
namespace {

using Bytes = std::vector<std::byte>;

std::uint32_t mix(std::uint32_t value) {
  value ^= value >> 16;
  value *= 0x7feb352du;
  value ^= value >> 15;
  value *= 0x846ca68bu;
  return value ^ (value >> 16);
}

Bytes message(int from, int to, int channel, int number, std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>(mix(static_cast<std::uint32_t>(from * 7919 + to * 104729 + channel * 31 + number * 13 +
                                                                     static_cast<int>(i))));
  return bytes;
}

/// Sizes around what MPI sends eagerly, and beyond.
std::size_t message_size(int number) {
  constexpr std::size_t kSizes[] = {0, 1, 7, 64, 1000, 4096, 4097, 40'000, 300'001};
  return kSizes[static_cast<std::size_t>(number) % std::size(kSizes)];
}

/// All ranks send to all (themselves too) on several channels before anybody receives, so nothing may wait for a
/// receiver; then channels are read in another order than they were written.
void check_messages(Communicator& comm, int rounds, std::vector<std::string>& failures) {
  constexpr Channel kUsed[] = {Channel::kStep, Channel::kActivations, Channel::kResults};
  for (int number = 0; number < rounds; ++number)
    for (int to = 0; to < comm.size(); ++to)
      for (const Channel channel : kUsed) {
        const Status sent =
            comm.send(to, channel, message(comm.rank(), to, static_cast<int>(channel), number, message_size(number)));
        if (!sent.ok()) failures.push_back("send: " + sent.error().message);
      }
  Bytes got;
  for (int c = 2; c >= 0; --c)
    for (int from = comm.size() - 1; from >= 0; --from)
      for (int number = 0; number < rounds; ++number) {
        const Channel channel = kUsed[c];
        const Status received = comm.receive(from, channel, got, 20'000'000);
        if (!received.ok()) {
          failures.push_back("receive: " + received.error().message);
          return;
        }
        if (got != message(from, comm.rank(), static_cast<int>(channel), number, message_size(number)))
          failures.push_back(text("rank ", comm.rank(), ": message ", number, " from ", from, " on channel ", c,
                                  " differs, ", got.size(), " bytes"));
      }
  Bytes none;
  for (int from = 0; from < comm.size(); ++from) {
    const auto extra = comm.try_receive(from, Channel::kSetup, none);
    if (!extra.ok() || *extra) failures.push_back("a message on a channel that nobody used");
  }
}

void check_wake(Communicator& comm, std::vector<std::string>& failures) {
  comm.wait(0);
  comm.wake();
  const auto start = std::chrono::steady_clock::now();
  comm.wait(5'000'000);
  const auto waited = std::chrono::steady_clock::now() - start;
  if (waited > std::chrono::seconds(4)) failures.push_back("wake() did not end the next wait()");
  Bytes none;
  const Status nothing = comm.receive(comm.rank(), Channel::kCandidates, none, 20'000);
  if (nothing.ok() || nothing.error().code != ErrorCode::kTimeout)
    failures.push_back("receive() without a message must time out");
}

/// A message that came while another was asked for ends the next wait(), though nothing arrives after it.
void check_untold(Communicator& comm, std::vector<std::string>& failures) {
  const int next = (comm.rank() + 1) % comm.size();
  const int previous = (comm.rank() + comm.size() - 1) % comm.size();
  Bytes bytes;
  // Sent only to those who have said that they do not wait.
  (void)comm.send(previous, Channel::kResults, bytes);
  bool sent = false;
  const auto asked_until = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  while (!sent || std::chrono::steady_clock::now() < asked_until) {
    const auto asked = comm.try_receive(next, Channel::kResults, bytes);
    if (asked.ok() && *asked) sent = comm.send(next, Channel::kStep, message(comm.rank(), next, 0, 0, 64)).ok();
    const auto other = comm.try_receive(previous, Channel::kHeartbeat, bytes);
    if (!asked.ok() || !other.ok() || *other) return failures.push_back("a failure, or a message that nobody sent");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  // The neighbour may be late, and wait() may return early: only one that slept its whole time missed the message.
  bool got = false;
  bool slept = false;
  while (!got && !slept) {
    const auto start = std::chrono::steady_clock::now();
    comm.wait(10'000'000);
    slept = std::chrono::steady_clock::now() - start > std::chrono::seconds(9);
    const auto received = comm.try_receive(previous, Channel::kStep, bytes);
    if (!received.ok()) return failures.push_back("try_receive: " + received.error().message);
    got = *received;
  }
  if (slept) failures.push_back("wait() slept though a message had come");
  if (got && bytes != message(previous, comm.rank(), 0, 0, 64)) failures.push_back("the message differs");
}

void check_ring(Communicator& comm, int rounds, std::vector<std::string>& failures) {
  const int next = (comm.rank() + 1) % comm.size();
  const int previous = (comm.rank() + comm.size() - 1) % comm.size();
  Bytes token(8, std::byte{0});
  for (int round = 0; round < rounds; ++round) {
    if (comm.rank() == 0) (void)comm.send(next, Channel::kActivations, token);
    if (const Status got = comm.receive(previous, Channel::kActivations, token, 20'000'000); !got.ok()) {
      failures.push_back("ring: " + got.error().message);
      return;
    }
    token[0] = static_cast<std::byte>(std::to_integer<int>(token[0]) + 1);
    if (comm.rank() != 0) (void)comm.send(next, Channel::kActivations, token);
  }
  if (comm.rank() == 0 && std::to_integer<int>(token[0]) != ((rounds * comm.size()) & 255))
    failures.push_back("a token that went round the ring was lost or doubled");
}

}  // namespace

float contribution_value(int member, int round, std::size_t i) {
  const std::uint32_t bits = mix(static_cast<std::uint32_t>(i) * 2654435761u + static_cast<std::uint32_t>(member * 977 + round));
  const float mantissa = static_cast<float>(bits & 0xffffffu) / 16777216.0f - 0.5f;
  return std::ldexp(mantissa, static_cast<int>(bits >> 28));
}

std::vector<std::string> join_failures(Communicator& comm, const std::vector<int>& members, std::size_t max_floats,
                                       int rounds, bool exact_order) {
  std::vector<std::string> failures;
  auto made = comm.make_join(members, max_floats);
  if (!made.ok()) return {"make_join: " + made.error().message};
  Join& join = **made;
  const int n = static_cast<int>(members.size());
  if (join.size() != n || members[static_cast<std::size_t>(join.index())] != comm.rank())
    failures.push_back("a join with a wrong size or index");
  SerialParallel serial;
  const std::size_t sizes[] = {0, 1, 15, 16, 17, 1000, 4099, max_floats / 2 + 1, max_floats};
  std::vector<float> x(max_floats);
  std::vector<float> expected(max_floats);
  for (int round = 0; round < rounds; ++round) {
    const std::size_t count = std::min(max_floats, sizes[static_cast<std::size_t>(round) % std::size(sizes)]);
    float* mine = join.contribution();
    if (reinterpret_cast<std::uintptr_t>(mine) % 64 != 0) failures.push_back("a contribution is not 64-byte aligned");
    for (std::size_t i = 0; i < count; ++i) {
      mine[i] = contribution_value(join.index(), round, i);
      x[i] = expected[i] = contribution_value(-1, round, i);
      for (int member = 0; member < n; ++member) expected[i] += contribution_value(member, round, i);
    }
    if (const Status done = join.reduce(x.data(), count, serial); !done.ok()) {
      failures.push_back("reduce: " + done.error().message);
      return failures;
    }
    if (exact_order) {
      if (count > 0 && std::memcmp(x.data(), expected.data(), count * sizeof(float)) != 0)
        failures.push_back(text("rank ", comm.rank(), " round ", round, ": a sum of ", count, " floats differs"));
    } else {
      for (std::size_t i = 0; i < count; ++i)
        if (!(std::abs(x[i] - expected[i]) <= 0.05f)) {
          failures.push_back(text("round ", round, ": sum ", i, " is ", x[i], " and not ", expected[i]));
          break;
        }
    }
    // Every member must have the same bits: gather all of the results and compare.
    const std::size_t bytes = std::min<std::size_t>(count * sizeof(float), round % 3 == 0 ? 200'000 : 96);
    std::vector<std::byte> all(bytes * members.size());
    if (const Status done = join.all_gather(x.data(), bytes, all.data()); !done.ok()) {
      failures.push_back("all_gather: " + done.error().message);
      return failures;
    }
    for (std::size_t member = 0; bytes > 0 && member < members.size(); ++member)
      if (std::memcmp(all.data() + member * bytes, x.data(), bytes) != 0)
        failures.push_back(text("round ", round, ": member ", member, " has other bits"));
    // … and that places are in member order.
    const int rank = comm.rank();
    std::vector<int> ranks(members.size());
    if (!join.all_gather(&rank, sizeof rank, ranks.data()).ok() || ranks != members)
      failures.push_back("all_gather gave the members in another order");
  }
  return failures;
}

std::vector<std::string> communicator_failures(Communicator& comm, int rounds) {
  std::vector<std::string> failures;
  const auto add = [&](std::vector<std::string> more) { failures.insert(failures.end(), more.begin(), more.end()); };
  check_messages(comm, std::min(rounds, 18), failures);
  check_wake(comm, failures);
  check_untold(comm, failures);
  check_ring(comm, rounds, failures);
  const bool one_host = static_cast<int>(comm.host_mates().size()) == comm.size();
  std::vector<int> everybody(static_cast<std::size_t>(comm.size()));
  for (int rank = 0; rank < comm.size(); ++rank) everybody[static_cast<std::size_t>(rank)] = rank;
  add(join_failures(comm, everybody, 50'001, rounds, one_host));
  // Two groups at the same time, as two stages have them.
  std::vector<int> group;
  for (const int rank : everybody)
    if ((rank < (comm.size() + 1) / 2) == (comm.rank() < (comm.size() + 1) / 2)) group.push_back(rank);
  add(join_failures(comm, group, 777, rounds, one_host));
  add(join_failures(comm, {comm.rank()}, 100, 3, true));
  return failures;
}

}  // namespace colonnade::tests
