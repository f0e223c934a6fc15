// The checks of a manifest that do not need its directory: for read_manifest and for fuzzing.
#pragma once

#include <span>
#include <string_view>

#include "engine/base/result.h"
#include "shard/manifest.h"

namespace colonnade::shard {

/// The bytes of a manifest file: magic, length, message, checksum (XXH3-64 of all before it).
std::string frame_manifest(std::string_view message);

/// A manifest file's bytes -> a manifest whose configuration, paths and offsets are consistent among themselves.
/// Untrusted bytes. kCorrupt and kUnsupported name the field, the expected and the found value.
Result<Manifest> parse_manifest(std::span<const std::byte> file);

}  // namespace colonnade::shard
