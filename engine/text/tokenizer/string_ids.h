// Strings with ids, searched by content: a flat hash table over one buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace colonnade::engine {

/// Differs from process to process, so that no file can be made to collide.
std::uint64_t hash_bytes(std::string_view bytes);
std::uint64_t hash_number(std::uint64_t number);

/// Immutable once filled, then thread-safe.
class StringIds {
 public:
  /// Ids are not negative. A key that is there gets the new id.
  void set(std::string_view key, std::int32_t id);
  /// The id, or -1.
  std::int32_t find(std::string_view key) const;
  std::size_t size() const { return n_keys_; }
  std::size_t longest_key() const { return longest_key_; }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t size = 0;
    std::size_t begin = 0;
    std::int32_t id = -1;  // -1: free
  };
  std::size_t slot_of(std::string_view key, std::uint32_t hash) const;
  void grow();

  std::vector<Slot> slots_;
  std::string keys_;
  std::size_t n_keys_ = 0;
  std::size_t longest_key_ = 0;
};

}  // namespace colonnade::engine
