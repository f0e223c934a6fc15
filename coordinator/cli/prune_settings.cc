#include "coordinator/cli/prune_settings.h"

#include <algorithm>
#include <string_view>

#include "coordinator/cli/calibration_text.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "shard/hf_config.h"
#include "shard/mapped_file.h"
#include "shard/stored_model.h"
#include "shard/tokenizer_source.h"

namespace colonnade::cli {
namespace {

/// Calibration text is read whole.
constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 30;

}  // namespace

std::vector<Option> prune_setting_list() {
  return {
      {.name = "rates", .kind = OptionKind::kChoice, .default_value = "uniform", .value_name = "RULE",
       .help = "How layers share the sparsity: all alike, by outliers (OWL), or rising from the first to the last (ATP).",
       .choices = {"uniform", "owl", "atp"}},
      {.name = "rate-spread", .kind = OptionKind::kNumber, .default_value = "0.08", .value_name = "SHARE",
       .help = "How far a layer's sparsity may be from the mean, with --rates owl and atp.", .min = 0, .max = 0.5},
      {.name = "calibration", .value_name = "FILE", .help = "The text to calibrate with; a small built-in one by default."},
      {.name = "calibration-windows", .kind = OptionKind::kInt, .default_value = "128", .value_name = "N",
       .help = "Windows of it, spread evenly.", .min = 1, .max = 1e6},
      {.name = "calibration-length", .kind = OptionKind::kInt, .default_value = "2048", .value_name = "TOKENS",
       .help = "Tokens of a window, at most the model's context.", .min = 2, .max = 1e6},
      {.name = "damping", .kind = OptionKind::kNumber, .default_value = "0.01", .value_name = "SHARE",
       .help = "Added to the diagonal of input statistics, of its mean.", .min = 1e-6, .max = 1},
  };
}

Result<shard::PruneOptions> read_prune_settings(const Options& options) {
  shard::PruneOptions prune;
  COLONNADE_ASSIGN(prune.rates, shard::parse_rate_rule(options.text("rates")));
  prune.rate_spread = options.number("rate-spread");
  prune.damping = options.number("damping");
  return prune;
}

Status read_calibration(const Options& options, const std::string& source, shard::PruneOptions& prune) {
  if (!shard::needs_calibration(prune)) return {};
  const std::string file = options.text("calibration");
  std::string own;
  std::string_view content = built_in_calibration_text();
  if (!file.empty()) {
    COLONNADE_ASSIGN(own, shard::read_small_file(file, kMaxTextBytes));
    content = own;
  }
  COLONNADE_ASSIGN(const std::string config_text, shard::read_stored_config(source));
  COLONNADE_ASSIGN(const engine::ModelConfig config, shard::parse_model_config(config_text, shard::stored_config_name(source)));
  COLONNADE_ASSIGN(const auto tokenizer, shard::open_tokenizer(source));
  const auto length = static_cast<std::size_t>(std::min<std::int64_t>(options.integer("calibration-length"), config.max_context_tokens));
  prune.windows = calibration_windows(*tokenizer, content, static_cast<std::size_t>(options.integer("calibration-windows")), length);
  if (prune.windows.empty())
    return Error{ErrorCode::kInvalidArgument, text(file, ": expected text to calibrate with, found none")};
  std::size_t tokens = 0;
  for (const auto& window : prune.windows) tokens += window.size();
  log_info(text("calibrating with ", tokens, " tokens in ", prune.windows.size(), " windows of ",
                file.empty() ? "the built-in text; text of the kind that the model will see is better: --calibration FILE" : file));
  return {};
}

}  // namespace colonnade::cli
