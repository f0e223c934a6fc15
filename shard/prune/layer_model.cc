#include "shard/prune/layer_model.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>

#include "engine/base/units.h"

namespace colonnade::shard {
namespace {

std::vector<std::size_t> paths_of_layer(const std::vector<PathSpec>& paths, int layer) {
  std::vector<std::size_t> chosen;
  for (std::size_t p = 0; p < paths.size(); ++p)
    if (paths[p].layer == layer && !LayerModel::embeds(paths[p]) && paths[p].kind != PathKind::kHead) chosen.push_back(p);
  return chosen;
}

std::size_t longest(const std::vector<std::vector<std::int32_t>>& windows) {
  std::size_t most = 0;
  for (const auto& window : windows) most = std::max(most, window.size());
  return most;
}

std::size_t pages_of(std::size_t tokens) { return (tokens + engine::kPageTokens - 1) / engine::kPageTokens; }

/// Tokens [begin, begin + count) of a window join a step, with pages of their own.
void add_sequence(engine::Step& step, const std::vector<std::int32_t>& window, std::size_t begin, std::size_t count) {
  const auto i32 = [](std::size_t value) { return static_cast<std::int32_t>(value); };
  const std::size_t n_pages = pages_of(begin + count), first_page = step.pages.size();
  step.sequences.push_back({.first_token = i32(step.tokens.size()), .n_tokens = i32(count), .first_position = i32(begin),
                            .first_page = i32(first_page), .n_pages = i32(n_pages)});
  for (std::size_t p = 0; p < n_pages; ++p) step.pages.push_back(i32(first_page + p));
  step.tokens.insert(step.tokens.end(), window.begin() + static_cast<std::ptrdiff_t>(begin),
                     window.begin() + static_cast<std::ptrdiff_t>(begin + count));
}

}  // namespace

LayerModel::LayerModel(const engine::ModelConfig& config, const std::vector<PathSpec>& paths, const Compute& compute,
                       MemoryMeter& meter, bool first_stage)
    : config_(config), compute_(compute), meter_(meter), feed_(first_stage) {
  manifest_.config = config;
  manifest_.paths = paths;
}

bool LayerModel::embeds(const PathSpec& path) {
  return path.kind == PathKind::kEmbedding || (path.kind == PathKind::kReplicated && path.layer == 0 && path.index == 1);
}

Result<std::unique_ptr<LayerModel>> LayerModel::embedding(const engine::ModelConfig& config, const std::vector<PathSpec>& paths,
                                                          const PathProvider& provider, const Compute& compute, MemoryMeter& meter) {
  std::unique_ptr<LayerModel> model(new LayerModel(config, paths, compute, meter, true));
  std::vector<std::size_t> chosen;
  for (std::size_t p = 0; p < paths.size(); ++p)
    if (embeds(paths[p])) chosen.push_back(p);
  COLONNADE_TRY(model->load(chosen, 0, 0, provider));
  return model;
}

Result<std::unique_ptr<LayerModel>> LayerModel::layer(const engine::ModelConfig& config, const std::vector<PathSpec>& paths, int layer,
                                                      const PathProvider& provider, const Compute& compute, MemoryMeter& meter,
                                                      engine::ActivationTap* tap) {
  std::unique_ptr<LayerModel> model(new LayerModel(config, paths, compute, meter, false));
  model->tap_ = tap;
  COLONNADE_TRY(model->load(paths_of_layer(paths, layer), layer, 1, provider));
  return model;
}

Status LayerModel::load(std::span<const std::size_t> chosen, int first_layer, int n_layers, const PathProvider& provider) {
  // As the loader of a job sees it: this rank's stage, between two others or before one.
  const int stage = feed_.rank();
  plan_.stages.resize(static_cast<std::size_t>(feed_.size()));
  plan_.stages[static_cast<std::size_t>(stage)] = {.first_layer = first_layer, .n_layers = n_layers, .ranks = {stage}};
  plan_.ranks.resize(plan_.stages.size());
  RankPlan& own = plan_.ranks[static_cast<std::size_t>(stage)];
  own.stage = stage;
  for (const std::size_t p : chosen)
    own.paths.push_back({static_cast<std::uint32_t>(p), 0, manifest_.paths[p].kind == PathKind::kAttention ? manifest_.paths[p].count : 0});
  layout_ = slice_layout(manifest_, own);  // sizes of dense formats are known beforehand
  memory_ = MeteredBuffer<std::byte>(meter_, layout_.bytes);
  if (!provider) return {};
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> error;
  compute_.team.run([&](int) {
    std::vector<std::byte> blob;
    for (std::size_t i = next++; i < chosen.size(); i = next++) {
      PathSpec& path = manifest_.paths[chosen[i]];
      const std::uint64_t expected = path.bytes;
      if (const Status status = encode_path_blob(path, provider(path), blob); !status.ok()) {
        const std::lock_guard lock(mutex);
        error = status.error();
        next = chosen.size();
        return;
      }
      COLONNADE_CHECK(blob.size() == expected, "a path in a dense format has another size than was expected");
      std::memcpy(memory_.data() + layout_.path_base[i], blob.data(), blob.size());
    }
  });
  if (error) return *error;
  return {};
}

const std::uint64_t* LayerModel::strip_offsets(std::size_t path, std::size_t matrix) const {
  const RankPlan& own = plan_.ranks[static_cast<std::size_t>(feed_.rank())];
  for (std::size_t i = 0; i < own.paths.size(); ++i)
    if (own.paths[i].path == path)
      return reinterpret_cast<const std::uint64_t*>(memory_.data() + layout_.path_base[i] + table_offset(manifest_.paths[path], matrix));
  return nullptr;
}

Status LayerModel::make_executor(std::size_t window_tokens, std::size_t step_tokens) {
  if (executor_ != nullptr && window_tokens <= window_tokens_ && step_tokens <= step_tokens_) return {};
  window_tokens_ = window_tokens;
  step_tokens_ = step_tokens;
  COLONNADE_ASSIGN(engine::RankWeights weights, make_rank_weights(manifest_, plan_, feed_.rank(), layout_, {memory_.data(), memory_.size()}));
  engine::ExecutorOptions options;
  options.kv_type = engine::KvType::kF32;
  // Every window of a step begins on a page of its own.
  options.n_pages = static_cast<int>(pages_of(window_tokens) + step_tokens);
  options.max_step_tokens = static_cast<int>(step_tokens);
  options.schedule = engine::Schedule::kRows;
  options.tap = tap_;
  kv_pool_ = MeteredBuffer<std::byte>(meter_, engine::kv_pool_bytes(config_, weights, options));
  COLONNADE_ASSIGN(executor_, engine::make_executor(config_, std::move(weights), compute_.kernels, compute_.team, feed_,
                                                    feed_.stage_ranks(), kv_pool_.data(), options));
  return {};
}

Status LayerModel::run_step(const CalibrationBatch& batch, const engine::Step& step, std::size_t first_row, std::size_t n_rows, float* out) {
  feed_.give({batch.activations.row(first_row), n_rows * batch.activations.cols()});
  engine::StepResult ignored;
  COLONNADE_ASSIGN(const bool last, executor_->run(step, ignored));
  COLONNADE_CHECK(!last && feed_.taken().size() == n_rows * batch.activations.cols() * sizeof(float), "a layer of calibration sent nothing on");
  if (out != nullptr) std::memcpy(out, feed_.taken().data(), feed_.taken().size());
  return {};
}

Status LayerModel::run_unit(CalibrationBatch& batch, std::size_t unit, bool keep) {
  COLONNADE_TRY(make_executor(longest(batch.windows), batch.step_tokens));
  engine::Step step;
  const auto run_rows = [&](std::size_t first_row) -> Status {
    const std::size_t n_rows = step.tokens.size();
    COLONNADE_TRY(run_step(batch, step, first_row, n_rows, keep ? batch.activations.row(first_row) : nullptr));
    step.clear();
    return {};
  };
  const auto [first, n_windows] = batch.units[unit];
  const std::size_t first_row = batch.first_row[first];
  if (batch.windows[first].size() > batch.step_tokens) {  // a window in several steps, which share its pages
    const auto& window = batch.windows[first];
    for (std::size_t at = 0; at < window.size(); at += batch.step_tokens) {
      add_sequence(step, window, at, std::min(batch.step_tokens, window.size() - at));
      COLONNADE_TRY(run_rows(first_row + at));
    }
    return {};
  }
  for (std::size_t w = first; w < first + n_windows; ++w) add_sequence(step, batch.windows[w], 0, batch.windows[w].size());
  return run_rows(first_row);
}

Status LayerModel::run(CalibrationBatch& batch, bool keep) {
  for (std::size_t unit = 0; unit < batch.units.size(); ++unit) COLONNADE_TRY(run_unit(batch, unit, keep));
  return {};
}

std::uint64_t LayerModel::bytes(const engine::ModelConfig& config, const std::vector<PathSpec>& paths, int layer,
                                std::size_t window_tokens) {
  std::uint64_t bytes = 0;
  for (const std::size_t p : paths_of_layer(paths, layer)) bytes += round_up(paths[p].bytes, kBlobAlignment);
  const std::size_t step_tokens = calibration_step_tokens(SIZE_MAX);
  const std::size_t pages = pages_of(window_tokens) + step_tokens;
  const auto heads = static_cast<std::uint64_t>(config.n_kv_heads);
  return bytes + heads * pages * engine::kv_block_bytes(config.head_dim, engine::KvType::kF32) +
         activation_buffer_bytes(config, static_cast<int>(step_tokens));
}

}  // namespace colonnade::shard
