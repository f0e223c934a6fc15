#include "shard/plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/base/check.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "shard/plan_bytes.h"
#include "shard/plan_share.h"
#include "shard/plan_stages.h"

namespace colonnade::shard {
namespace {

/// Attempts to fit memory limits: each takes what a rank has too much from its share.
constexpr int kFitAttempts = 12;

/// A block of one stage: paths [first_path, first_path + n_paths) as units.
struct StageBlock {
  std::uint32_t first_path = 0;
  std::uint32_t n_paths = 0;
  std::uint32_t units_per_path = 1;  // groups of query heads where KV heads are shared between ranks
};

/// The groups of query heads into which an attention path can be cut.
std::vector<BlobPart> head_groups(const PathSpec& path) {
  std::vector<BlobPart> parts = blob_parts(path);
  parts.erase(parts.begin());
  return parts;
}

class Planner {
 public:
  Planner(const engine::ModelConfig& config, std::span<const PathSpec> paths, std::span<const RankMachine> machines,
          const PlanOptions& options)
      : config_(config), paths_(paths), machines_(machines), options_(options),
        buffer_bytes_(activation_buffer_bytes(config, options.max_step_tokens)),
        kv_head_bytes_(kv_head_bytes(config, options)) {}

  Result<Plan> make() {
    COLONNADE_TRY(check_arguments());
    plan_.ranks.resize(machines_.size());
    const auto cuts = cut_stages(layer_loads(), machines_, buffer_bytes_, options_.n_stages);
    for (const StageCut& cut : cuts) {
      StagePlan stage{.first_layer = cut.first_layer, .n_layers = cut.n_layers, .ranks = {}};
      for (int r = cut.first_rank; r < cut.first_rank + cut.n_ranks; ++r) stage.ranks.push_back(r);
      plan_.stages.push_back(std::move(stage));
    }
    for (int s = 0; s < options_.n_stages; ++s) plan_stage(s);
    COLONNADE_TRY(check_memory());
    return std::move(plan_);
  }

 private:
  Status check_arguments() const {
    const auto invalid = [](std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; };
    const int n_ranks = static_cast<int>(machines_.size());
    if (n_ranks < 1) return invalid("a plan needs at least 1 rank, found 0");
    if (options_.n_stages < 1) return invalid(text("a plan needs at least 1 stage, found ", options_.n_stages));
    if (options_.n_stages > config_.n_layers)
      return invalid(text(options_.n_stages, " stages are more than the model's ", config_.n_layers, " layers"));
    if (options_.n_stages > n_ranks)
      return invalid(text(options_.n_stages, " stages need at least as many ranks, found ", n_ranks));
    for (int r = 0; r < n_ranks; ++r) {
      const double speed = machines_[static_cast<std::size_t>(r)].speed;
      if (!(speed > 0) || !std::isfinite(speed))
        return invalid(text("the speed of rank ", r, " must be above 0, found ", speed));
    }
    return {};
  }

  /// Layer of the first or last stage that stands for embedding or head, else the path's own.
  int load_layer(const PathSpec& path) const {
    if (path.kind == PathKind::kEmbedding) return 0;
    return std::min(path.layer, config_.n_layers - 1);
  }

  /// Half by bytes held, which is what memory and large batches see, and half by bytes read for one token, which is
  /// what a single sequence sees.
  std::vector<LayerLoad> layer_loads() const {
    const auto n_layers = static_cast<std::size_t>(config_.n_layers);
    std::vector<double> held(n_layers, 0.0), read(n_layers, 0.0);
    const auto count = [&](const PathSpec& path, std::size_t layer, bool is_head) {
      held[layer] += static_cast<double>(path.bytes);
      read[layer] += static_cast<double>(path.bytes) * read_share(config_, path, is_head);
    };
    for (const PathSpec& path : paths_) {
      count(path, static_cast<std::size_t>(load_layer(path)), false);
      if (path.kind == PathKind::kEmbedding && config_.tied_embeddings) count(path, n_layers - 1, true);
    }
    const double all_held = std::accumulate(held.begin(), held.end(), 0.0);
    const double all_read = std::accumulate(read.begin(), read.end(), 0.0);
    std::vector<LayerLoad> loads(n_layers);
    const double layers_of_a_cache = config_.encoder ? static_cast<double>(config_.n_layers) / options_.n_stages : 1;  // about
    for (std::size_t l = 0; l < n_layers; ++l)
      loads[l] = {.work = (held[l] / all_held + read[l] / all_read) / 2, .memory_bytes = held[l] + static_cast<double>(kv_head_bytes_[l]) * config_.n_kv_heads / layers_of_a_cache};
    return loads;
  }

  bool holds(int stage, const PathSpec& path) const {
    const StagePlan& s = plan_.stages[static_cast<std::size_t>(stage)];
    const bool last = stage + 1 == options_.n_stages;
    if (path.kind == PathKind::kEmbedding) return stage == 0 || (last && config_.tied_embeddings);
    if (path.layer == config_.n_layers) return last;  // head and final norm
    return path.layer >= s.first_layer && path.layer < s.first_layer + s.n_layers;
  }

  void plan_stage(int stage) {
    std::vector<std::uint32_t> replicated;
    std::vector<StageBlock> stage_blocks;
    collect_blocks(stage, replicated, stage_blocks);
    const std::vector<Block> blocks = weigh_blocks(stage_blocks);

    const auto& ranks = plan_.stages[static_cast<std::size_t>(stage)].ranks;
    std::vector<double> limits(ranks.size(), std::numeric_limits<double>::infinity());
    const double divisible = divisible_bytes(blocks, stage_blocks);
    double fixed = static_cast<double>(buffer_bytes_);
    for (const std::uint32_t p : replicated) fixed += static_cast<double>(paths_[p].bytes);
    for (std::size_t i = 0; i < ranks.size(); ++i) {
      const std::uint64_t memory = machine(ranks[i]).memory_bytes;
      if (memory != 0) limits[i] = std::max(0.0, (static_cast<double>(memory) - fixed) / divisible);
    }
    for (int attempt = 0; attempt < kFitAttempts; ++attempt) {
      const auto cuts = share_blocks(blocks, shares(ranks, limits));
      for (std::size_t i = 0; i < ranks.size(); ++i) fill_rank(stage, i, replicated, stage_blocks, cuts);
      bool fits = true;
      for (std::size_t i = 0; i < ranks.size(); ++i) {
        const std::uint64_t needs = rank(ranks[i]).total_bytes(), has = machine(ranks[i]).memory_bytes;
        if (has == 0 || needs <= has) continue;
        fits = false;
        limits[i] = std::max(0.0, limits[i] - static_cast<double>(needs - has) / divisible);
      }
      if (fits) break;
    }
    count_imbalance(ranks);
  }

  /// Blocks in the order in which they are shared out: vocabulary last, because its paths are many and small, so it
  /// evens out what the layers left.
  void collect_blocks(int stage, std::vector<std::uint32_t>& replicated, std::vector<StageBlock>& blocks) const {
    const auto n_ranks = plan_.stages[static_cast<std::size_t>(stage)].ranks.size();
    std::vector<StageBlock> vocabulary;
    for (std::uint32_t p = 0; p < paths_.size();) {
      const PathSpec& path = paths_[p];
      std::uint32_t end = p + 1;
      while (end < paths_.size() && paths_[end].kind == path.kind && paths_[end].layer == path.layer) ++end;
      if (holds(stage, path)) {
        const bool split = path.kind == PathKind::kAttention && n_ranks > end - p;
        const std::uint32_t units = split ? static_cast<std::uint32_t>(head_groups(path).size()) : 1;
        const StageBlock block{.first_path = p, .n_paths = end - p, .units_per_path = units};
        if (path.kind == PathKind::kReplicated)
          for (std::uint32_t i = p; i < end; ++i) replicated.push_back(i);
        else if (is_projection(path.kind))
          blocks.push_back(block);
        else
          vocabulary.insert(vocabulary.begin(), block);  // head before embedding
      }
      p = end;
    }
    blocks.insert(blocks.end(), vocabulary.begin(), vocabulary.end());
  }

  std::vector<Block> weigh_blocks(std::span<const StageBlock> stage_blocks) const {
    std::vector<Block> blocks;
    for (const StageBlock& s : stage_blocks) {
      const PathKind kind = paths_[s.first_path].kind;
      Block block{.block_class = kind == PathKind::kAttention      ? BlockClass::kAttention
                                 : kind == PathKind::kLatent       ? BlockClass::kLatent
                                 : kind == PathKind::kFeedForward  ? BlockClass::kFeedForward
                                 : kind == PathKind::kSharedExpert ? BlockClass::kSharedExpert
                                                                   : BlockClass::kVocabulary,
                  .settles = !is_projection(kind)};
      block.unit_bytes.reserve(std::size_t{s.n_paths} * s.units_per_path);
      for (std::uint32_t p = s.first_path; p < s.first_path + s.n_paths; ++p) {
        const auto bytes = static_cast<double>(paths_[p].bytes);
        if (s.units_per_path == 1) {
          block.unit_bytes.push_back(bytes);
        } else {
          for (const BlobPart& group : head_groups(paths_[p])) block.unit_bytes.push_back(bytes * group.n_heads / paths_[p].count);
        }
      }
      blocks.push_back(std::move(block));
    }
    if (!blocks.empty()) blocks.back().settles = true;
    return blocks;
  }

  double divisible_bytes(std::span<const Block> blocks, std::span<const StageBlock> stage_blocks) const {
    double sum = 0;
    for (const Block& b : blocks) sum = std::accumulate(b.unit_bytes.begin(), b.unit_bytes.end(), sum);
    for (const StageBlock& s : stage_blocks)
      for (std::uint32_t p = s.first_path; p < s.first_path + s.n_paths; ++p)
        if (paths_[p].kind == PathKind::kAttention) sum += static_cast<double>(kv_bytes(paths_[p]));
    return sum;
  }

  /// Shares by speed, none above its limit while the others have room.
  std::vector<double> shares(const std::vector<int>& ranks, std::span<const double> limits) const {
    std::vector<double> share(ranks.size(), 0.0);
    std::vector<bool> full(ranks.size(), false);
    double left = 1.0;
    for (bool again = true; again;) {
      again = false;
      double speed = 0;
      for (std::size_t i = 0; i < ranks.size(); ++i)
        if (!full[i]) speed += machine(ranks[i]).speed;
      const double to_share = left;
      for (std::size_t i = 0; i < ranks.size(); ++i) {
        if (full[i]) continue;
        share[i] = to_share * machine(ranks[i]).speed / speed;
        if (share[i] <= limits[i]) continue;
        share[i] = limits[i];
        left -= limits[i];
        full[i] = again = true;
      }
    }
    const double sum = std::accumulate(share.begin(), share.end(), 0.0);
    // Too little memory in all: shares still add up to 1, so that the error can state what each rank would need.
    for (std::size_t i = 0; i < share.size(); ++i)
      share[i] = sum > 0 ? share[i] / sum : 1.0 / static_cast<double>(share.size());
    return share;
  }

  void fill_rank(int stage, std::size_t index, std::span<const std::uint32_t> replicated,
                 std::span<const StageBlock> blocks, std::span<const Cuts> cuts) {
    const auto& ranks = plan_.stages[static_cast<std::size_t>(stage)].ranks;
    RankPlan& rank = plan_.ranks[static_cast<std::size_t>(ranks[index])];
    rank = {.stage = stage, .paths = {}, .buffer_bytes = buffer_bytes_};
    for (const std::uint32_t p : replicated) {
      rank.paths.push_back({.path = p});
      add_bytes(rank, rank.paths.back(), ranks.size() > 1 ? paths_[p].bytes : 0, false);
      const auto n_ranks = static_cast<double>(ranks.size());
      rank.step_bytes -= static_cast<double>(shared_router_bytes(config_, paths_[p], ranks.size())) * (1 - 1 / n_ranks);
    }
    const bool last = stage + 1 == options_.n_stages;
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      const std::uint32_t begin = cuts[b][index], end = cuts[b][index + 1], units = blocks[b].units_per_path;
      for (std::uint32_t u = begin; u < end;) {
        const std::uint32_t in_block = u / units, next = std::min(end, (in_block + 1) * units);
        const PathSpec& path = paths_[blocks[b].first_path + in_block];
        Assignment a{.path = blocks[b].first_path + in_block};
        if (path.kind == PathKind::kAttention) {
          const std::vector<BlobPart> groups = head_groups(path);
          a.first_head = units == 1 ? 0 : groups[u % units].first_head;
          a.n_heads = units == 1 ? path.count : groups[(next - 1) % units].first_head + groups[(next - 1) % units].n_heads - a.first_head;
          rank.kv_bytes += kv_bytes(path);
        }
        const bool is_head = path.kind == PathKind::kEmbedding && last && config_.tied_embeddings;
        std::uint64_t also_elsewhere = 0;
        if (path.kind == PathKind::kAttention && a.n_heads < path.count) also_elsewhere = blob_parts(path)[0].bytes;
        if (path.kind == PathKind::kEmbedding && config_.tied_embeddings && options_.n_stages > 1)
          also_elsewhere = path.bytes;
        rank.paths.push_back(a);
        add_bytes(rank, a, also_elsewhere, is_head);
        u = next;
      }
    }
    std::sort(rank.paths.begin(), rank.paths.end(), [](const Assignment& x, const Assignment& y) { return x.path < y.path; });
    // An eighth is for activations, KV cache and everybody else.
    const std::uint64_t l3_bytes = machine(ranks[index]).l3_bytes;
    rank.in_l3 = rank.hot_bytes <= l3_bytes - l3_bytes / 8;
  }

  void add_bytes(RankPlan& rank, const Assignment& a, std::uint64_t also_elsewhere, bool is_head) const {
    const std::uint64_t bytes = assignment_bytes(paths_[a.path], a);
    rank.weight_bytes += bytes;
    rank.replicated_bytes += also_elsewhere;
    rank.step_bytes += static_cast<double>(bytes) * read_share(config_, paths_[a.path], is_head);
    if (paths_[a.path].kind != PathKind::kEmbedding || is_head) rank.hot_bytes += bytes;
  }

  void count_imbalance(const std::vector<int>& ranks) {
    double bytes = 0, speed = 0, slowest = 0;
    for (const int r : ranks) {
      bytes += rank(r).step_bytes;
      speed += machine(r).speed;
      slowest = std::max(slowest, rank(r).step_bytes / machine(r).speed);
    }
    if (bytes > 0)
      plan_.imbalance_percent = std::max(plan_.imbalance_percent, 100.0 * (slowest * speed / bytes - 1.0));
  }

  Status check_memory() const {
    std::uint64_t all_needed = 0, all_has = 0;
    int worst = -1;
    double worst_excess = 0;
    for (int r = 0; r < static_cast<int>(machines_.size()); ++r) {
      const std::uint64_t needs = rank(r).total_bytes(), has = machine(r).memory_bytes;
      all_needed += needs;
      all_has += has;
      const double excess = static_cast<double>(needs) - static_cast<double>(has);
      if (has == 0 || excess <= worst_excess) continue;
      worst = r;
      worst_excess = excess;
    }
    if (worst < 0) return {};
    const RankPlan& w = rank(worst);
    std::string message =
        text("the model does not fit: rank ", worst, " needs ", format_bytes(w.total_bytes()), " (weights ",
             format_bytes(w.weight_bytes), ", KV cache of ", options_.kv_tokens, " tokens ", format_bytes(w.kv_bytes),
             ", buffers ", format_bytes(w.buffer_bytes), ") and has ", format_bytes(machine(worst).memory_bytes));
    if (machines_.size() > 1)
      message += text("; all ", machines_.size(), " ranks need ", format_bytes(all_needed), " and have ", format_bytes(all_has));
    return Error{ErrorCode::kExhausted, std::move(message)};
  }

  std::uint64_t kv_bytes(const PathSpec& path) const {
    const std::uint64_t bytes = kv_head_bytes_[static_cast<std::size_t>(path.layer)] * static_cast<std::uint64_t>(kv_heads_of(config_, path));
    if (!config_.encoder) return bytes;
    for (const StagePlan& stage : plan_.stages)
      if (path.layer >= stage.first_layer && path.layer < stage.first_layer + stage.n_layers)
        return div_up(bytes, static_cast<std::uint64_t>(stage.n_layers));
    return bytes;
  }
  const RankMachine& machine(int r) const { return machines_[static_cast<std::size_t>(r)]; }
  const RankPlan& rank(int r) const { return plan_.ranks[static_cast<std::size_t>(r)]; }

  const engine::ModelConfig& config_;
  std::span<const PathSpec> paths_;
  std::span<const RankMachine> machines_;
  const PlanOptions& options_;
  const std::uint64_t buffer_bytes_;
  const std::vector<std::uint64_t> kv_head_bytes_;  // by layer
  Plan plan_;
};

}  // namespace

Result<Plan> make_plan(const engine::ModelConfig& config, std::span<const PathSpec> paths,
                       std::span<const RankMachine> machines, const PlanOptions& options) {
  return Planner(config, paths, machines, options).make();
}

}  // namespace colonnade::shard
