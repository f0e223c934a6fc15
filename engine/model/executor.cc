#include "engine/model/executor.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/model/attention.h"
#include "engine/model/batch.h"
#include "engine/model/embedding.h"
#include "engine/model/encoder_output.h"
#include "engine/model/feed_forward.h"
#include "engine/model/head.h"
#include "engine/model/latent_attention.h"
#include "engine/model/rank_context.h"
#include "engine/model/router.h"

namespace colonnade::engine {
namespace {

/// Where the keys and values of each layer lie, and how many bytes they take in all.
struct CachePlaces {
  std::vector<LayerCache> layers;
  std::size_t bytes = 0;
};

CachePlaces place_caches(const ModelConfig& config, const RankWeights& weights, std::byte* pool, const ExecutorOptions& options) {
  CachePlaces places;
  const std::size_t block = RankContext::cache_block_bytes(config, options.kv_type);
  for (std::size_t l = 0; l < weights.layers.size(); ++l) {
    const bool window = options.n_window_pages > 0 && config.layers[static_cast<std::size_t>(weights.first_layer) + l].window_tokens > 0;
    const std::size_t slot = block * static_cast<std::size_t>(window ? options.n_window_pages : options.n_pages);
    const std::size_t bytes = static_cast<std::size_t>(weights.layers[l].n_kv_slots) * slot;
    // An encoder's layers use the same memory one after the other: nothing is kept.
    places.layers.push_back({pool == nullptr ? nullptr : pool + (config.encoder ? 0 : places.bytes), block, slot,
                             window ? PageGroup::kWindow : PageGroup::kAll});
    places.bytes = config.encoder ? std::max(places.bytes, bytes) : places.bytes + bytes;
  }
  return places;
}

/// The forms of its input that a layer's blocks read.
struct LayerInputs {
  ActivationKinds attention, feed_forward;
};

std::vector<LayerInputs> layer_inputs(const ModelConfig& config, const RankWeights& weights) {
  std::vector<LayerInputs> inputs;
  for (const LayerWeights& layer : weights.layers) {
    LayerInputs& one = inputs.emplace_back();
    one.feed_forward.values = layer.router != nullptr;
    for (const LatentPath& path : layer.latents) one.attention.add(path.rows.format);
    for (const AttentionPath& path : layer.attention) {
      if (!config.latent.used()) {
        for (const MatrixView& key : path.key) one.attention.add(key.format);
        for (const MatrixView& value : path.value) one.attention.add(value.format);
      }
      if (config.latent.query_dim == 0)
        for (const MatrixView& query : path.query) one.attention.add(query.format);
    }
    for (const FeedForwardPath& path : layer.feed_forward) {
      one.feed_forward.add(path.gate.format);
      if (path.up.rows > 0) one.feed_forward.add(path.up.format);
    }
  }
  return inputs;
}

/// Blocks of a step, where a layer reads them.
std::size_t n_turned_blocks(const std::vector<LayerInputs>& inputs, int max_tokens) {
  const bool wide = std::any_of(inputs.begin(), inputs.end(), [](const LayerInputs& layer) { return layer.attention.wide || layer.feed_forward.wide; });
  return wide ? n_token_blocks(max_tokens) : 0;
}

/// Where this rank stands among the stages.
struct StagePlace {
  std::size_t stage = 0;
  std::size_t index = 0;   // within the stage
  int source = -1;         // rank of the previous stage that sends to this one
  std::vector<int> targets;  // ranks of the next stage that this one sends to
};

StagePlace find_place(const std::vector<std::vector<int>>& stage_ranks, int rank) {
  StagePlace place;
  for (std::size_t s = 0; s < stage_ranks.size(); ++s) {
    const auto found = std::find(stage_ranks[s].begin(), stage_ranks[s].end(), rank);
    if (found == stage_ranks[s].end()) continue;
    place.stage = s;
    place.index = static_cast<std::size_t>(found - stage_ranks[s].begin());
    if (s > 0) place.source = stage_ranks[s - 1][place.index % stage_ranks[s - 1].size()];
    if (s + 1 < stage_ranks.size())
      for (std::size_t i = 0; i < stage_ranks[s + 1].size(); ++i)
        if (i % stage_ranks[s].size() == place.index) place.targets.push_back(stage_ranks[s + 1][i]);
    return place;
  }
  COLONNADE_CHECK(false, "the rank is in no stage");
  return place;
}

/// What a rank writes down between steps: the forward pass is run().
class Executor final : public RankExecutor {
 public:
  Executor(const ModelConfig& config, RankWeights weights, const KernelTable& kernels, Parallel& team,
           Communicator& comm, StagePlace place, std::unique_ptr<Join> join, std::byte* kv_pool,
           const ExecutorOptions& options)
      : context_{config, kernels, team, options.kv_type, options.n_pages, options.max_step_tokens, options.tap},
        weights_(std::move(weights)),
        comm_(comm),
        place_(std::move(place)),
        join_(std::move(join)),
        schedule_(options.schedule),
        inputs_(layer_inputs(config, weights_)),
        caches_(place_caches(config, weights_, kv_pool, options).layers),
        step_limits_{config.vocab_size, config.max_context_tokens, options.n_pages, options.n_window_pages,
                     config.window_reach(), options.max_step_tokens, config.encoder,
                     config.n_token_types},
        batch_(config, options.max_step_tokens),
        residual_(static_cast<std::size_t>(options.max_step_tokens) * context_.dim()),
        normed_(static_cast<std::size_t>(options.max_step_tokens), context_.dim(), n_turned_blocks(inputs_, options.max_step_tokens)),
        joined_(config.post_norms ? residual_.size() : 0),
        router_(context_, options.shared_router_weights),
        feed_forward_(context_, weights_.layers) {
    if (config.latent.used()) {
      latent_attention_.emplace(context_, weights_.layers);
    } else {
      attention_.emplace(context_, weights_.layers);
    }
  }

  /// Collective over the last stage.
  Status add_head() {
    if (!weights_.last_stage || context_.config.encoder) return {};
    COLONNADE_ASSIGN(head_, OutputHead::make(context_, weights_, *join_));
    return {};
  }

  Result<bool> run(const Step& step, StepResult& result) override {
    const ModelConfig& config = context_.config;
    COLONNADE_TRY(check_step(step, step_limits_));
    batch_.set(step);
    rest_ = {};
    const int n_tokens = batch_.n_tokens();
    const std::size_t count = static_cast<std::size_t>(n_tokens) * context_.dim();
    float* const x = residual_.data();  // (n_tokens, dim): the residual stream, the same on every rank of the stage

    if (weights_.first_stage) {
      embed(context_, weights_.embedding, step.tokens, join_->contribution());
      std::memset(x, 0, count * sizeof(float));
      COLONNADE_TRY(join_->reduce(x, count, context_.team));
      if (config.embedding_scale != 1.0f) context_.kernels.scale(x, config.embedding_scale, count);
      if (config.position_embeddings) add_positions(n_tokens);
    } else {
      COLONNADE_TRY(receive_residual(count));
    }

    for (std::size_t l = 0; l < weights_.layers.size(); ++l) {
      const LayerWeights& layer = weights_.layers[l];
      const LayerConfig& shape = config.layers[static_cast<std::size_t>(weights_.first_layer) + l];

      prepare_input(layer.attention_norm, layer.attention_norm_bias, inputs_[l].attention, n_tokens);
      bool added = false;
      if (latent_attention_) {
        COLONNADE_TRY(latent_attention_->run(layer, caches_[l], batch_, normed_, *join_));
      } else {
        COLONNADE_ASSIGN(added, attention_->run(shape, layer, caches_[l], batch_, normed_, by_columns(layer.attention.size(), n_tokens), *join_,
                                                own_sums(layer.attention_post_norm)));
      }
      COLONNADE_TRY(add_joined(layer.attention_post_norm, layer.output_bias, added, n_tokens));
      if (config.norm_after) rest_.norm_by(layer.attention_norm, layer.attention_norm_bias);

      prepare_input(layer.feed_forward_norm, layer.feed_forward_norm_bias, inputs_[l].feed_forward, n_tokens);
      COLONNADE_TRY(router_.route(shape, layer, normed_, n_tokens, *join_));
      const std::size_t n_paths = feed_forward_.choose_paths(layer, router_);
      added = feed_forward_.run(normed_, n_tokens, by_columns(n_paths, n_tokens), {join_->contribution(), own_sums(layer.feed_forward_post_norm)});
      COLONNADE_TRY(add_joined(layer.feed_forward_post_norm, nullptr, added, n_tokens));
      if (config.norm_after) rest_.norm_by(layer.feed_forward_norm, layer.feed_forward_norm_bias);
    }
    finish_residual(n_tokens);

    for (const int target : place_.targets)
      COLONNADE_TRY(comm_.send(target, Channel::kActivations, std::as_bytes(std::span(x, count))));
    if (!weights_.last_stage) return false;
    if (config.encoder) {
      pool_rows(context_, batch_, step, x, result);
    } else {
      COLONNADE_TRY(head_->run(step, x, result));
    }
    return place_.index == 0;
  }

 private:
  /// Few tokens and enough paths to keep every core busy: each core runs whole paths.
  bool by_columns(std::size_t n_paths, int n_tokens) const {
    if (n_tokens > kMaxColumnTokens || schedule_ == Schedule::kRows) return false;
    if (schedule_ == Schedule::kColumns) return true;
    // With fewer than four paths a core, one path more or less on a core costs more than the barriers do.
    return context_.team.size() == 1 || n_paths >= 4 * static_cast<std::size_t>(context_.team.size());
  }

  /// Calls row(t) for every token, shared out over the team; then, when all are done, unit(i) for every i < n_units.
  template <typename Row, typename Unit>
  void for_tokens(int n_tokens, const Row& row, std::size_t n_units, const Unit& unit) {
    const auto share_out = [](std::size_t count, int thread, int threads, const auto& work) {
      const Range share = part_of(count, thread, threads);
      for (std::size_t i = share.begin; i < share.end; ++i) work(i);
    };
    const auto rows = static_cast<std::size_t>(n_tokens);
    // Waking the team costs more than one row.
    if (n_tokens == 1 && n_units == 0) return row(0);
    context_.team.run([&](int thread) {
      share_out(rows, thread, context_.team.size(), row);
      if (n_units == 0) return;
      context_.team.barrier();
      share_out(n_units, thread, context_.team.size(), unit);
    });
  }
  template <typename Row>
  void for_tokens(int n_tokens, const Row& row) {
    for_tokens(n_tokens, row, 0, [](std::size_t) {});
  }

  /// What rows of the residual stream lack after a join. Whoever reads a row next does it, while the row is in its cache.
  struct Rest {
    const float* contribution = nullptr;  // (tokens, dim): where the stage has no other rank's
    const float* bias = nullptr;
    const float *norm = nullptr, *norm_bias = nullptr;
    void norm_by(const float* weight, const float* with_bias) { norm = weight, norm_bias = with_bias; }
  };

  void finish_row(std::size_t t) {
    float* const row = residual_.data() + t * context_.dim();
    if (rest_.contribution != nullptr) context_.kernels.add(row, rest_.contribution + t * context_.dim(), context_.dim());
    if (rest_.bias != nullptr) context_.kernels.add_scaled(row, rest_.bias, context_.config.residual_scale, context_.dim());
    if (rest_.norm != nullptr) context_.normalize(row, rest_.norm, rest_.norm_bias, row);
  }

  void finish_residual(int n_tokens) {
    if (rest_.contribution != nullptr || rest_.bias != nullptr || rest_.norm != nullptr) for_tokens(n_tokens, [&](std::size_t t) { finish_row(t); });
    rest_ = {};
  }

  /// What a block reads: the residual stream, normalised before where the model does that.
  void prepare_input(const float* norm, const float* norm_bias, const ActivationKinds& wanted, int n_tokens) {
    const bool as_it_is = context_.config.norm_after, copied = as_it_is && (wanted.values || context_.tap != nullptr);
    const auto row = [&](std::size_t t) {
      finish_row(t);
      const float* const from = residual_.data() + t * context_.dim();
      if (copied) std::copy_n(from, context_.dim(), normed_.row(t));
      else if (!as_it_is) context_.normalize(from, norm, norm_bias, normed_.row(t));
      normed_.quantize(context_.kernels, as_it_is ? from : normed_.row(t), t, 0, context_.dim(), wanted);
    };
    const std::size_t n_groups = div_up(context_.dim(), kWideGroup), n_rows = static_cast<std::size_t>(n_tokens);
    const auto turn = [&](std::size_t i) {
      const std::size_t block = i / n_groups, first = block * kTurnedTokens;
      normed_.turn(context_.kernels, first, std::min<std::size_t>(kTurnedTokens, n_rows - first), i % n_groups, block, wanted);
    };
    const std::size_t n_blocks = wanted.wide && context_.by_blocks(n_tokens) ? n_token_blocks(n_tokens) : 0;
    // A core turns the rows that it has just made, which are in its cache, unless some cores would have none or a third more than others.
    constexpr std::size_t kManyBlocks = 4;  // of a core
    if (const auto cores = static_cast<std::size_t>(context_.team.size()); n_blocks > 0 && (n_blocks % cores == 0 || n_blocks >= kManyBlocks * cores)) {
      context_.team.run([&](int thread) {
        const Range blocks = part_of(n_blocks, thread, context_.team.size());
        for (std::size_t block = blocks.begin; block < blocks.end; ++block) {
          const std::size_t first = block * kTurnedTokens, last = std::min(first + kTurnedTokens, n_rows);
          for (std::size_t t = first; t < last; ++t) row(t);
          for (std::size_t group = 0; group < n_groups; ++group) turn(block * n_groups + group);
        }
      });
    } else {
      for_tokens(n_tokens, row, n_blocks * n_groups, turn);
    }
    rest_ = {};
  }

  void add_positions(int n_tokens) {
    const std::size_t dim = context_.dim();
    for_tokens(n_tokens, [&](std::size_t t) {
      const auto position = static_cast<std::size_t>(batch_.position(static_cast<int>(t)));
      context_.kernels.add(residual_.data() + t * dim, weights_.positions + position * dim, dim);
      if (const int type = batch_.token_type(static_cast<int>(t)); type > 0)
        context_.kernels.add(residual_.data() + t * dim, weights_.token_types + static_cast<std::size_t>(type - 1) * dim, dim);
    });
    rest_.norm_by(weights_.embedding_norm, weights_.embedding_norm_bias);
  }

  /// Where a block may add its sums at once: no other rank has any, and nothing is done to them before.
  float* own_sums(const float* post_norm) {
    return join_->size() == 1 && post_norm == nullptr && context_.config.residual_scale == 1.0f ? residual_.data() : nullptr;
  }

  /// Adds what the ranks' contributions come to, and `bias`, to the residual stream, normalised first where there is a norm. Without
  /// one the bias, and what a rank that is alone contributes, are left to do. `added`: that is done.
  Status add_joined(const float* post_norm, const float* bias, bool added, int n_tokens) {
    const KernelTable& kernels = context_.kernels;
    const float scale = context_.config.residual_scale;
    const std::size_t dim = context_.dim(), count = static_cast<std::size_t>(n_tokens) * dim;
    float* const x = residual_.data();
    if (post_norm == nullptr) {
      if (scale != 1.0f) kernels.scale(join_->contribution(), scale, count);
      rest_.bias = bias;
      const bool alone = join_->size() == 1;
      if (alone && !added) rest_.contribution = join_->contribution();
      // Alone it adds nothing up, but the messages of other stages come in while it meets nobody.
      return join_->reduce(x, alone ? 0 : count, context_.team);
    }
    float* const sum = joined_.data();
    std::memset(sum, 0, count * sizeof(float));
    COLONNADE_TRY(join_->reduce(sum, count, context_.team));
    for_tokens(n_tokens, [&](std::size_t t) {
      float* const row = sum + t * dim;
      if (bias != nullptr) kernels.add(row, bias, dim);
      kernels.rms_norm(row, post_norm, context_.config.norm_eps, dim, row);
      kernels.add_scaled(x + t * dim, row, scale, dim);
    });
    return {};
  }

  Status receive_residual(std::size_t count) {
    COLONNADE_TRY(comm_.receive(place_.source, Channel::kActivations, received_));
    if (received_.size() != count * sizeof(float))
      return Error{ErrorCode::kCorrupt, text("activations from rank ", place_.source, ": expected ",
                                             count * sizeof(float), " bytes, found ", received_.size())};
    std::memcpy(residual_.data(), received_.data(), received_.size());
    return {};
  }

  RankContext context_;
  RankWeights weights_;
  Communicator& comm_;
  StagePlace place_;
  std::unique_ptr<Join> join_;
  Schedule schedule_;
  std::vector<LayerInputs> inputs_;
  std::vector<LayerCache> caches_;
  StepLimits step_limits_;
  Batch batch_;
  AlignedBuffer<float> residual_;  // (max_tokens, dim)
  Rest rest_;
  ActivationRows normed_;          // (max_tokens, dim)
  AlignedBuffer<float> joined_;    // (max_tokens, dim): what a block gives, where it is normalised before it is added
  Router router_;
  std::optional<AttentionBlock> attention_;
  std::optional<LatentAttentionBlock> latent_attention_;
  FeedForwardBlock feed_forward_;
  std::unique_ptr<OutputHead> head_;
  std::vector<std::byte> received_;
};

}  // namespace

std::size_t kv_pool_bytes(const ModelConfig& config, const RankWeights& weights, const ExecutorOptions& options) {
  return place_caches(config, weights, nullptr, options).bytes;
}

Result<std::unique_ptr<RankExecutor>> make_executor(const ModelConfig& config, RankWeights weights,
                                                    const KernelTable& kernels, Parallel& team, Communicator& comm,
                                                    const std::vector<std::vector<int>>& stage_ranks,
                                                    std::byte* kv_pool, const ExecutorOptions& options) {
  StagePlace place = find_place(stage_ranks, comm.rank());
  std::size_t widest = std::max(static_cast<std::size_t>(config.dim), LatentAttentionBlock::joined_width(config.latent));
  for (const LayerConfig& layer : config.layers) widest = std::max(widest, static_cast<std::size_t>(layer.n_experts));
  if (config.qk_norm_joint) widest = std::max(widest, std::size_t{2});  // the squares of queries and of keys
  const std::size_t floats = static_cast<std::size_t>(options.max_step_tokens) * widest;
  COLONNADE_ASSIGN(auto join, comm.make_join(stage_ranks[place.stage], floats));
  auto executor = std::make_unique<Executor>(config, std::move(weights), kernels, team, comm, std::move(place),
                                             std::move(join), kv_pool, options);
  COLONNADE_TRY(executor->add_head());
  return std::unique_ptr<RankExecutor>(std::move(executor));
}

}  // namespace colonnade::engine
