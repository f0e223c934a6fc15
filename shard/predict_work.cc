#include "shard/predict_work.h"

#include <algorithm>
#include <cmath>

#include "engine/base/units.h"
#include "engine/model/rank_context.h"

namespace colonnade::shard {
namespace {

// Measured on a Zen 5 core with AVX-512 (docs/deploy.md).
constexpr double kNeuronSeconds = 1.0e-9;      // activation and quantisation of a neuron of a token
constexpr double kSumSeconds = 0.25e-9;        // to add a float of a path's output to the block's
constexpr double kUnitSeconds = 0.25e-6;       // to begin with a path: its first bytes are not fetched ahead
constexpr double kManyHeadsRate = 80e9;        // multiply-adds a second of attention, four and more queries sharing a load
constexpr double kOneHeadRate = 50e9;          // … where each has its own
constexpr double kRunSeconds = 0.7e-6;         // to begin and end a piece of work on all cores
constexpr double kBarrierSeconds = 0.3e-6;     // of two cores; more cores need more rounds
constexpr double kInPlace = 1.1;               // a kernel in a step over the same kernel by itself: calls, last tokens, other data in L2
// Bytes and instructions overlap unless strips are unpacked, which they are for more tokens than this.
constexpr int kMostPackedTokens = 8;

double shared_out(double pieces, int cores) {
  if (pieces <= 0) return 1;
  const double each = pieces / cores;
  return each / std::ceil(each - 1e-9);
}

}  // namespace

BlockWork& BlockWork::operator+=(const BlockWork& other) {
  weight_bytes += other.weight_bytes;
  kernel_seconds += other.kernel_seconds;
  unpacked_seconds += other.unpacked_seconds;
  context_bytes += other.context_bytes;
  context_seconds += other.context_seconds;
  small_seconds += other.small_seconds;
  serial_seconds += other.serial_seconds;
  weight_pieces += other.weight_pieces;
  context_pieces += other.context_pieces;
  barriers += other.barriers;
  return *this;
}

BlockTime block_time(const BlockWork& work, const RankRates& rates, bool in_l3) {
  const double cores = rates.n_cores, per_core = 1 / rates.speed;
  const double busy = cores * shared_out(work.weight_pieces, rates.n_cores);
  const double memory_rate = std::min(rates.bytes_per_second, rates.core_bytes_per_second > 0 ? rates.core_bytes_per_second * busy : 1e300);
  const double memory = work.weight_bytes / (in_l3 ? std::max(memory_rate, rates.l3_bytes_per_second) : memory_rate);
  const double kernels = work.kernel_seconds * per_core / busy;
  const double after_another = work.kernel_seconds > 0 ? work.unpacked_seconds / work.kernel_seconds : 0;
  const double overlapped = overlapped_seconds(memory, kernels);
  const double both = overlapped + after_another * (memory + kernels - overlapped);
  const double context_busy = cores * shared_out(work.context_pieces, rates.n_cores);
  BlockTime time;
  const double smaller = after_another * std::min(memory, kernels);
  time.memory = memory >= kernels ? both - smaller : smaller;
  time.kernels = both - time.memory;
  time.context = std::max(work.context_bytes / rates.bytes_per_second, work.context_seconds * per_core / context_busy);
  const double rounds = std::max(1.0, std::log2(cores));
  time.small_work = work.small_seconds * per_core / cores + work.serial_seconds * per_core;
  if (work.barriers > 0) time.small_work += kRunSeconds + work.barriers * kBarrierSeconds * rounds;
  return time;
}

void MatrixCosts::add(BlockWork& work, const MatrixSpec& matrix, int n_tokens, double passes) {
  const double weights = static_cast<double>(matrix.n_strips()) * engine::kStripRows * matrix.cols;
  if (weights == 0 || n_tokens == 0) return;
  const double bits = 8 * static_cast<double>(matrix.bytes) / weights;
  const auto [place, is_new] = known_.try_emplace({matrix.format, std::llround(bits * 1000), n_tokens}, 0.0);
  if (is_new) {
    const engine::Format* const format = engine::find_format(matrix.format);
    if (format != nullptr) place->second = costs_.step_seconds_per_weight(isa_, format->name(), n_tokens, bits).value_or(0.0);
  }
  const double seconds = kInPlace * passes * place->second * weights;
  work.kernel_seconds += seconds;
  if (n_tokens > kMostPackedTokens) work.unpacked_seconds += seconds;
}

double MatrixCosts::slowness() const { return isa_.starts_with("avx512") ? 1.0 : isa_ == "avx2" ? 2.2 : 60.0; }

BlockWork neuron_work(const engine::ModelConfig& config, const PathSpec& path, int n_tokens, bool columns, MatrixCosts& costs) {
  const double tokens = n_tokens, neurons = path.count;
  BlockWork work;
  work.weight_bytes = static_cast<double>(path.bytes);
  costs.add(work, path.matrices, n_tokens);
  work.small_seconds = costs.slowness() * (tokens * neurons * kNeuronSeconds + tokens * config.dim * kSumSeconds) + kUnitSeconds;
  const double strips = static_cast<double>(div_up(static_cast<std::uint64_t>(path.count), engine::kStripRows));
  work.weight_pieces = columns ? 1 : std::ceil(strips / engine::kTileStrips);
  return work;
}

BlockWork context_work(const engine::ModelConfig& config, int n_heads, int n_tokens, double positions, double position_bytes,
                       const MatrixCosts& costs) {
  const double sums = static_cast<double>(n_heads) * n_tokens * positions * (config.head_dim + config.attended_dim());
  const double queries = static_cast<double>(n_heads) * n_tokens;
  BlockWork work;
  work.context_bytes = positions * position_bytes;
  work.context_seconds = costs.slowness() * sums / (queries >= 4 ? kManyHeadsRate : kOneHeadRate);
  constexpr double kBlockQueries = 16;
  work.context_pieces = std::ceil(queries / kBlockQueries) * std::max(1.0, std::ceil(positions / engine::kRunTokens));
  return work;
}

}  // namespace colonnade::shard
