#include "engine/platform/memory.h"

#include <numa.h>
#include <numaif.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/units.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

enum PageKind : int { kSmallPages = 0, kTransparent = 1, kHugetlb = 2 };

/// First number in a file of /sys; 0 when there is none.
std::uint64_t read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  return file >> value ? value : 0;
}

std::uint64_t reserved_pages_free(int node) {
  const std::string folder = node < 0 ? std::string("/sys/kernel/mm") : text("/sys/devices/system/node/node", node);
  return read_number(folder + "/hugepages/hugepages-2048kB/free_hugepages");
}

bool transparent_pages_allowed() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  return std::getline(file, line) && line.find("[never]") == std::string::npos;
}

/// Whether libnuma can be asked at all: no in kernels without NUMA and where a container forbids get_mempolicy.
bool numa_works() {
  static const bool works = numa_available() >= 0;
  return works;
}

/// Prefers rather than binds: when a node runs full by a few pages, slow memory is better than being killed.
Status prefer_node(void* address, std::size_t bytes, int node) {
  if (node < 0) return {};
  if (!numa_works()) {
    // First touch by pinned threads places the memory instead.
    static std::atomic<bool> told{false};
    if (node > 0 && !told.exchange(true)) {
      log_warning("memory policy is not available here (kernel or container); memory goes where it is first touched");
    }
    return {};
  }
  if (node > numa_max_node() || !numa_bitmask_isbitset(numa_all_nodes_ptr, static_cast<unsigned>(node))) {
    return Error{ErrorCode::kInvalidArgument, text("memory on NUMA node ", node, ": this process may use nodes 0 to ",
                                                   numa_max_node(), " as far as its cpuset allows")};
  }
  bitmask* nodes = numa_allocate_nodemask();
  numa_bitmask_setbit(nodes, static_cast<unsigned>(node));
  const long failure = mbind(address, bytes, MPOL_PREFERRED, nodes->maskp, nodes->size + 1, 0);
  const int reason = errno;
  numa_free_nodemask(nodes);
  if (failure == 0) return {};
  return Error{ErrorCode::kIo, text("cannot place ", format_bytes(bytes), " on NUMA node ", node, ": ", std::strerror(reason))};
}

/// Faults all pages in, with several threads: zeroing hundreds of GiB by one would take minutes. False when the
/// system refuses, which for reserved pages would otherwise be a SIGBUS at first touch (a container may see
/// reserved pages and still be allowed none).
bool populate(std::byte* data, std::size_t bytes) {
#ifdef MADV_POPULATE_WRITE
  constexpr std::size_t kChunk = std::size_t{64} << 20;
  std::atomic<std::size_t> next{0};
  std::atomic<bool> good{true};
  const auto work = [&] {
    for (;;) {
      const std::size_t begin = next.fetch_add(kChunk);
      if (begin >= bytes || !good.load()) return;
      if (madvise(data + begin, std::min(kChunk, bytes - begin), MADV_POPULATE_WRITE) != 0) good.store(false);
    }
  };
  cpu_set_t granted;
  CPU_ZERO(&granted);
  const int cpus = sched_getaffinity(0, sizeof granted, &granted) == 0 ? CPU_COUNT(&granted) : 1;
  const std::size_t n_threads = std::min({static_cast<std::size_t>(std::max(cpus, 1)), bytes / kChunk, std::size_t{16}});
  std::vector<std::thread> threads;
  try {
    for (std::size_t i = 1; i < n_threads; ++i) threads.emplace_back(work);
  } catch (const std::system_error&) {  // fewer threads do it too
  }
  work();
  for (auto& thread : threads) thread.join();
  return good.load();
#else
  (void)data, (void)bytes;
  return false;
#endif
}

/// Reserved pages when there are enough; nullptr otherwise.
std::byte* map_reserved(std::size_t bytes, int node) {
  if (reserved_pages_free(node) < bytes / kHugePageBytes) return nullptr;
#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
  if (address == MAP_FAILED) return nullptr;
  auto* data = static_cast<std::byte*>(address);
  if (prefer_node(data, bytes, node).ok() && populate(data, bytes)) return data;
  munmap(address, bytes);
  return nullptr;
}

Result<std::byte*> map_ordinary(std::size_t bytes) {
  const std::size_t with_slack = bytes + kHugePageBytes;
  void* address = mmap(nullptr, with_slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    return Error{ErrorCode::kExhausted, text("cannot map ", format_bytes(bytes), " of memory: ", std::strerror(errno))};
  }
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  const std::uintptr_t aligned = round_up(begin, kHugePageBytes);
  if (aligned > begin) munmap(address, aligned - begin);
  const std::size_t tail = with_slack - (aligned - begin) - bytes;
  if (tail > 0) munmap(reinterpret_cast<void*>(aligned + bytes), tail);
  return reinterpret_cast<std::byte*>(aligned);
}

}  // namespace

Result<HugeMemory> HugeMemory::allocate(std::size_t bytes, int node) {
  HugeMemory memory;
  if (bytes == 0) return memory;
  if (bytes > SIZE_MAX / 2) {
    return Error{ErrorCode::kExhausted, text("cannot map ", bytes, " bytes of memory: more than an address space holds")};
  }
  memory.bytes_ = bytes;
  memory.mapped_bytes_ = round_up(bytes, kHugePageBytes);
  memory.data_ = map_reserved(memory.mapped_bytes_, node);
  if (memory.data_ != nullptr) {
    memory.kind_ = kHugetlb;
    return memory;
  }
  COLONNADE_ASSIGN(memory.data_, map_ordinary(memory.mapped_bytes_));
  COLONNADE_TRY(prefer_node(memory.data_, memory.mapped_bytes_, node));
  const bool advised = madvise(memory.data_, memory.mapped_bytes_, MADV_HUGEPAGE) == 0;
  memory.kind_ = advised && transparent_pages_allowed() ? kTransparent : kSmallPages;
  return memory;
}

HugeMemory::~HugeMemory() {
  if (data_ != nullptr) munmap(data_, mapped_bytes_);
}

HugeMemory::HugeMemory(HugeMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      mapped_bytes_(std::exchange(other.mapped_bytes_, 0)),
      kind_(std::exchange(other.kind_, 0)) {}

HugeMemory& HugeMemory::operator=(HugeMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  std::swap(kind_, other.kind_);
  return *this;
}

const char* HugeMemory::page_kind() const {
  switch (kind_) {
    case kHugetlb: return "hugetlbfs";
    case kTransparent: return "transparent huge pages";
    default: return "4 KiB pages";
  }
}

}  // namespace colonnade::engine
