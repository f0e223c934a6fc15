#include "shard/predict.h"

#include <algorithm>
#include <cmath>

#include "engine/base/check.h"
#include "engine/base/units.h"
#include "engine/model/rank_context.h"
#include "engine/model/router.h"
#include "shard/expert_draws.h"
#include "shard/plan_bytes.h"
#include "shard/predict_work.h"

namespace colonnade::shard {
namespace {

// Of one Zen 5 core (docs/deploy.md).
constexpr double kInputSeconds = 0.3e-9;     // to normalise and quantise a float of a block's input
constexpr double kScoreRate = 25e9;          // multiply-adds of a router
constexpr double kChoiceSeconds = 0.35e-9;   // to look at an expert once, which each active one does
constexpr double kListSeconds = 2e-9;        // to see whether a path has tokens
constexpr double kPacketSeconds = 1.0e-9;    // to look for the best logits
constexpr double kHeadRows = 32;             // at a time
constexpr double kLatentTileTokens = 64;     // whose heads are computed together
/// Draws of experts for a step; layers share them.
constexpr int kDraws = 192;

/// What a rank holds of a layer.
struct LayerShare {
  std::vector<const Assignment*> attention;
  std::vector<const PathSpec*> latents, neurons;
};

class Predictor {
 public:
  Predictor(const PredictionInput& input, const StepShape& step)
      : in_(input), config_(input.config), step_(step), n_tokens_(step.n_sequences * step.tokens_each),
        costs_(input.costs, input.isa),
        position_bytes_(static_cast<double>(engine::RankContext::cache_block_bytes(input.config, input.kv_type)) / engine::kPageTokens) {
    COLONNADE_CHECK(input.cluster.ranks.size() == input.plan.ranks.size(), "the rates of every rank of the plan");
    COLONNADE_CHECK(!config_.encoder, "encoders are not predicted");
  }

  StepPrediction run() {
    for (std::size_t s = 0; s < in_.plan.stages.size(); ++s) {
      const StagePlan& stage = in_.plan.stages[s];
      sort_paths(stage);
      if (s == 0) join(stage, dim());
      for (int l = stage.first_layer; l < stage.first_layer + stage.n_layers; ++l) run_layer(stage, l);
      if (s + 1 < in_.plan.stages.size()) send(stage, in_.plan.stages[s + 1]);
    }
    run_head(in_.plan.stages.back());
    if (router_layers_ > 0) out_.experts_touched /= router_layers_;
    return out_;
  }

 private:
  double dim() const { return config_.dim; }
  double tokens() const { return n_tokens_; }

  void sort_paths(const StagePlan& stage) {
    shares_.assign(stage.ranks.size(), std::vector<LayerShare>(static_cast<std::size_t>(stage.n_layers)));
    for (std::size_t i = 0; i < stage.ranks.size(); ++i) {
      for (const Assignment& a : rank(stage.ranks[i]).paths) {
        const PathSpec& path = in_.paths[a.path];
        if (!is_projection(path.kind)) continue;
        LayerShare& share = shares_[i][static_cast<std::size_t>(path.layer - stage.first_layer)];
        if (path.kind == PathKind::kAttention) share.attention.push_back(&a);
        else (path.kind == PathKind::kLatent ? share.latents : share.neurons).push_back(&path);
      }
    }
  }

  void run_layer(const StagePlan& stage, int layer) {
    const engine::LayerConfig& shape = config_.layers[static_cast<std::size_t>(layer)];
    const auto at = static_cast<std::size_t>(layer - stage.first_layer);
    const std::size_t n_ranks = stage.ranks.size();
    if (config_.latent.used()) {
      for_ranks(stage, [&](std::size_t i) { return latent_work(shares_[i][at]); });
      join(stage, config_.latent.query_dim + config_.latent.cached_dim());
    }
    for_ranks(stage, [&](std::size_t i) {
      BlockWork work = attention_work(shape, shares_[i][at], in_.cluster.ranks[static_cast<std::size_t>(stage.ranks[i])].n_cores);
      add_input(work);
      return work;
    });
    if (config_.qk_norm_joint && n_ranks > 1) join(stage, 2);
    join(stage, dim());

    const bool exchanged = engine::shares_scores(config_, shape, n_ranks);
    if (exchanged) join(stage, shape.n_experts);
    const int draws = shape.has_router() && shape.n_active < shape.n_experts ? std::max(1, kDraws / config_.n_layers) : 1;
    for (int d = 0; d < draws; ++d) {
      const std::vector<int>& experts = draws_.draw(shape.n_experts, shape.n_active, n_tokens_);
      if (shape.has_router()) {
        router_layers_ += 1.0 / draws;
        out_.experts_touched += static_cast<double>(std::count_if(experts.begin(), experts.end(), [](int n) { return n > 0; })) / draws;
      }
      for_ranks(stage, [&](std::size_t i) {
        const int n_cores = in_.cluster.ranks[static_cast<std::size_t>(stage.ranks[i])].n_cores;
        BlockWork work = feed_forward_work(shares_[i][at], experts, n_cores);
        if (shape.has_router()) add_router(work, shape, exchanged ? n_ranks : 1);
        work.serial_seconds += kListSeconds * static_cast<double>(shares_[i][at].neurons.size());
        add_input(work);
        return work;
      }, 1.0 / draws);
    }
    join(stage, dim());
  }

  void add_input(BlockWork& work) const {
    (n_tokens_ == 1 ? work.serial_seconds : work.small_seconds) += costs_.slowness() * tokens() * dim() * kInputSeconds;
  }

  void add_router(BlockWork& work, const engine::LayerConfig& shape, std::size_t n_sharing) const {
    const double experts = shape.n_experts, share = experts / static_cast<double>(n_sharing);
    work.weight_bytes += share * dim() * sizeof(float);
    work.small_seconds += costs_.slowness() * share * dim() * tokens() / kScoreRate;
    (n_tokens_ == 1 ? work.serial_seconds : work.small_seconds) += tokens() * (shape.n_active + 2) * experts * kChoiceSeconds;
    work.barriers += 1;
  }

  /// The executor's choice of schedule.
  bool by_columns(std::size_t n_paths, int n_cores) const {
    return n_tokens_ <= engine::kMaxColumnTokens && (n_cores == 1 || n_paths >= 4 * static_cast<std::size_t>(n_cores));
  }

  BlockWork latent_work(const LayerShare& share) {
    BlockWork work;
    for (const PathSpec* path : share.latents) {
      work.weight_bytes += static_cast<double>(path->bytes);
      costs_.add(work, path->matrices, n_tokens_);
    }
    work.barriers = 1;
    return work;
  }

  BlockWork attention_work(const engine::LayerConfig& shape, const LayerShare& share, int n_cores) {
    BlockWork work;
    if (share.attention.empty()) return work;
    const bool columns = !config_.latent.used() && by_columns(share.attention.size(), n_cores);
    // Latent heads are computed for some tokens at a time, each reading the weights.
    const double passes = config_.latent.used() ? std::ceil(tokens() / kLatentTileTokens) : 1;
    const int at_once = static_cast<int>(std::ceil(tokens() / passes));
    const double seen = step_.context_tokens + (step_.tokens_each + 1) / 2.0;
    const double positions = shape.window_tokens > 0 ? std::min<double>(seen, shape.window_tokens) : seen;
    for (const Assignment* a : share.attention) {
      const PathSpec& path = in_.paths[a->path];
      work.weight_bytes += passes * static_cast<double>(assignment_bytes(path, *a));
      double strips = 0;
      for (const MatrixSpec& m : path.matrices) {
        if (is_of_query_head(m.role) && (m.part < a->first_head || m.part >= a->first_head + a->n_heads)) continue;
        costs_.add(work, m, at_once, passes);
        strips += m.n_strips();
      }
      work.weight_pieces += columns ? 1 : strips;
      const int n_kv_heads = kv_heads_of(config_, path);
      const BlockWork context = context_work(config_, a->n_heads / n_kv_heads, step_.tokens_each, positions, position_bytes_, costs_);
      for (int s = 0; s < step_.n_sequences * n_kv_heads; ++s) work += context;
      work.small_seconds += costs_.slowness() * tokens() * a->n_heads * (config_.head_dim + config_.attended_dim()) * kInputSeconds;
    }
    work.small_seconds += costs_.slowness() * tokens() * dim() * static_cast<double>(share.attention.size()) * kInputSeconds / 2;
    work.barriers = config_.latent.used() ? 8 * passes : 3;
    return work;
  }

  BlockWork feed_forward_work(const LayerShare& share, const std::vector<int>& experts, int n_cores) {
    const auto tokens_of = [&](const PathSpec& path) {
      return path.kind == PathKind::kSharedExpert ? n_tokens_ : experts[static_cast<std::size_t>(path.expert)];
    };
    std::size_t n_units = 0;
    for (const PathSpec* path : share.neurons) n_units += tokens_of(*path) > 0 ? 1 : 0;
    const bool columns = by_columns(n_units, n_cores);
    BlockWork work;
    work.barriers = 2;
    for (const PathSpec* path : share.neurons)
      if (const int n = tokens_of(*path); n > 0) work += neuron_work(config_, *path, n, columns, costs_);
    return work;
  }

  void run_head(const StagePlan& stage) {
    const double rows = step_.n_sequences, passes = std::ceil(rows / kHeadRows);
    const int at_once = static_cast<int>(std::ceil(rows / passes));
    double slowest = 0;
    for (const int r : stage.ranks) {
      BlockWork work;
      double vocabulary = 0;
      for (const Assignment& a : rank(r).paths) {
        const PathSpec& path = in_.paths[a.path];
        if (path.kind != PathKind::kHead && !(path.kind == PathKind::kEmbedding && config_.tied_embeddings)) continue;
        work.weight_bytes += passes * static_cast<double>(path.bytes);
        costs_.add(work, path.matrices, at_once, passes);
        vocabulary += path.count;
      }
      out_.weight_bytes += work.weight_bytes;
      work.barriers = 2;
      const RankRates& rates = in_.cluster.ranks[static_cast<std::size_t>(r)];
      work.serial_seconds = costs_.slowness() * (rows * vocabulary * kPacketSeconds / std::min<double>(rows, rates.n_cores) + dim() * kInputSeconds);
      slowest = std::max(slowest, block_time(work, rates, rank(r).in_l3).total());
    }
    add(StepPart::kHead, slowest);
    // Packets of some hundred candidates.
    add(StepPart::kHead, join_seconds(in_.cluster, stage.ranks, rows * 256));
  }

  /// A block: every rank's time, of which the slowest counts, `weight` times.
  template <typename Work>
  void for_ranks(const StagePlan& stage, const Work& work_of, double weight = 1) {
    BlockTime mean;
    double slowest = 0;
    const double share = 1.0 / static_cast<double>(stage.ranks.size());
    for (std::size_t i = 0; i < stage.ranks.size(); ++i) {
      const BlockWork work = work_of(i);
      const auto r = static_cast<std::size_t>(stage.ranks[i]);
      const BlockTime time = block_time(work, in_.cluster.ranks[r], in_.plan.ranks[r].in_l3);
      slowest = std::max(slowest, time.total());
      mean.memory += share * time.memory;
      mean.kernels += share * time.kernels;
      mean.context += share * time.context;
      mean.small_work += share * time.small_work;
      out_.weight_bytes += weight * work.weight_bytes;
    }
    add(StepPart::kMemory, weight * mean.memory);
    add(StepPart::kKernels, weight * mean.kernels);
    add(StepPart::kContext, weight * mean.context);
    add(StepPart::kSmallWork, weight * mean.small_work);
    add(StepPart::kImbalance, weight * (slowest - mean.total()));
  }

  void join(const StagePlan& stage, double floats_per_token) {
    add(StepPart::kJoins, join_seconds(in_.cluster, stage.ranks, tokens() * floats_per_token));
  }

  void send(const StagePlan& from, const StagePlan& to) {
    const RankRates &a = in_.cluster.ranks[static_cast<std::size_t>(from.ranks.front())],
                    &b = in_.cluster.ranks[static_cast<std::size_t>(to.ranks.front())];
    const double bytes = tokens() * dim() * sizeof(float);
    constexpr double kHostSeconds = 2e-6, kHostBytesPerSecond = 5e9;
    add(StepPart::kJoins, a.host == b.host ? kHostSeconds + bytes / kHostBytesPerSecond
                                           : in_.cluster.network_seconds + bytes / in_.cluster.network_bytes_per_second);
  }

  void add(StepPart part, double seconds) {
    out_.part_seconds[static_cast<std::size_t>(part)] += seconds;
    out_.seconds += seconds;
  }

  const RankPlan& rank(int r) const { return in_.plan.ranks[static_cast<std::size_t>(r)]; }

  const PredictionInput& in_;
  const engine::ModelConfig& config_;
  const StepShape step_;
  const int n_tokens_;
  MatrixCosts costs_;
  const double position_bytes_;
  ExpertDraws draws_;
  std::vector<std::vector<LayerShare>> shares_;  // (ranks, layers) of the stage in hand
  double router_layers_ = 0;
  StepPrediction out_;
};

}  // namespace

const char* step_part_name(StepPart part) {
  switch (part) {
    case StepPart::kMemory: return "memory bandwidth";
    case StepPart::kKernels: return "kernels";
    case StepPart::kContext: return "keys and values";
    case StepPart::kSmallWork: return "small work";
    case StepPart::kImbalance: return "busiest rank";
    case StepPart::kJoins: return "joins";
    case StepPart::kHead: return "head";
  }
  return "";
}

StepPart StepPrediction::bound() const {
  return static_cast<StepPart>(std::max_element(part_seconds.begin(), part_seconds.end()) - part_seconds.begin());
}

StepPrediction predict_step(const PredictionInput& input, const StepShape& step) { return Predictor(input, step).run(); }

double join_seconds(const Cluster& cluster, std::span<const int> ranks, double floats) {
  // Measured on two cores with `bench join`; the sums of other cores come from their caches.
  constexpr double kOwnFloat = 0.1e-9, kOtherFloat = 0.3e-9, kMeeting = 0.5e-6, kMember = 0.15e-6;
  constexpr double kDirectFloats = 32768, kWholeFloats = 16384;
  std::vector<int> members;  // ranks of each host
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const int host = cluster.ranks[static_cast<std::size_t>(ranks[i])].host;
    if (i == 0 || host != cluster.ranks[static_cast<std::size_t>(ranks[i - 1])].host) members.push_back(0);
    ++members.back();
  }
  const double most = *std::max_element(members.begin(), members.end());
  const double n_hosts = static_cast<double>(members.size());
  // Large sums are added by all cores of a rank.
  const double cores = std::clamp(floats / 8192, 1.0, static_cast<double>(cluster.ranks[static_cast<std::size_t>(ranks.front())].n_cores));
  const double meeting = most > 1 ? kMeeting + kMember * (most - 1) : 0;
  double seconds = floats * kOwnFloat / cores;
  if (most > 1) {
    const bool direct = n_hosts == 1 && (most == 2 || (most - 1) * floats <= kDirectFloats);
    seconds += direct ? meeting + (most - 1) * floats * kOtherFloat / cores
                      : 2 * meeting + floats * kOtherFloat / cores + floats * kOtherFloat;
  }
  if (n_hosts < 2) return seconds;
  const double bytes = floats * sizeof(float), others = n_hosts - 1;
  const bool whole = n_hosts == 2 || floats <= kWholeFloats;
  const double adding = kOtherFloat * floats * (whole ? n_hosts : 1);
  seconds += whole ? cluster.network_seconds + others * bytes / cluster.network_bytes_per_second
                   : 2 * (cluster.network_seconds + others / n_hosts * bytes / cluster.network_bytes_per_second);
  return seconds + adding + meeting + floats * kOwnFloat;
}

}  // namespace colonnade::shard
