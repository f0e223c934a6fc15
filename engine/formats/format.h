// Packed weight formats: how the rows of a matrix lie in bytes. One object per format with its name, the
// activations it multiplies with, and encode/decode of a strip; the registry lists them all. How fast each
// multiplies is in engine/kernels, one function per format and instruction set.
//
// A matrix is stored as strips of 16 rows (lane = row), each strip one forward-only run of bytes. A matrix begins at a
// multiple of 64 bytes; its strips follow each other without gaps, at multiples of 64 in formats of fixed size and of 8 in others.
// Rows are padded to 16 and columns to the format's granule with zeros. Where each strip begins is in the offset
// table at the start of the path's blob (shard/paths.h), so formats of varying size need nothing special.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/formats/zeros.h"

namespace colonnade::engine {

inline constexpr int kStripRows = 16;
inline constexpr std::size_t kStripAlignment = 64;  // of a matrix' first strip
inline constexpr std::size_t kStripGranule = 8;     // of the length of any strip
/// Kernels load whole registers: so many bytes behind the last strip of a matrix must be readable.
inline constexpr std::size_t kReadSlack = 64;

/// Stored in manifests: a value never changes its meaning.
enum class FormatId : std::uint32_t {
  kF32 = 1,
  kBf16 = 2,
  kInt8 = 3,
  kInt4 = 4,
  kBitmaskBf16 = 5,
  kBitmaskInt8 = 6,
  kBitmaskInt4 = 7,
  kPermuteInt8 = 8,
  kPermuteInt4 = 9,
  kGapInt4 = 10,
  kQuadInt8 = 11,
  kQuadInt4 = 12,
};
inline constexpr int kFormatSlots = 16;  // table size; ids stay below

/// What a format's multiplication reads.
enum class ActivationKind {
  kF32,   // the values themselves
  kInt8,  // int8 with one fp32 scale per kActivationGroup columns
  kWide,  // bytes of int8 + 128 with one fp32 scale per kWideGroup columns
};

/// Formats whose entries are blocks of four neighbouring columns.
constexpr bool has_quads(FormatId format) { return format == FormatId::kQuadInt8 || format == FormatId::kQuadInt4; }

/// Columns that share one activation scale. A group never crosses the start of a matrix's input, so groups depend
/// on the model only. 64 keeps outliers local and costs 2 instructions in 16 + 2 in the VNNI loop.
inline constexpr int kActivationGroup = 64;

/// The same for formats whose entries slide over many columns: the fewer groups, the fewer places are left free at
/// their ends (12 % at 512 columns and 10 % density, 9 % at 4096), and outliers stay local.
inline constexpr std::size_t kWideGroup = 512;

/// A packed matrix in memory. Does not own anything; valid as long as the blob that it points into.
struct MatrixView {
  FormatId format = FormatId::kF32;
  std::uint32_t rows = 0;
  std::uint32_t cols = 0;
  const std::byte* base = nullptr;                // strip s begins at base + strip_offsets[s]
  std::uint32_t alternating = 1;                  // so many matrices lie strip by strip in turn: gate and up
  const std::uint64_t* strip_offsets = nullptr;   // ceil(rows / 16) + 1 entries; kReadSlack bytes more are readable

  std::uint32_t n_strips() const { return (rows + kStripRows - 1) / kStripRows; }
  const std::byte* strip(std::uint32_t s) const { return base + strip_offsets[s]; }
};

/// Thread-safe: formats have no state.
class Format {
 public:
  virtual ~Format() = default;
  virtual FormatId id() const = 0;
  virtual const char* name() const = 0;  // "int8": for flags and people
  virtual ActivationKind activations() const = 0;

  /// Bytes of a strip before its weights are known: exact for dense formats, an estimate for sparse ones from how
  /// their zeros lie. For plans and announcements.
  virtual double expected_strip_bytes(std::size_t cols, const Zeros& zeros) const = 0;

  /// Appends one strip to `out`: `weights` is (n_rows, cols) row-major with row stride `stride`, n_rows <= 16. The
  /// appended length is a multiple of kStripGranule.
  virtual void encode_strip(const float* weights, std::size_t stride, int n_rows, std::size_t cols,
                            std::vector<std::byte>& out) const = 0;

  /// The values that the strip stands for: out is (n_rows, cols) with row stride `stride`. Row by row unless a format
  /// knows better.
  virtual void decode_strip(const std::byte* strip, int n_rows, std::size_t cols, float* out, std::size_t stride) const;

  /// One row of a strip (embedding look-up): out has cols floats.
  virtual void decode_row(const std::byte* strip, int row, std::size_t cols, float* out) const = 0;

  /// True when a strip of `bytes` bytes can hold `cols` columns: checked once per strip on loading, so that kernels
  /// never read past the end of a corrupt blob.
  virtual bool strip_is_valid(const std::byte* strip, std::size_t bytes, int n_rows, std::size_t cols) const = 0;
};

/// All formats, in the order in which --help lists them.
std::span<const Format* const> all_formats();
/// nullptr when there is none.
const Format* find_format(FormatId id);
const Format* find_format(std::string_view name);

}  // namespace colonnade::engine
