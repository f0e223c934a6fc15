// Path blobs: making one from weights, and checking one before it is used. The layout is stated in shard/paths.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "shard/paths.h"

namespace colonnade::shard {

/// Where the numbers of one path come from. Called in execution order, each number once.
struct PathWeights {
  /// Writes rows [first_row, first_row + n_rows) of the path's own matrix `matrix` (of MatrixSpec::rows x cols) to
  /// `out`, row-major without gaps; n_rows <= 16.
  std::function<Status(const MatrixSpec& matrix, std::uint32_t first_row, std::uint32_t n_rows, float* out)> rows;
  /// Writes VectorSpec::count floats.
  std::function<Status(const VectorSpec& vector, float* out)> vector;
};

/// Encodes a path into `out` (replaced; its capacity is reused) and fills what is only known now: the exact bytes
/// and density of every matrix, the blob's bytes and checksums. Errors are those of `weights`, and kCorrupt for a weight
/// that is not finite; then `path` and `out` hold nothing of use. Thread-safe for different paths.
Status encode_path_blob(PathSpec& path, const PathWeights& weights, std::vector<std::byte>& out);

/// The checksum that PathSpec::checksum holds: XXH3-64 of the whole blob.
std::uint64_t blob_checksum(std::span<const std::byte> blob);

/// A strip and where it lies, from the blob's start.
struct StripPlace {
  StripRef strip;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// All strips in execution order, from the offset table at the start of a blob, which is checked against `path`:
/// strips follow one another from the header's end to the blob's end, aligned, and add up to every matrix'
/// bytes. kCorrupt names the path, the expected and the found value. `header` holds at least blob_header_bytes().
Result<std::vector<StripPlace>> locate_strips(const PathSpec& path, std::span<const std::byte> header);

/// kCorrupt when a strip cannot be what its format and `path` say. `bytes` points to the strip.
Status check_strip(const PathSpec& path, const StripPlace& place, const std::byte* bytes);

}  // namespace colonnade::shard
