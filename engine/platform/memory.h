// Large node-local memory in huge pages. The only user of libnuma and madvise.
#pragma once

#include <cstddef>
#include <span>

#include "engine/base/result.h"

namespace colonnade::engine {

/// Owns one mapping: zeroed, 2 MiB aligned, on NUMA node `node` (-1: where it is first touched), in hugetlbfs pages
/// where reserved, else with transparent huge pages advised. Movable.
class HugeMemory {
 public:
  HugeMemory() = default;
  static Result<HugeMemory> allocate(std::size_t bytes, int node);
  ~HugeMemory();
  HugeMemory(HugeMemory&& other) noexcept;
  HugeMemory& operator=(HugeMemory&& other) noexcept;

  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }
  std::span<std::byte> span() const { return {data_, bytes_}; }
  const char* page_kind() const;  // "hugetlbfs", "transparent huge pages", "4 KiB pages": for people

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t mapped_bytes_ = 0;
  int kind_ = 0;
};

}  // namespace colonnade::engine
