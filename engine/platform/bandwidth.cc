// How fast the granted CPUs read memory: the yardstick for everything else.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>

#include "engine/base/clock.h"
#include "engine/platform/memory.h"
#include "engine/platform/team.h"
#include "engine/platform/topology.h"

namespace colonnade::engine {
namespace {

/// Between two looks at the clock; large against a clock read, small against a pass over DRAM.
constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
constexpr std::size_t kStep = 512;  // bytes a loop round reads

/// Reads `bytes` (a multiple of kStep) through registers of Vector; the sum keeps the compiler from dropping the
/// loads. Eight chains, so that load latency is hidden.
template <typename Vector>
[[gnu::always_inline]] inline std::uint64_t sum_words(const std::byte* data, std::size_t bytes) {
  Vector sums[8] = {};
  constexpr std::size_t kRound = 8 * sizeof(Vector);
  for (std::size_t at = 0; at < bytes; at += kRound) {
    for (std::size_t i = 0; i < 8; ++i) {
      Vector value;
      std::memcpy(&value, data + at + i * sizeof(Vector), sizeof(Vector));
      sums[i] ^= value;
    }
  }
  std::uint64_t total = 0;
  for (const Vector& sum : sums)
    for (std::size_t i = 0; i < sizeof(Vector) / 8; ++i) total += static_cast<std::uint64_t>(sum[i]);
  return total;
}

using Words2 = std::uint64_t __attribute__((vector_size(16)));
std::uint64_t read_16(const std::byte* data, std::size_t bytes) { return sum_words<Words2>(data, bytes); }

#if defined(__x86_64__)
using Words4 = std::uint64_t __attribute__((vector_size(32)));
using Words8 = std::uint64_t __attribute__((vector_size(64)));
[[gnu::target("avx2")]] std::uint64_t read_32(const std::byte* data, std::size_t bytes) {
  return sum_words<Words4>(data, bytes);
}
[[gnu::target("avx512f")]] std::uint64_t read_64(const std::byte* data, std::size_t bytes) {
  return sum_words<Words8>(data, bytes);
}
#endif

using Reader = std::uint64_t (*)(const std::byte*, std::size_t);
Reader widest_reader() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return read_64;
  if (__builtin_cpu_supports("avx2")) return read_32;
#endif
  return read_16;
}

}  // namespace

double measure_read_bandwidth(const std::vector<int>& cpus, std::uint64_t bytes_each, double seconds) {
  auto team = ThreadTeam::make(cpus, 1, 20);
  if (!team.ok()) return 0;
  const std::size_t bytes = std::max<std::size_t>(bytes_each / kStep * kStep, kStep);
  const Reader read = widest_reader();
  std::vector<double> rates(cpus.size(), 0);
  std::vector<char> failed(cpus.size(), 0);
  std::atomic<std::uint64_t> sink{0};
  (*team)->run([&](int thread) {
    const auto me = static_cast<std::size_t>(thread);
    auto memory = HugeMemory::allocate(bytes, -1);  // on the node of the thread that touches it first
    failed[me] = !memory.ok();
    if (memory.ok()) std::memset(memory->data(), 1, bytes);
    (*team)->barrier();
    if (std::find(failed.begin(), failed.end(), 1) != failed.end()) return;  // seen by all alike
    std::uint64_t sum = read(memory->data(), std::min(bytes, std::size_t{64} << 20));
    (*team)->barrier();
    const double start = now_seconds();
    double now = start;
    double done = 0;
    for (std::size_t at = 0; now - start < seconds; now = now_seconds()) {
      // Small buffers are read several times between two looks.
      for (std::size_t chunk = 0; chunk < kChunkBytes;) {
        const std::size_t n = std::min(kChunkBytes, bytes - at);
        sum += read(memory->data() + at, n);
        at = at + n < bytes ? at + n : 0;
        chunk += n;
        done += static_cast<double>(n);
      }
    }
    rates[me] = done / (now - start);
    sink.fetch_add(sum, std::memory_order_relaxed);
  });
  double total = 0;
  for (const double rate : rates) total += rate;
  return total;
}

}  // namespace colonnade::engine
