#include "engine/text/tokenizer/string_ids.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

namespace colonnade::engine {
namespace {

std::uint64_t process_seed() {
  static const std::uint64_t seed = [] {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device() | 1;
  }();
  return seed;
}

/// The two halves of a product of 128 bits, xored: every bit of the input reaches every bit of the result.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

constexpr std::uint64_t kOdd1 = 0x9E3779B97F4A7C15;
constexpr std::uint64_t kOdd2 = 0xD6E8FEB86659FD93;

}  // namespace

std::uint64_t hash_number(std::uint64_t number) { return mix(number ^ process_seed(), kOdd1); }

std::uint64_t hash_bytes(std::string_view bytes) {
  std::uint64_t hash = process_seed() ^ bytes.size() * kOdd2;
  std::uint64_t eight = 0;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    std::memcpy(&eight, bytes.data(), 8);
    hash = mix(hash ^ eight, kOdd1);
  }
  eight = 0;
  if (!bytes.empty()) std::memcpy(&eight, bytes.data(), bytes.size());
  return mix(hash ^ eight, kOdd2);
}

std::size_t StringIds::slot_of(std::string_view key, std::uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.id < 0) return i;
    if (slot.hash == hash && slot.size == key.size() && std::memcmp(keys_.data() + slot.begin, key.data(), key.size()) == 0) {
      return i;
    }
  }
}

void StringIds::grow() {
  std::vector<Slot> before(std::max<std::size_t>(16, slots_.size() * 2));
  before.swap(slots_);
  for (const Slot& slot : before) {
    if (slot.id < 0) continue;
    std::size_t i = slot.hash & (slots_.size() - 1);
    while (slots_[i].id >= 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = slot;
  }
}

void StringIds::set(std::string_view key, std::int32_t id) {
  if (2 * (n_keys_ + 1) > slots_.size()) grow();
  const auto hash = static_cast<std::uint32_t>(hash_bytes(key));
  Slot& slot = slots_[slot_of(key, hash)];
  if (slot.id < 0) {
    slot = {hash, static_cast<std::uint32_t>(key.size()), keys_.size(), id};
    keys_ += key;
    ++n_keys_;
    longest_key_ = std::max(longest_key_, key.size());
  }
  slot.id = id;
}

std::int32_t StringIds::find(std::string_view key) const {
  if (slots_.empty() || key.size() > longest_key_) return -1;
  return slots_[slot_of(key, static_cast<std::uint32_t>(hash_bytes(key)))].id;
}

}  // namespace colonnade::engine
