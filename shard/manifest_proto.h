// A manifest in memory to and from its Protobuf bytes, field by field, without judging the values.
#pragma once

#include <span>
#include <string>

#include "engine/base/result.h"
#include "shard/manifest.h"

namespace colonnade::shard {

std::string encode_manifest(const Manifest& manifest);

/// kCorrupt when the bytes are no manifest; kUnsupported for another version. Untrusted bytes: memory stays
/// proportional to their number.
Result<Manifest> decode_manifest(std::span<const std::byte> bytes);

}  // namespace colonnade::shard
