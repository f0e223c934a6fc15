#include "shard/prune/layer_sums.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace colonnade::shard {
namespace {

std::size_t tokens_of(const CalibrationBatch& batch, std::size_t unit) {
  std::size_t count = 0;
  for (std::size_t w = 0; w < batch.units[unit].n_windows; ++w) count += batch.windows[batch.units[unit].first_window + w].size();
  return count;
}

}  // namespace

LayerSums::LayerSums(const LayerTask& task, bool with_gram)
    : task_(task),
      with_gram_(with_gram),
      statistics_(task.matrices, task.own_sums(), task.compute, task.meter, with_gram),
      known_(task.matrices.inputs.size()) {}

Status LayerSums::run(CalibrationBatch& batch, bool keep, const std::function<void(std::size_t)>& on_tokens) {
  InputRecorder recorder(task_.matrices, task_.meter);
  const bool alone = task_.group.size() == 1;
  InputTap& tap = alone ? static_cast<InputTap&>(statistics_) : recorder;
  const PathProvider provider = [this](const PathSpec& path) { return task_.model.weights_of(path); };
  auto layer = LayerModel::layer(task_.model.config(), task_.paths, task_.layer, provider, task_.compute, task_.meter, &tap);
  COLONNADE_TRY(task_.group.agree(layer.ok() ? Status() : Status(layer.error())));
  tap.attach(**layer);
  COLONNADE_TRY(alone ? run_alone(**layer, batch, keep, on_tokens) : run_rounds(**layer, recorder, batch, keep, on_tokens));
  statistics_.finish();
  return tell_all();
}

Status LayerSums::run_alone(LayerModel& layer, CalibrationBatch& batch, bool keep, const std::function<void(std::size_t)>& on_tokens) {
  for (std::size_t unit = 0; unit < batch.units.size(); ++unit) {
    COLONNADE_TRY(layer.run_unit(batch, unit, keep));
    on_tokens(tokens_of(batch, unit));
  }
  return {};
}

/// In each round every rank runs one unit of the text; then their rows are shown, unit by unit.
Status LayerSums::run_rounds(LayerModel& layer, InputRecorder& recorder, CalibrationBatch& batch, bool keep,
                             const std::function<void(std::size_t)>& on_tokens) {
  RankGroup& group = task_.group;
  const auto n_ranks = static_cast<std::size_t>(group.size());
  for (std::size_t first = 0, round = 0; first < batch.n_units; first += n_ranks, ++round) {
    if (round < batch.units.size()) COLONNADE_TRY(layer.run_unit(batch, round, keep));
    for (std::size_t unit = first; unit < std::min(first + n_ranks, batch.n_units); ++unit)
      COLONNADE_TRY(show_recorded(static_cast<int>(unit - first), recorder));
    if (round < batch.units.size()) on_tokens(tokens_of(batch, round) * std::min(n_ranks, batch.n_units - first));
  }
  return {};
}

Status LayerSums::show_recorded(int from, InputRecorder& recorder) {
  RankGroup& group = task_.group;
  const bool mine = group.rank() == from;
  struct Header {
    std::uint64_t input, n_tokens;
  };
  std::uint64_t count = recorder.recorded().size();
  COLONNADE_TRY(group.pass_value(from, group.all(), count));
  std::vector<Header> headers(count);
  if (mine)
    for (std::size_t i = 0; i < count; ++i) headers[i] = {recorder.recorded()[i].input, recorder.recorded()[i].values.rows()};
  COLONNADE_TRY(group.pass_values(from, group.all(), std::span(headers)));
  for (std::size_t i = 0; i < count; ++i) {
    const auto [input, n_tokens] = headers[i];
    if (input >= known_.size()) return Error{ErrorCode::kCorrupt, "rows of an input that the layer does not have: different builds?"};
    const std::size_t cols = task_.matrices.inputs[input].cols;
    const std::vector<int> owners = task_.shares.owners_of(input);
    const bool adds = std::find(owners.begin(), owners.end(), group.rank()) != owners.end();
    FloatMatrix rows;
    if (mine) rows = std::move(recorder.recorded()[i].values);
    if (!mine && adds) rows = FloatMatrix(task_.meter, n_tokens, cols);
    COLONNADE_TRY(group.pass_values(from, owners, std::span(rows.data(), rows.size())));
    engine::Activations shown;
    shown.values = rows.data();
    shown.stride = cols;
    if (adds) statistics_.add(input, 0, cols, shown, n_tokens);
  }
  if (mine) recorder.recorded().clear();
  return {};
}

Status LayerSums::tell_all() {
  for (std::size_t i = 0; i < known_.size(); ++i) {
    const int owner = task_.shares.owners_of(i).front();
    Known& known = known_[i];
    if (task_.group.rank() == owner) {
      known.n_tokens = statistics_.of_input(i).n_tokens();
      known.squares = statistics_.of_input(i).squares();
    }
    known.squares.resize(task_.matrices.inputs[i].cols);
    COLONNADE_TRY(task_.group.pass_value(owner, task_.group.all(), known.n_tokens));
    COLONNADE_TRY(task_.group.pass_values(owner, task_.group.all(), std::span(known.squares)));
  }
  return {};
}

std::vector<float> LayerSums::norms(std::size_t input) const {
  std::vector<float> result;
  for (const double sum : known_[input].squares) result.push_back(static_cast<float>(std::sqrt(sum)));
  return result;
}

/// From rank to rank: inputs are added in ascending order, of which each rank has a run.
Result<FloatMatrix> LayerSums::total_gram(std::span<const std::size_t> inputs) {
  RankGroup& group = task_.group;
  const std::size_t cols = task_.matrices.inputs[inputs.front()].cols;
  FloatMatrix total(task_.meter, cols, cols);
  const std::span<float> values(total.data(), total.size());
  for (int rank = 0; rank < group.size(); ++rank) {
    if (rank == group.rank())
      for (const std::size_t input : inputs) {
        const FloatMatrix& part = statistics_.of_input(input).gram();
        if (part.size() > 0) task_.compute.kernels.add(total.row(task_.own_sums()[input].first), part.data(), part.size());
      }
    if (rank + 1 == group.size()) break;
    const int next[] = {rank + 1};
    COLONNADE_TRY(group.pass_values(rank, next, values));
  }
  COLONNADE_TRY(group.pass_values(group.size() - 1, group.all(), values));
  mirror_upper(task_.compute, total);
  return total;
}

Status LayerSums::gather() {
  if (!with_gram_) return {};
  RankGroup& group = task_.group;
  for (std::size_t i = 0; i < known_.size(); ++i) {
    const LayerInput& input = task_.matrices.inputs[i];
    const std::vector<int> users = task_.shares.users_of(input);
    const bool uses = std::find(users.begin(), users.end(), group.rank()) != users.end();
    const bool has_all = task_.own_sums()[i].count() == input.cols;
    FloatMatrix part = std::move(statistics_.of_input(i).gram()), whole;
    if (has_all) {
      whole = std::move(part);
    } else if (uses) {
      whole = FloatMatrix(task_.meter, input.cols, input.cols);
    }
    for (const int owner : task_.shares.owners_of(i)) {
      const RowRange rows = task_.shares.sums[static_cast<std::size_t>(owner)][i];
      const bool mine = owner == group.rank();
      float* const place = has_all || uses ? whole.row(rows.first) : part.data();
      if (mine && uses && !has_all) std::memcpy(place, part.data(), rows.count() * input.cols * sizeof(float));
      COLONNADE_TRY(group.pass_values(owner, users, std::span(place, mine || uses ? rows.count() * input.cols : 0)));
    }
    if (!uses) continue;
    mirror_upper(task_.compute, whole);
    known_[i].gram = std::move(whole);
  }
  return {};
}

}  // namespace colonnade::shard
