#include "engine/base/shared_join.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"

namespace colonnade {
namespace {

constexpr std::size_t kLine = 64;                       // bytes of a cache line, floats are padded to it
constexpr std::size_t kGatherBytes = std::size_t{1} << 16;  // of one member in one round of all_gather
constexpr std::size_t kBlockFloats = 2048;              // 8 KiB of sums stay in L1 while contributions pass by
// Waking a team costs about as much as adding this many floats on one core.
constexpr std::size_t kFloatsPerThread = 8192;
// Up to here, bytes read from others by "direct" cost less than the second barrier of "owner".
constexpr std::size_t kDirectBytes = std::size_t{1} << 17;
constexpr std::int64_t kSliceUs = 200'000;              // how often a sleeping member looks at the clock
constexpr std::int64_t kBusySliceUs = 50;               // … while other traffic needs polling

/// Memory: Header, one Flag per member, totals (max_floats), contributions (2, members, max_floats), gather slots
/// (2, members, kGatherBytes). Zeroed memory is valid.
struct alignas(kLine) Header {
  std::atomic<std::uint32_t> ended;
};
/// Rings once per barrier, so its count is the number of barriers that the member has come to.
struct alignas(kLine) Flag {
  Doorbell arrived;
};

Header& header_of(std::byte* memory) { return *reinterpret_cast<Header*>(memory); }
Flag& flag_of(std::byte* memory, int member) {
  return reinterpret_cast<Flag*>(memory + sizeof(Header))[member];
}

constexpr std::size_t padded_floats(std::size_t floats) { return (floats + 15) / 16 * 16; }
std::size_t totals_offset(int members) { return sizeof(Header) + static_cast<std::size_t>(members) * sizeof(Flag); }

}  // namespace

std::size_t shared_join_bytes(int members, std::size_t max_floats) {
  const auto n = static_cast<std::size_t>(members);
  return totals_offset(members) + padded_floats(max_floats) * sizeof(float) * (1 + 2 * n) + 2 * n * kGatherBytes;
}

void shared_join_end(std::byte* memory, int members) {
  header_of(memory).ended.store(1, std::memory_order_seq_cst);
  for (int member = 0; member < members; ++member) flag_of(memory, member).arrived.ring(FutexScope::kShared);
}

SharedJoin::SharedJoin(std::byte* memory, std::span<const int> ranks, int index, std::size_t max_floats,
                       JoinOptions options, Traffic* progress, std::shared_ptr<void> keep_alive)
    : memory_(memory), ranks_(ranks.begin(), ranks.end()), index_(index), max_floats_(padded_floats(max_floats)),
      options_(options), progress_(progress), keep_alive_(std::move(keep_alive)) {
  COLONNADE_CHECK(reinterpret_cast<std::uintptr_t>(memory) % kLine == 0, "join memory is not aligned");
  COLONNADE_CHECK(index >= 0 && index < size(), "member outside of its join");
}

float* SharedJoin::total() { return reinterpret_cast<float*>(memory_ + totals_offset(size())); }

float* SharedJoin::buffer(unsigned parity, int member) const {
  const auto n = static_cast<std::size_t>(size());
  const std::size_t slot = 1 + parity * n + static_cast<std::size_t>(member);
  return reinterpret_cast<float*>(memory_ + totals_offset(size())) + slot * max_floats_;
}

std::byte* SharedJoin::gather_slot(unsigned parity, int member) const {
  const auto n = static_cast<std::size_t>(size());
  std::byte* slots = memory_ + totals_offset(size()) + (1 + 2 * n) * max_floats_ * sizeof(float);
  return slots + (parity * n + static_cast<std::size_t>(member)) * kGatherBytes;
}

float* SharedJoin::contribution() { return buffer(parity_, index_); }

Status SharedJoin::wait_for(int member, std::uint32_t sequence) {
  Doorbell& bell = flag_of(memory_, member).arrived;
  const std::atomic<std::uint32_t>& ended = header_of(memory_).ended;
  const auto ready = [&] {
    return static_cast<std::int32_t>(bell.count() - sequence) >= 0 || ended.load(std::memory_order_acquire) != 0;
  };
  if (!ready()) {
    WaitPolicy policy = options_.wait;
    std::int64_t start = -1;  // the clock is read only by those who really wait
    for (;;) {
      const bool busy = progress_ != nullptr && progress_->poll();
      std::int64_t slice = busy ? kBusySliceUs : kSliceUs;
      if (start >= 0 && options_.timeout_us >= 0) {
        const std::int64_t left = start + options_.timeout_us - now_us();
        if (left <= 0) {
          shared_join_end(memory_, size());
          return Error{ErrorCode::kTimeout,
                       text("rank ", ranks_[static_cast<std::size_t>(member)], " did not come to a join within ",
                            static_cast<double>(options_.timeout_us) * 1e-6, " s")};
        }
        slice = std::min(slice, left);
      }
      if (start < 0) {
        start = now_us();
        if (options_.timeout_us >= 0) slice = std::min(slice, options_.timeout_us);
      }
      if (bell.wait(policy, slice, FutexScope::kShared, ready)) break;
      policy = WaitPolicy{0, 0};  // it has spun once; from here on only sleep
    }
  }
  if (ended.load(std::memory_order_acquire) != 0)
    return Error{ErrorCode::kUnavailable,
                 text("rank ", ranks_[static_cast<std::size_t>(index_)], ": the join was ended, a member is gone")};
  return {};
}

Status SharedJoin::meet() {
  // Also where nobody needs to be waited for: a stage of one rank has no other place for it.
  if (progress_ != nullptr) (void)progress_->poll();
  ++sequence_;
  flag_of(memory_, index_).arrived.ring(FutexScope::kShared);
  for (int member = 0; member < size(); ++member)
    if (member != index_) COLONNADE_TRY(wait_for(member, sequence_));
  return {};
}

bool SharedJoin::is_direct(std::size_t count) const {
  if (options_.algorithm != JoinAlgorithm::kAuto) return options_.algorithm == JoinAlgorithm::kDirect;
  const auto others = static_cast<std::size_t>(size() - 1);
  return others <= 1 || others * count * sizeof(float) <= kDirectBytes;
}

/// sum[i] += contribution of member 0 [i], then of member 1, … for begin <= i < end.
void SharedJoin::add_contributions(float* sum, std::size_t begin, std::size_t end) const {
  for (std::size_t block = begin; block < end; block += kBlockFloats) {
    const std::size_t block_end = std::min(end, block + kBlockFloats);
    for (int member = 0; member < size(); ++member) {
      const float* __restrict from = buffer(parity_, member);
      float* __restrict to = sum;
      for (std::size_t i = block; i < block_end; ++i) to[i] += from[i];
    }
  }
}

namespace {

/// Calls function(begin, end) over parts of [begin, end), on several threads where that pays.
template <typename Function>
void spread(Parallel& team, std::size_t begin, std::size_t end, const Function& function) {
  const std::size_t count = end - begin;
  const auto wanted = static_cast<int>(std::min<std::size_t>(count / kFloatsPerThread, 1024));
  const int parts = std::min(team.size(), wanted);
  if (parts <= 1) {
    if (count > 0) function(begin, end);
    return;
  }
  team.run([&](int thread) {
    if (thread >= parts) return;
    const Range range = part_of(count, thread, parts, 16);
    if (range.begin < range.end) function(begin + range.begin, begin + range.end);
  });
}

}  // namespace

Status SharedJoin::reduce(float* x, std::size_t count, Parallel& team) {
  COLONNADE_CHECK(count <= max_floats_, "more floats than the join was made for");
  COLONNADE_TRY(meet());
  if (is_direct(count)) {
    spread(team, 0, count, [&](std::size_t begin, std::size_t end) { add_contributions(x, begin, end); });
    turn_buffers();
    return {};
  }
  float* sums = total();
  const Range mine = part_of(count, index_, size(), 16);
  spread(team, mine.begin, mine.end, [&](std::size_t begin, std::size_t end) {
    std::memcpy(sums + begin, x + begin, (end - begin) * sizeof(float));
    add_contributions(sums, begin, end);
  });
  turn_buffers();
  COLONNADE_TRY(meet());
  spread(team, 0, count, [&](std::size_t begin, std::size_t end) {
    std::memcpy(x + begin, sums + begin, (end - begin) * sizeof(float));
  });
  return {};
}

Status SharedJoin::add_up(std::size_t count, Parallel& team) {
  COLONNADE_CHECK(count <= max_floats_, "more floats than the join was made for");
  COLONNADE_TRY(meet());
  float* sums = total();
  const Range mine = part_of(count, index_, size(), 16);
  spread(team, mine.begin, mine.end, [&](std::size_t begin, std::size_t end) {
    std::memset(sums + begin, 0, (end - begin) * sizeof(float));
    add_contributions(sums, begin, end);
  });
  turn_buffers();
  return meet();
}

Status SharedJoin::all_gather(const void* mine, std::size_t bytes_each, void* out) {
  const auto* from = static_cast<const std::byte*>(mine);
  auto* to = static_cast<std::byte*>(out);
  for (std::size_t done = 0; done < bytes_each; done += kGatherBytes) {
    const std::size_t round = std::min(kGatherBytes, bytes_each - done);
    std::memcpy(gather_slot(gather_parity_, index_), from + done, round);
    COLONNADE_TRY(meet());
    for (int member = 0; member < size(); ++member)
      std::memcpy(to + static_cast<std::size_t>(member) * bytes_each + done, gather_slot(gather_parity_, member), round);
    gather_parity_ ^= 1u;
  }
  return {};
}

}  // namespace colonnade
