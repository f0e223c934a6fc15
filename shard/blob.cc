#include "shard/blob.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <xxhash.h>

#include "engine/base/check.h"
#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

Error corrupt(const PathSpec& path, const std::string& what) {
  return {ErrorCode::kCorrupt, text("blob of ", path_title(path), ": ", what)};
}

/// The first value that is not finite, or values.size().
std::size_t first_not_finite(std::span<const float> values) {
  const auto at = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  return static_cast<std::size_t>(at - values.begin());
}

}  // namespace

std::uint64_t blob_checksum(std::span<const std::byte> blob) { return XXH3_64bits(blob.data(), blob.size()); }

Status encode_path_blob(PathSpec& path, const PathWeights& weights, std::vector<std::byte>& out) {
  out.assign(blob_header_bytes(path), std::byte{0});
  std::vector<float> values;
  for (std::size_t v = 0; v < path.vectors.size(); ++v) {
    values.resize(path.vectors[v].count);
    COLONNADE_TRY(weights.vector(path.vectors[v], values.data()));
    if (const std::size_t bad = first_not_finite(values); bad < values.size())
      return corrupt(path, text("vector ", v, ", number ", bad, ": expected a finite weight, found ", values[bad]));
    std::memcpy(out.data() + vector_offset(path, v), values.data(), values.size() * sizeof(float));
  }

  std::vector<std::uint64_t> table(table_offset(path, path.matrices.size()) / sizeof(std::uint64_t));
  std::vector<engine::ZeroCount> counts(path.matrices.size());
  for (MatrixSpec& m : path.matrices) m.bytes = 0;
  const std::vector<StripRef> order = execution_order(path);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const StripRef& strip = order[i];
    MatrixSpec& m = path.matrices[strip.matrix];
    const engine::Format* format = engine::find_format(m.format);
    COLONNADE_CHECK(format != nullptr, "a path is to be encoded in a format that is not registered");
    const std::uint32_t first_row = strip.strip * engine::kStripRows;
    const std::uint32_t n_rows = std::min<std::uint32_t>(engine::kStripRows, m.rows - first_row);
    values.resize(std::size_t{n_rows} * m.cols);
    COLONNADE_TRY(weights.rows(m, first_row, n_rows, values.data()));
    if (const std::size_t bad = first_not_finite(values); bad < values.size())
      return corrupt(path, text("matrix ", strip.matrix, ", row ", first_row + bad / m.cols, ", column ", bad % m.cols,
                                ": expected a finite weight, found ", values[bad]));
    counts[strip.matrix].add(values.data(), n_rows, m.cols);

    std::uint64_t* entry = &table[table_offset(path, strip.matrix) / sizeof(std::uint64_t) + strip.strip];
    entry[0] = out.size();
    format->encode_strip(values.data(), m.cols, static_cast<int>(n_rows), m.cols, out);
    COLONNADE_CHECK(out.size() % engine::kStripGranule == 0,
                    text(format->name(), " strip is not a multiple of ", engine::kStripGranule, " bytes"));
    out.resize(next_strip_offset(order, i, out.size()));
    m.bytes += out.size() - entry[0];
    // Stands until the next strip of this matrix overwrites it: the last one's end remains.
    entry[1] = out.size();
  }
  if (!table.empty()) std::memcpy(out.data(), table.data(), table.size() * sizeof(std::uint64_t));
  for (std::size_t m = 0; m < path.matrices.size(); ++m) path.matrices[m].zeros = counts[m].zeros();
  path.bytes = out.size();
  path.checksum = blob_checksum(out);
  path.part_checksums.clear();
  for (const BlobPart& part : blob_parts(path))
    path.part_checksums.push_back(blob_checksum(std::span(out).subspan(part.offset, part.bytes)));
  return {};
}

Result<std::vector<StripPlace>> locate_strips(const PathSpec& path, std::span<const std::byte> header) {
  COLONNADE_CHECK(header.size() >= blob_header_bytes(path), "the header of a blob is incomplete");
  std::vector<std::size_t> first(path.matrices.size());
  for (std::size_t m = 0; m < first.size(); ++m) first[m] = table_offset(path, m) / sizeof(std::uint64_t);
  const auto entry = [&](std::size_t matrix, std::size_t strip) {
    std::uint64_t offset = 0;
    std::memcpy(&offset, header.data() + (first[matrix] + strip) * sizeof(offset), sizeof(offset));
    return offset;
  };

  const auto order = execution_order(path);
  std::vector<StripPlace> places;
  places.reserve(order.size());
  std::vector<std::uint64_t> bytes(path.matrices.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto [m, s] = order[i];
    const std::uint64_t begin = entry(m, s);
    if (i == 0 && begin != blob_header_bytes(path))
      return corrupt(path, text("its first strip begins at byte ", begin, " instead of ", blob_header_bytes(path)));
    const bool last = i + 1 == order.size();
    const std::uint64_t end = last ? path.bytes : entry(order[i + 1].matrix, order[i + 1].strip);
    if (end <= begin || end > path.bytes || end % engine::kStripGranule != 0 || end != next_strip_offset(order, i, end))
      return corrupt(path, text("strip ", s, " of matrix ", m, " goes from byte ", begin, " to ", end, " of ",
                                path.bytes));
    if (s + 1 == path.matrices[m].n_strips() && entry(m, s + 1) != end)
      return corrupt(path, text("matrix ", m, " ends at byte ", entry(m, s + 1), " instead of ", end));
    bytes[m] += end - begin;
    places.push_back({order[i], begin, end - begin});
  }
  for (std::size_t m = 0; m < bytes.size(); ++m) {
    if (bytes[m] != path.matrices[m].bytes)
      return corrupt(path, text("strips of matrix ", m, " have ", bytes[m], " bytes instead of ", path.matrices[m].bytes));
  }
  return places;
}

Status check_strip(const PathSpec& path, const StripPlace& place, const std::byte* bytes) {
  const MatrixSpec& m = path.matrices[place.strip.matrix];
  const engine::Format* format = engine::find_format(m.format);
  COLONNADE_CHECK(format != nullptr, "a path is in a format that is not registered");
  const std::uint32_t n_rows = std::min<std::uint32_t>(engine::kStripRows, m.rows - place.strip.strip * engine::kStripRows);
  if (format->strip_is_valid(bytes, place.bytes, static_cast<int>(n_rows), m.cols)) return {};
  return corrupt(path, text("strip ", place.strip.strip, " of matrix ", place.strip.matrix, " is not a valid ",
                            format->name(), " strip of ", n_rows, " rows and ", m.cols, " columns in ", place.bytes,
                            " bytes"));
}

}  // namespace colonnade::shard
