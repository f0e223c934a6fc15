// The paths of a model: which pieces it is cut into, from its configuration alone. pack writes them, plan hands
// them out, the loader reads them; all three go by this list, so they cannot disagree.
//
// Blob of a path (DESIGN §5), one contiguous run, 4 KiB aligned in its file:
//   u64 strip_offsets[]   for every matrix in the order of PathSpec::matrices: where each of its n_strips strips begins,
//                         then where its last one ends; from the blob's start
//   vectors               f32, each 64-byte aligned, in the order of PathSpec::vectors
//   strips                in execution order, 64-byte aligned where a matrix begins or two alternate:
//     attention           k and v strips by KV head, then per group of query heads their q strips, then its o strips
//     attention, latents  per group of query heads for each its q strips, those into the latent space and out of it, then
//                         the group's o strips
//     feed-forward, also of the shared expert
//                         gate strip 0, up strip 0, gate strip 1, up strip 1, …, then the down strips
//     vocabulary, latent  row strips
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/formats/format.h"
#include "engine/model/config.h"

namespace colonnade::shard {

enum class PathKind : std::uint32_t {
  kReplicated = 1,   // norms, router, biases: small, held by every rank of the stage
  kEmbedding = 2,    // rows of the embedding (also of the head when they are tied)
  kAttention = 3,    // one KV-head group, or several where a group of query heads (ModelConfig::output_heads) covers them; with latents all heads
  kFeedForward = 4,  // one neuron group of one expert
  kHead = 5,         // rows of the output head, when not tied
  kSharedExpert = 100,  // one neuron group of the expert that every token uses beside those it chooses
  kLatent = 101,     // rows of the projections to latents
};
/// A neuron group of whichever expert.
constexpr bool has_neurons(PathKind kind) { return kind == PathKind::kFeedForward || kind == PathKind::kSharedExpert; }
/// Of a layer's blocks: what is shared out, multiplied and may be pruned.
constexpr bool is_projection(PathKind kind) {
  return kind == PathKind::kAttention || kind == PathKind::kLatent || has_neurons(kind);
}

enum class MatrixRole : std::uint32_t {
  kKey = 1, kValue, kQuery, kOutput, kGate, kUp, kDown, kVocabulary,
  kQueryLatent = 100, kLatent, kIntoLatent, kOutOfLatent,
};
/// Of one query head of an attention path.
constexpr bool is_of_query_head(MatrixRole role) {
  return role == MatrixRole::kQuery || role == MatrixRole::kOutput || role == MatrixRole::kIntoLatent ||
         role == MatrixRole::kOutOfLatent;
}
enum class VectorRole : std::uint32_t {
  kAttentionNorm = 1, kFeedForwardNorm, kQueryNorm, kKeyNorm, kOutputBias, kRouter, kFinalNorm,  // kReplicated
  kQueryBias, kKeyBias, kValueBias,  // kAttention
  kRouterBias = 100, kSharedGate, kQueryLatentNorm, kLatentNorm,  // kReplicated
  kAttentionPostNorm = 200, kFeedForwardPostNorm, kRouterLogitBias,  // kReplicated
  kAttentionNormBias = 205, kFeedForwardNormBias,                    // kReplicated
  kPositions = 207, kEmbeddingNorm, kEmbeddingNormBias,              // kReplicated, index 1
  kSinks = 210,                             // kAttention, by query head
  kTokenTypes = 215,                        // kReplicated, index 1: what types from 1 on have more than type 0
  kGateBias = 220, kUpBias, kDownBias,      // kFeedForward; the last one of an expert's first neurons only
};

struct MatrixSpec {
  MatrixRole role = MatrixRole::kKey;
  int part = 0;              // where is_of_query_head, query head within the path (of kOutput the first one of its group); else KV head
  std::uint32_t rows = 0;
  std::uint32_t cols = 0;
  engine::FormatId format = engine::FormatId::kF32;
  engine::Zeros zeros = {};  // measured by pack; none before
  std::uint64_t bytes = 0;   // of its strips; expected before pack, exact after

  std::uint32_t n_strips() const { return (rows + engine::kStripRows - 1) / engine::kStripRows; }
};

struct VectorSpec {
  VectorRole role = VectorRole::kAttentionNorm;
  int part = 0;              // query or KV head within the path, for biases of attention
  std::uint32_t count = 0;   // floats
};

struct PathSpec {
  PathKind kind = PathKind::kReplicated;
  int layer = 0;             // kReplicated with layer == n_layers holds the final norm
  int index = 0;             // (first) KV head, neuron group or vocabulary group; kReplicated of layer 0: 1 is what embeddings need
  int expert = 0;
  int first = 0;             // first neuron, token or row
  int count = 0;             // neurons, tokens, rows or query heads
  std::vector<MatrixSpec> matrices = {};
  std::vector<VectorSpec> vectors = {};
  std::uint64_t bytes = 0;   // of the blob without padding to 4 KiB; expected before pack, exact after

  // Where pack put it.
  std::uint32_t file = 0;    // index into the manifest's files
  std::uint64_t offset = 0;
  std::uint64_t checksum = 0;  // XXH3-64 of the blob
  std::vector<std::uint64_t> part_checksums = {};  // XXH3-64 of each of blob_parts()
};

/// Formats to store a model in, before any measurement.
struct FormatChoice {
  engine::FormatId projections = engine::FormatId::kBf16;  // attention and feed-forward
  engine::FormatId embedding = engine::FormatId::kBf16;    // when not tied
  engine::FormatId head = engine::FormatId::kBf16;         // also the embedding when tied
};
/// "f32", "bf16", "int8": projections and head in that format; an untied embedding in f32 or bf16.
FormatChoice format_choice(engine::FormatId values);

/// Neurons of one feed-forward path: groups of at least `least` (or all of a smaller expert), whole strips, as equal as
/// possible. Rows of other matrices (tokens of a vocabulary, latents) likewise, at least kGroupRows.
inline constexpr int kGroupRows = 256;
struct Group {
  int first;
  int count;
};
std::vector<Group> split_groups(int total, int least = kGroupRows);

/// All paths in plan order: embedding groups; per layer the replicated path, rows of latents, attention by KV head, feed-forward by
/// (neuron group, expert), then the shared expert by neuron group; the final replicated path; head groups when not tied. With expected bytes for `formats`.
std::vector<PathSpec> enumerate_paths(const engine::ModelConfig& config, const FormatChoice& formats);

/// Neurons of a path where down is stored by index-permute, whose strips cost more the fewer columns they have: a whole group
/// of its activations. 0 where a layer has so few neurons that too few paths would be left to share out.
int wide_neuron_group(const engine::ModelConfig& config);

/// ModelConfig::output_heads for a model: the wider o is, the fewer bits and instructions sparse formats need for a weight, but the
/// fewer groups of heads there are to share out among ranks.
int wide_output_heads(const engine::ModelConfig& config);

/// How many KV heads an attention path has.
int kv_heads_of(const engine::ModelConfig& config, const PathSpec& path);

/// How many paths enumerate_paths() makes, without making them: a lying configuration must not cost memory.
std::uint64_t count_paths(const engine::ModelConfig& config);

/// Bytes of the blob's offset table plus vectors: where the strips begin.
std::uint64_t blob_header_bytes(const PathSpec& path);

/// Where the offset table of matrix `matrix` begins in the blob, in bytes: n_strips + 1 entries.
std::uint64_t table_offset(const PathSpec& path, std::size_t matrix);

/// Where vector `vector` begins in the blob, in bytes.
std::uint64_t vector_offset(const PathSpec& path, std::size_t vector);

/// Strip `strip` of PathSpec::matrices[matrix].
struct StripRef {
  std::uint32_t matrix;
  std::uint32_t strip;
};
/// All strips of a path in the order in which they lie in its blob, without gaps, from blob_header_bytes() to the
/// blob's end. The one statement of that order: whoever writes, reads or cuts blobs goes by it (shard/blob.h).
std::vector<StripRef> execution_order(const PathSpec& path);

/// Where the strip after order[i] begins, or the blob ends, when order[i] itself ends at `end`: strips of the same matrix
/// follow each other without a gap, another matrix begins at a multiple of 64 bytes. The gap belongs to order[i].
std::uint64_t next_strip_offset(std::span<const StripRef> order, std::size_t i, std::uint64_t end);

/// A run of bytes of a blob that is read and checked by itself.
struct BlobPart {
  std::uint64_t offset;
  std::uint64_t bytes;
  int first_head = 0;  // query heads within the path; none of the first part
  int n_heads = 0;

  /// A rank with query heads [first, first + n) of the path, whole groups, needs it.
  bool needed_for(int first, int n) const { return n_heads == 0 || (first_head >= first && first_head < first + n); }
};
/// The parts of an attention path, of which a rank may hold only some query heads: header, keys and values; then
/// one part per group of query heads. Adjacent, covering the blob. Empty for other paths: they are held whole. Needs exact bytes.
std::vector<BlobPart> blob_parts(const PathSpec& path);

/// "layer 3, neurons 256-511 of expert 7": for messages.
std::string path_title(const PathSpec& path);

}  // namespace colonnade::shard
