#include "shard/checksum.h"

#include <xxhash.h>

#include "engine/base/check.h"

namespace colonnade::shard {

struct RunningChecksum::State {
  XXH3_state_t* hash = XXH3_createState();
  ~State() { XXH3_freeState(hash); }
};

RunningChecksum::RunningChecksum() : state_(std::make_unique<State>()) {
  COLONNADE_CHECK(state_->hash != nullptr, "no memory for a checksum");
  begin();
}

RunningChecksum::~RunningChecksum() = default;

void RunningChecksum::begin() { XXH3_64bits_reset(state_->hash); }

void RunningChecksum::add(std::span<const std::byte> bytes) {
  XXH3_64bits_update(state_->hash, bytes.data(), bytes.size());
}

std::uint64_t RunningChecksum::value() const { return XXH3_64bits_digest(state_->hash); }

}  // namespace colonnade::shard
