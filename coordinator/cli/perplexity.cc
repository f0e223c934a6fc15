// colonnade perplexity: how well a model predicts a text.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/cli/command.h"
#include "coordinator/cli/launch.h"
#include "coordinator/cli/prompt_scores.h"
#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/base/progress.h"
#include "coordinator/cli/tokenizer_file.h"
#include "engine/text/tokenizer.h"

namespace colonnade::cli {
namespace {

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  if (!file) return Error{ErrorCode::kNotFound, text(path, ": cannot be read")};
  return content.str();
}

std::vector<std::string_view> split_documents(std::string_view content, std::string_view separator, std::size_t min_bytes,
                                              std::size_t limit) {
  std::vector<std::string_view> documents;
  while (!content.empty() && (limit == 0 || documents.size() < limit)) {
    const std::size_t end = separator.empty() ? std::string_view::npos : content.find(separator);
    std::string_view document = content.substr(0, end);
    content = end == std::string_view::npos ? std::string_view{} : content.substr(end + separator.size());
    constexpr std::string_view kBlank = " \t\r\n";
    const std::size_t first = document.find_first_not_of(kBlank);
    if (first == std::string_view::npos) continue;
    document = document.substr(first, document.find_last_not_of(kBlank) - first + 1);
    if (document.size() >= min_bytes) documents.push_back(document);
  }
  return documents;
}

/// Windows of at most `window` tokens; each begins with the model's beginning-of-text token where it has one.
std::vector<std::vector<std::int32_t>> make_windows(const engine::Tokenizer& tokenizer, std::span<const std::string_view> documents,
                                                    std::size_t window, std::size_t per_document) {
  const std::vector<std::int32_t> start = tokenizer.encode("", engine::SpecialTokens::kPlain, true);
  std::vector<std::vector<std::int32_t>> windows;
  for (const std::string_view document : documents) {
    const std::vector<std::int32_t> tokens = tokenizer.encode(document, engine::SpecialTokens::kPlain, false);
    const std::size_t body = window - start.size();
    for (std::size_t at = 0, n = 0; at < tokens.size() && (per_document == 0 || n < per_document); at += body, ++n) {
      std::vector<std::int32_t> piece = start;
      piece.insert(piece.end(), tokens.begin() + static_cast<std::ptrdiff_t>(at),
                   tokens.begin() + static_cast<std::ptrdiff_t>(std::min(at + body, tokens.size())));
      if (piece.size() > 1) windows.push_back(std::move(piece));
    }
  }
  return windows;
}

struct Likelihood {
  double sum = 0;      // of negative log-probabilities
  double squares = 0;
  std::size_t tokens = 0;

  void add(const std::vector<float>& logprobs) {
    for (const float logprob : logprobs) {
      sum -= logprob;
      squares += static_cast<double>(logprob) * logprob;
      ++tokens;
    }
  }
  double mean() const { return sum / static_cast<double>(tokens); }
  /// Standard error of the mean, taking tokens as independent.
  double error() const {
    const double n = static_cast<double>(tokens);
    return n < 2 ? 0.0 : std::sqrt(std::max(0.0, squares / n - mean() * mean()) / (n - 1));
  }
};

Status run_perplexity(const Options& options) {
  COLONNADE_ASSIGN(const std::string content, read_text(options.positional("TEXT")));
  COLONNADE_ASSIGN(LaunchOptions launch, launch_options(options));
  COLONNADE_ASSIGN(const auto job, launch_job(launch));
  COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(job->model().directory));
  const auto documents = split_documents(content, options.text("separator"), static_cast<std::size_t>(options.integer("min-bytes")),
                                         static_cast<std::size_t>(options.integer("documents")));
  const auto window = static_cast<std::size_t>(std::min<std::int64_t>(options.integer("window"), job->context_tokens()));
  const auto windows = make_windows(*tokenizer, documents, window, static_cast<std::size_t>(options.integer("windows")));
  if (windows.empty())
    return Error{ErrorCode::kInvalidArgument,
                 text(options.positional("TEXT"), ": expected text to evaluate, found no document of at least ",
                      options.integer("min-bytes"), " bytes")};
  std::size_t total_tokens = 0;
  for (const auto& piece : windows) total_tokens += piece.size() - 1;

  COLONNADE_TRY(job->wait_ready());
  const double start_seconds = now_seconds();
  Likelihood likelihood;
  {
    Progress progress("perplexity", total_tokens, ProgressUnit::kItems);
    COLONNADE_TRY(prompt_logprobs(job->generator(), windows, static_cast<int>(options.integer("in-flight")),
                                  [&](std::size_t, const std::vector<float>& logprobs) {
                                    likelihood.add(logprobs);
                                    progress.add(logprobs.size());
                                  }));
  }
  const double seconds = now_seconds() - start_seconds;
  const double perplexity = std::exp(likelihood.mean());
  if (options.flag("json")) {
    const Json result = {{"perplexity", perplexity},
                         {"perplexity_error", perplexity * likelihood.error()},
                         {"mean_nll", likelihood.mean()},
                         {"tokens", likelihood.tokens},
                         {"windows", windows.size()},
                         {"documents", documents.size()},
                         {"tokens_per_second", static_cast<double>(likelihood.tokens) / seconds}};
    std::printf("%s\n", dump_json(result, 1).c_str());
  } else {
    std::printf("perplexity %.4f +- %.4f   mean negative log-likelihood %.5f   %zu tokens in %zu windows of %zu documents, %.0f tokens/s\n",
                perplexity, perplexity * likelihood.error(), likelihood.mean(), likelihood.tokens, windows.size(),
                documents.size(), static_cast<double>(likelihood.tokens) / seconds);
  }
  return {};
}

int run(const Options& options) {
  const Status status = run_perplexity(options);
  return status.ok() ? 0 : fail(status.error());
}

}  // namespace

const Command& perplexity_command() {
  static const Command command = [] {
    CommandSpec spec{
        .name = "perplexity",
        .summary = "Measures how well a model predicts a text.",
        .details = "The text is split into documents and these into windows that do not overlap; every token of a window but\n"
                   "the first is scored. The error is the standard error over tokens.\n"
                   "  colonnade perplexity MODEL test.txt\n"
                   "  colonnade perplexity MODEL test.txt --values int8 --window 256 --documents 24",
        .positionals = {{"MODEL", "a Hugging Face directory, a GGUF file or a packed model"}, {"TEXT", "a text file"}},
        .options = {
            {.name = "window", .kind = OptionKind::kInt, .default_value = "512", .value_name = "TOKENS", .help = "Longest window, with the beginning-of-text token.", .min = 2},
            {.name = "separator", .kind = OptionKind::kText, .default_value = "<|endoftext|>", .value_name = "TEXT", .help = "What separates documents in the text."},
            {.name = "min-bytes", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N", .help = "Leave out documents with fewer bytes.", .min = 0},
            {.name = "documents", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N", .help = "Only the first N documents; 0: all.", .min = 0},
            {.name = "windows", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N", .help = "Only the first N windows of a document; 0: all.", .min = 0},
            {.name = "in-flight", .kind = OptionKind::kInt, .default_value = "8", .value_name = "N", .help = "Windows that are evaluated together.", .min = 1, .max = 256},
            {.name = "json", .kind = OptionKind::kFlag, .default_value = "false", .help = "Print JSON."},
        }};
    for (const Option& option : launch_option_list()) spec.options.push_back(option);
    return Command{std::move(spec), run};
  }();
  return command;
}

}  // namespace colonnade::cli
