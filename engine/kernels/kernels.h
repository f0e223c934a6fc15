// The inner loops: one table of functions per instruction set. The scalar table is the specification; every other
// table gives the same bits, because all are written over one 16-lane vector type with explicit fma and a fixed
// order of additions. Functions take raw pointers, check nothing, allocate nothing and are thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/base/result.h"
#include "engine/formats/format.h"
#include "engine/kernels/kv_block.h"

namespace colonnade::engine {

/// kWideGroup columns of a row in the wide form: value = (bytes - 128) * scale; columns past the end are 128. The same
/// group of neighbouring rows lies side by side, so kernels for many rows find each at a constant distance; it is odd in
/// cache lines, which keeps the rows out of each other's cache sets.
struct alignas(64) WideGroup {
  std::uint8_t bytes[kWideGroup];
  float scale;
  std::uint8_t padding[60];
};
static_assert(sizeof(WideGroup) == 576 && sizeof(WideGroup) / 64 % 2 == 1);

/// Tokens of a turned block.
inline constexpr int kTurnedTokens = 64;

/// A group of columns of a block of tokens in the wide form, turned: a line has the bytes of all tokens in one column.
/// value = (byte - 128) * the token's scale.
struct alignas(64) TurnedGroup {
  std::uint8_t lines[kWideGroup][kTurnedTokens];  // token t at turned_byte(t)
  float scales[kTurnedTokens];
  bool quads;  // each four lines from a multiple of four on are (kTurnedTokens, 4): what quad formats read
  std::uint8_t padding[63];
};
static_assert(sizeof(TurnedGroup) / 64 % 2 == 1);

/// Lines of four columns whose bytes and then 16-bit words are interleaved within 128 bits give quads of the tokens in order.
constexpr std::size_t turned_byte(int token) {
  const auto t = static_cast<std::size_t>(token);
  return t / 4 % 4 * 16 + t / 16 * 4 + t % 4;
}

/// The input of a multiplication: n_tokens rows. Formats of ActivationKind::kF32 read `values`, those of kInt8 read
/// q8, scales and sums, those of kWide read wide. Rows start 64-byte aligned and are padded with zeros to a multiple of 64
/// columns.
struct Activations {
  const float* values = nullptr;        // (n_tokens, stride)
  std::size_t stride = 0;
  const std::int8_t* q8 = nullptr;      // (n_tokens, q8_stride)
  std::size_t q8_stride = 0;
  const float* scales = nullptr;        // (n_tokens, group_stride): value = q8 * scale
  const std::int32_t* sums = nullptr;   // (n_tokens, group_stride): sum of q8 over the group
  std::size_t group_stride = 0;
  const WideGroup* wide = nullptr;      // (groups, wide_rows): group g of row r is wide[g * wide_rows + r]
  std::size_t wide_rows = 0;
  const std::int32_t* rows = nullptr;   // token t reads row rows[t]; nullptr: row t
};

/// Multiplies strips [first, last) of a matrix with n_tokens rows of activations:
/// out[t * out_stride + 16 * s + lane] = dot(matrix row 16 s + lane, activations of token t). Writes whole strips:
/// rows past the end of the matrix get 0. The result for a token does not depend on the other tokens, nor on how
/// strips are shared out.
using StripsFunction = void (*)(const MatrixView& matrix, std::uint32_t first, std::uint32_t last,
                                const Activations& activations, int n_tokens, float* out, std::size_t out_stride);

/// Strips [first, last) of a matrix.
struct StripRange {
  const MatrixView* matrix;
  std::uint32_t first, last;
};

/// The same with turned activations, for formats of ActivationKind::kWide: strips of matrices that have one format and as many
/// columns, times a block of tokens, whose groups of columns lie one after the other. out: 16 rows of kTurnedTokens for each
/// strip, in their order, 64-byte aligned; of tokens past n_tokens zeros are written, or what the first one gives. `next`: a
/// group that will be wanted after these, or nullptr. The same bits as rows give.
using TurnedFunction = void (*)(std::span<const StripRange> strips, const TurnedGroup* groups, const TurnedGroup* next, int n_tokens, float* out);

/// Products of matrices with at most so many columns can be added to what `out` holds, in place of being written: the
/// same bits as from writing them elsewhere and adding that.
inline constexpr std::uint32_t kMostAddedColumns = 1024;

/// Writes one position's key and value (head_dim floats each) into its block at `slot` = position % kPageTokens.
using StoreKvFunction = void (*)(const float* key, const float* value, int head_dim, int slot, std::byte* block);

/// The same for kStoredTogether neighbouring positions, rows `stride` floats apart; `slot`, that of the first, is a multiple of it.
inline constexpr int kStoredTogether = 16;
static_assert(kPageTokens % kStoredTogether == 0);
using StoreKvPositionsFunction = void (*)(const float* keys, const float* values, std::size_t stride, int head_dim, int slot, std::byte* block);

/// The same for a latent row: latent_dim floats of the latent, then the rotated key, row_dim in all.
using StoreLatentFunction = void (*)(const float* row, int latent_dim, int row_dim, int slot, std::byte* block);

/// Positions whose softmax is one exact softmax; those of a longer context are combined by ascending run. A run begins
/// at a multiple of this, so where runs begin depends on nothing but the position.
inline constexpr int kRunTokens = 256;

/// One query head of one token, and what it finds in a run of positions.
struct RunQuery {
  const float* query = nullptr;  // head_dim, rotated and not yet scaled
  float* sum = nullptr;          // the value's dimensions padded to 16, 64-byte aligned: sum of weight * value, zeros in the padding
  int first = 0, last = 0;       // positions that it sees, inclusive, in the run
  float largest = 0;             // score
  float total = 0;               // sum of the weights exp(score - largest)
};

/// Queries that look at one run of one KV head's cache. What lies in a block outside of a query's positions has no
/// influence on its result, whatever its bits, and neither have the other queries.
struct AttendArgs {
  RunQuery* queries = nullptr;  // `sum`, `largest` and `total` are written
  int n_queries = 0;
  int head_dim = 0;
  int value_dim = 0;                    // of latents: the first dimensions of a row, which are also the value
  float scale = 0;                      // usually 1 / sqrt(head_dim)
  float soft_cap = 0;                   // scores become soft_cap * tanh(score / soft_cap); 0: they stay
  const std::int32_t* pages = nullptr;  // page table of the sequence: page of position p is pages[p / kPageTokens - first_page]
  int first_page = 0;
  const std::byte* blocks = nullptr;    // block of page g is blocks + g * page_stride_bytes
  std::size_t page_stride_bytes = 0;
  int next_position = -1;               // up to here the caller will go on reading: may be fetched ahead
};
using AttendFunction = void (*)(const AttendArgs& args);

/// Factors of a product of fp32 matrices, all row-major, the first one transposed.
struct ProductArgs {
  const float* a = nullptr;  // (depth, rows)
  std::size_t a_stride = 0;
  const float* b = nullptr;  // (depth, cols)
  std::size_t b_stride = 0;
  float* c = nullptr;        // (rows, cols)
  std::size_t c_stride = 0;
  std::size_t rows = 0, cols = 0, depth = 0;
};

struct KernelTable {
  const char* name;                       // "scalar", "avx2", "avx512-vnni", "avx512"
  StripsFunction strips[kFormatSlots];      // by FormatId; nullptr where there is no such format
  StripsFunction add_strips[kFormatSlots];  // adds (kMostAddedColumns); nullptr for formats with fp32 activations too
  int least_turned_tokens;                  // with fewer tokens rows are faster
  TurnedFunction turned[kFormatSlots];      // nullptr for other formats
  TurnedFunction add_turned[kFormatSlots];  // adds, for matrices with at most kWideGroup columns
  StoreKvFunction store_kv[kKvTypes];     // by KvType
  StoreKvPositionsFunction store_kv_positions[kKvTypes];  // by KvType
  AttendFunction attend[kKvTypes];        // by KvType
  StoreLatentFunction store_latent[kKvTypes];  // by KvType
  AttendFunction attend_latent[kKvTypes];      // by KvType: blocks of latents; head_dim is that of a row

  /// Adds what a query found in the next run to what it found before (count: head_dim padded to 16).
  void (*combine_runs)(RunQuery& before, const RunQuery& next, std::size_t count);

  /// Quantises one row: per group of kActivationGroup columns scale = max|x| / 127 (0 for an all-zero group),
  /// q = round-to-even(x / scale). Pads q with zeros to a multiple of 64.
  void (*quantize)(const float* x, std::size_t count, std::int8_t* q8, float* scales, std::int32_t* sums);

  /// The same per kWideGroup columns, as q + 128; group g is written to wide[g * rows].
  void (*quantize_wide)(const float* x, std::size_t count, WideGroup* wide, std::size_t rows);

  /// One group of up to kTurnedTokens rows of wide activations, turned. Lines are for every format; quads are for quad
  /// formats alone, which take lines too but make quads of them again and again.
  void (*turn)(const Activations& rows, int n_tokens, std::size_t group, bool quads, TurnedGroup& to);
  /// quantize_wide of a group of at most kWideGroup columns of a block of tokens: values is (n_columns, kTurnedTokens).
  void (*quantize_turned)(const float* values, std::size_t n_columns, bool quads, TurnedGroup& to);
  /// (n_columns, kTurnedTokens), a multiple of 16 columns, to a row of `out` for each of the first n_tokens: written, or added.
  void (*turn_back)(const float* turned, std::size_t n_columns, int n_tokens, float* out, std::size_t out_stride);
  void (*turn_back_and_add)(const float* turned, std::size_t n_columns, int n_tokens, float* out, std::size_t out_stride);
  /// turned (n_columns, kTurnedTokens) += columns[column]
  void (*add_to_turned)(float* turned, const float* columns, std::size_t n_columns);

  /// out = x / sqrt(mean(x²) + eps) * weight. Lane sums are added in a fixed tree. out may be x.
  void (*rms_norm)(const float* x, const float* weight, float eps, std::size_t count, float* out);

  /// x = x * factor * weight: what rms_norm does with its factor.
  void (*scale_by)(float* x, const float* weight, float factor, std::size_t count);

  /// out = (x - mean) / sqrt(variance + eps) * weight + bias. out may be x.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, std::size_t count, float* out);

  /// x += y
  void (*add)(float* x, const float* y, std::size_t count);
  /// x *= factor
  void (*scale)(float* x, float factor, std::size_t count);
  /// x = fma(factor, y, x)
  void (*add_scaled)(float* x, const float* y, float factor, std::size_t count);
  /// gate = silu(gate) * up
  void (*silu_gate)(float* gate, const float* up, std::size_t count);
  /// x = 1 / (1 + exp(-x))
  void (*sigmoid)(float* x, std::size_t count);
  /// gate = gelu(gate) * up, gelu by tanh
  void (*gelu_tanh_gate)(float* gate, const float* up, std::size_t count);
  /// gate = g / (1 + exp(-steepness * g)) * (u + 1), where g = min(gate, limit) and u is up within ± limit
  void (*clamped_swish_gate)(float* gate, const float* up, float limit, float steepness, std::size_t count);
  /// x = gelu(x), by the error function; within 3e-7 * max(1, |x|)
  void (*gelu_erf)(float* x, std::size_t count);
  /// x = cap * tanh(x / cap)
  void (*soft_cap)(float* x, float cap, std::size_t count);
  /// Rotates one head in place, half-split pairs (i, i + n_pairs), by cos/sin of n_pairs entries.
  void (*rope)(float* head, const float* cosine, const float* sine, int n_pairs);
  float (*max_value)(const float* x, std::size_t count);
  /// Sum of exp((x - offset) * factor); accumulated in 16 lanes, then a fixed tree.
  float (*sum_exp)(const float* x, float offset, float factor, std::size_t count);
  /// Dot product of two fp32 rows (router scores); 16 lanes, fixed tree.
  float (*dot)(const float* x, const float* y, std::size_t count);
  /// c[i][j] += sum over t of a[t][i] * b[t][j]: by fma in ascending t for 256 t at a time, each such sum then added to c.
  /// What is computed of a row or column does not depend on the others. For tools (pruning), not for serving.
  void (*add_product)(const ProductArgs& args);
};

/// The tables that this build has, best first.
std::span<const KernelTable* const> all_kernels();

/// True when this processor and operating system can run the table.
bool kernels_supported(const KernelTable& table);

/// "auto" or "" gives the best that is supported; a name gives that one. kInvalidArgument for an unknown name
/// (lists the names), kUnsupported when this machine lacks it.
Result<const KernelTable*> choose_kernels(std::string_view name);

}  // namespace colonnade::engine
