#include "shard/prune/prune_setup.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>
#include <vector>

#include <xxhash.h>

#include "engine/base/format_text.h"
#include "engine/base/version.h"
#include "engine/platform/topology.h"
#include "shard/pack.h"

namespace colonnade::shard {
namespace {

/// Between two short uses of the team its threads had better not sleep.
constexpr int kSpinUs = 50;

Status check_windows(const PruneOptions& options, const engine::ModelConfig& config) {
  if (!needs_calibration(options)) return {};
  if (options.windows.empty())
    return Error{ErrorCode::kInvalidArgument, text("prune: expected calibration text for ", prune_method_name(options.rules.method), ", found none")};
  for (const auto& window : options.windows) {
    if (window.empty() || window.size() > static_cast<std::size_t>(config.max_context_tokens))
      return Error{ErrorCode::kInvalidArgument, text("prune: expected calibration windows of 1 to ", config.max_context_tokens,
                                                     " tokens, found one of ", window.size())};
    for (const std::int32_t token : window)
      if (token < 0 || token >= config.vocab_size)
        return Error{ErrorCode::kInvalidArgument, text("prune: expected calibration tokens below ", config.vocab_size, ", found ", token)};
  }
  return {};
}

/// All digits, so that no two numbers look alike.
std::string exact(double number) {
  std::array<char, 32> digits{};
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr};
}

/// What decides the bytes beside source and calibration text.
struct Setting {
  const char* name;
  std::string value;
};
std::vector<Setting> deciding_settings(const PruneOptions& options) {
  const MatrixRules& rules = options.rules;
  return {{"version", kVersion},
          {"--method", prune_method_name(rules.method)},
          {"--refit", rules.refit ? "true" : "false"},
          {"--structure", structure_text(rules.structure)},
          {"--sparsity", exact(rules.sparsity)},
          {"--values", pruned_values_name(rules.values)},
          {"--rates", rate_rule_name(options.rates)},
          {"--rate-spread", exact(options.rate_spread)},
          {"--damping", exact(options.damping)},
          {"--layout", pruned_layout_name(options.layout)}};
}

/// Equal for copies of a model; says nothing of its numbers.
std::uint64_t shape_hash(const SourceModel& model) {
  std::string all;
  for (const std::string& name : model.source().names()) {
    all += name;
    if (const auto rows = model.source().open(name); rows.ok()) all += text(" ", rows->rows(), " ", rows->cols());
    all += '\n';
  }
  return XXH3_64bits(all.data(), all.size());
}

}  // namespace

Result<std::string> prune_task(const std::filesystem::path& source, const PruneOptions& options) {
  COLONNADE_ASSIGN(const std::string fingerprint, source_fingerprint(source, {}));
  XXH64_hash_t tokens = options.windows.size();
  for (const auto& window : options.windows) tokens = XXH3_64bits_withSeed(window.data(), window.size() * sizeof(window[0]), tokens);
  std::string task = text(fingerprint, " ", tokens);
  for (const Setting& setting : deciding_settings(options)) task += text(" ", setting.name, " ", setting.value);
  return task;
}

Status check_same_options(RankGroup& group, const PruneOptions& options) {
  if (group.size() == 1) return {};
  std::vector<Setting> own = deciding_settings(options);
  own.push_back({"--stop-after-layers", text(options.stop_after_layers)});
  std::string wanted;
  for (const Setting& setting : own) wanted += text(setting.name, " ", setting.value, "\n");
  COLONNADE_TRY(group.share(0, wanted));
  std::istringstream lines(wanted);
  Status same;
  for (const Setting& setting : own) {
    std::string expected;
    std::getline(lines, expected);
    const std::string found = text(setting.name, " ", setting.value);
    if (same.ok() && found != expected)
      same = Error{ErrorCode::kInvalidArgument, text("prune: expected ", expected, " as on rank 0, found ", found)};
  }
  return group.agree(same);
}

Status share_windows(RankGroup& group, const SourceModel& model, PruneOptions& options) {
  COLONNADE_TRY(group.agree(group.leads() ? check_windows(options, model.config()) : Status()));
  std::uint64_t count = options.windows.size();
  COLONNADE_TRY(group.pass_value(0, group.all(), count));
  options.windows.resize(count);
  for (auto& window : options.windows) {
    std::uint64_t length = window.size();
    COLONNADE_TRY(group.pass_value(0, group.all(), length));
    window.resize(length);
    COLONNADE_TRY(group.pass_values(0, group.all(), std::span(window)));
  }
  const std::uint64_t own = group.size() == 1 ? 0 : shape_hash(model);
  std::uint64_t expected = own;
  COLONNADE_TRY(group.pass_value(0, group.all(), expected));
  return group.agree(own == expected ? Status()
                                     : Error{ErrorCode::kInvalidArgument, "prune: expected the same model as on rank 0, found one with other tensors"});
}

Result<std::unique_ptr<engine::ThreadTeam>> prune_team(const Communicator& comm, int threads) {
  const std::vector<int> mates = comm.host_mates();
  if (mates.size() == 1 || threads > 0) return engine::ThreadTeam::make({}, work_threads(threads), mates.size() == 1 ? kSpinUs : 0);
  COLONNADE_ASSIGN(const engine::Topology topology, engine::read_topology());
  const std::vector<std::vector<int>> granted(mates.size(), engine::granted_cpus(topology));
  const auto own = std::find(mates.begin(), mates.end(), comm.rank()) - mates.begin();
  const engine::RankPlacement placement = engine::place_among(topology, granted, static_cast<int>(own));
  const int count = std::max(1, static_cast<int>(placement.cpus.size()));
  return engine::ThreadTeam::make(placement.cpus, count, placement.warning.empty() ? kSpinUs : 0);
}

}  // namespace colonnade::shard
