// How well a model predicts a text: the text cut into documents and windows, and what is measured on them. Shared by perplexity and
// quality, so that both print the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/cli/distribution_distance.h"
#include "coordinator/cli/launch.h"
#include "engine/base/options.h"
#include "engine/base/result.h"
#include "engine/text/tokenizer.h"

namespace colonnade::cli {

/// --window, --stride, --separator, --min-bytes, --documents, --windows, --in-flight.
std::vector<Option> evaluation_option_list();

struct EvaluationRules {
  std::size_t window_tokens = 512;  // with those that begin a text
  std::size_t stride = 0;           // 0: windows do not overlap
  std::size_t windows_per_document = 0;  // 0: all
  std::string separator = {};
  std::size_t min_bytes = 0;
  std::size_t documents = 0;        // 0: all
  int in_flight = 8;
};
EvaluationRules evaluation_rules(const Options& options);

/// kNotFound names the file; kInvalidArgument one that is larger than 1 GiB.
Result<std::string> read_text(const std::string& path);

struct Windows {
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<std::size_t> first_scored;  // of each: tokens from this number on count
  std::size_t scored_tokens = 0;
  std::size_t scored_bytes = 0;  // of text
  std::size_t documents = 0;
};

/// Each window begins with the model's beginning-of-text token where it has one, and scores what no window before it has. Windows are at
/// most `context_tokens` long. kInvalidArgument when the stride is longer than a window or there is nothing to score (`what` names the text).
Result<Windows> make_windows(const engine::Tokenizer& tokenizer, std::string_view content, const EvaluationRules& rules,
                             std::size_t context_tokens, const std::string& what);

struct Likelihood {
  double sum = 0;      // of negative log-probabilities
  double squares = 0;
  std::size_t tokens = 0;
  double seconds = 0;

  double mean() const { return sum / static_cast<double>(tokens); }
  /// Standard error of the mean, taking tokens as independent.
  double error() const;
  double perplexity() const;
  double perplexity_error() const { return perplexity() * error(); }
  double bits_per_byte(const Windows& windows) const;
};

/// Of all tokens that are scored. `on_tokens` is called with the number of tokens after each window, one call at a time.
Result<Likelihood> measure_likelihood(RunningJob& job, const Windows& windows, int in_flight,
                                      const std::function<void(std::size_t)>& on_tokens);

/// Distance of `job` from `reference`, of all predictions of tokens that are scored.
Result<DistributionDistance> measure_distance(RunningJob& reference, RunningJob& job, const Windows& windows,
                                              const std::function<void(std::size_t)>& on_tokens);

}  // namespace colonnade::cli
