// colonnade perplexity: how well a model predicts a text.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <numbers>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/cli/command.h"
#include "coordinator/cli/distribution_distance.h"
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

/// Some tokens of a document, of which those from number `first_scored` on count.
struct Window {
  std::vector<std::int32_t> tokens;
  std::size_t first_scored = 1;
};

struct Windows {
  std::vector<Window> list;
  std::size_t scored_tokens = 0;
  std::size_t scored_bytes = 0;  // of text
};

struct WindowRules {
  std::size_t tokens;  // of a window, with those that begin a text
  std::size_t stride;  // 0: windows do not overlap
  std::size_t per_document;
};

/// Where the text of each token ends, in bytes.
std::vector<std::size_t> text_ends(const engine::Tokenizer& tokenizer, std::span<const std::int32_t> tokens) {
  std::vector<std::size_t> ends;
  const auto stream = tokenizer.decode_stream(false);
  std::size_t bytes = 0;
  for (const std::int32_t token : tokens) ends.push_back(bytes += stream->push(token).size());
  bytes += stream->finish().size();
  if (!ends.empty()) ends.back() = bytes;
  return ends;
}

/// Each window begins with the model's beginning-of-text token where it has one, and scores what no window before it has.
Windows make_windows(const engine::Tokenizer& tokenizer, std::span<const std::string_view> documents, const WindowRules& rules) {
  const std::vector<std::int32_t> start = tokenizer.encode("", engine::SpecialTokens::kPlain, true);
  const std::size_t body = rules.tokens - start.size(), stride = rules.stride > 0 ? std::min(rules.stride, body) : body;
  Windows windows;
  for (const std::string_view document : documents) {
    const std::vector<std::int32_t> tokens = tokenizer.encode(document, engine::SpecialTokens::kPlain, false);
    const std::vector<std::size_t> ends = text_ends(tokenizer, tokens);
    std::size_t scored = 0;
    for (std::size_t at = 0, n = 0; scored < tokens.size() && (rules.per_document == 0 || n < rules.per_document); at += stride, ++n) {
      const std::size_t end = std::min(at + body, tokens.size());
      Window window{start, 0};
      window.tokens.insert(window.tokens.end(), tokens.begin() + static_cast<std::ptrdiff_t>(at),
                           tokens.begin() + static_cast<std::ptrdiff_t>(end));
      // The first token of all has nothing before it.
      window.first_scored = std::max<std::size_t>(1, start.size() + scored - at);
      const std::size_t first = at + window.first_scored - start.size();
      scored = end;
      if (first >= end) continue;
      windows.scored_tokens += end - first;
      windows.scored_bytes += ends[end - 1] - (first > 0 ? ends[first - 1] : 0);
      windows.list.push_back(std::move(window));
    }
  }
  return windows;
}

struct Likelihood {
  double sum = 0;      // of negative log-probabilities
  double squares = 0;
  std::size_t tokens = 0;

  void add(std::span<const float> logprobs) {
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

/// Adds the predictions of all tokens that are scored.
Status compare(coordinator::Generator& reference, coordinator::Generator& model, std::span<const std::vector<std::int32_t>> prompts,
               const Windows& windows, DistributionDistance& distance) {
  Progress progress("comparing", windows.scored_tokens, ProgressUnit::kItems);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    COLONNADE_ASSIGN(const std::vector<float> wanted, prompt_logits(reference, prompts[i]));
    COLONNADE_ASSIGN(const std::vector<float> found, prompt_logits(model, prompts[i]));
    const std::size_t vocab = wanted.size() / prompts[i].size();
    for (std::size_t t = windows.list[i].first_scored; t < prompts[i].size(); ++t)
      distance.add(std::span(wanted).subspan((t - 1) * vocab, vocab), std::span(found).subspan((t - 1) * vocab, vocab));
    progress.add(prompts[i].size() - windows.list[i].first_scored);
  }
  progress.finish();
  return {};
}

Status run_perplexity(const Options& options) {
  COLONNADE_ASSIGN(const std::string content, read_text(options.positional("TEXT")));
  COLONNADE_ASSIGN(LaunchOptions launch, launch_options(options));
  COLONNADE_ASSIGN(const auto job, launch_job(launch));
  COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(job->model().directory));
  const auto documents = split_documents(content, options.text("separator"), static_cast<std::size_t>(options.integer("min-bytes")),
                                         static_cast<std::size_t>(options.integer("documents")));
  const WindowRules rules{static_cast<std::size_t>(std::min<std::int64_t>(options.integer("window"), job->context_tokens())),
                          static_cast<std::size_t>(options.integer("stride")), static_cast<std::size_t>(options.integer("windows"))};
  if (rules.stride > rules.tokens)
    return Error{ErrorCode::kInvalidArgument, text("--stride: expected at most the window of ", rules.tokens, " tokens, found ", rules.stride)};
  Windows windows = make_windows(*tokenizer, documents, rules);
  if (windows.list.empty())
    return Error{ErrorCode::kInvalidArgument,
                 text(options.positional("TEXT"), ": expected text to evaluate, found no document of at least ",
                      options.integer("min-bytes"), " bytes")};
  std::unique_ptr<RunningJob> reference;
  if (options.is_set("reference")) {
    launch.model = options.text("reference");
    launch.values.clear();
    COLONNADE_ASSIGN(reference, launch_job(launch));
    if (reference->model().manifest.config.vocab_size != job->model().manifest.config.vocab_size)
      return Error{ErrorCode::kInvalidArgument,
                   text("--reference ", launch.model, ": expected the model's vocabulary of ", job->model().manifest.config.vocab_size,
                        " tokens, found ", reference->model().manifest.config.vocab_size)};
  }
  std::vector<std::vector<std::int32_t>> prompts;
  for (Window& window : windows.list) prompts.push_back(std::move(window.tokens));

  COLONNADE_TRY(job->wait_ready());
  const double start_seconds = now_seconds();
  Likelihood likelihood;
  {
    Progress progress("perplexity", windows.scored_tokens, ProgressUnit::kItems);
    COLONNADE_TRY(prompt_logprobs(job->generator(), prompts, static_cast<int>(options.integer("in-flight")),
                                  [&](std::size_t index, const std::vector<float>& logprobs) {
                                    const auto scored = std::span(logprobs).subspan(windows.list[index].first_scored - 1);
                                    likelihood.add(scored);
                                    progress.add(scored.size());
                                  }));
  }
  const double seconds = now_seconds() - start_seconds;
  DistributionDistance distance;
  if (reference) {
    COLONNADE_TRY(reference->wait_ready());
    COLONNADE_TRY(compare(reference->generator(), job->generator(), prompts, windows, distance));
  }
  const double perplexity = std::exp(likelihood.mean());
  const double bits_per_byte = likelihood.sum / std::numbers::ln2 / static_cast<double>(std::max<std::size_t>(1, windows.scored_bytes));
  if (options.flag("json")) {
    Json result = {{"perplexity", perplexity},
                         {"perplexity_error", perplexity * likelihood.error()},
                         {"mean_nll", likelihood.mean()},
                         {"bits_per_byte", bits_per_byte},
                         {"tokens", likelihood.tokens},
                         {"bytes", windows.scored_bytes},
                         {"windows", windows.list.size()},
                         {"documents", documents.size()},
                         {"tokens_per_second", static_cast<double>(likelihood.tokens) / seconds}};
    if (reference) {
      result["kl_divergence"] = distance.divergence();
      result["kl_divergence_error"] = distance.divergence_error();
      result["top_1_agreement"] = distance.agreement();
    }
    std::printf("%s\n", dump_json(result, 1).c_str());
  } else {
    std::printf("perplexity %.4f +- %.4f   mean negative log-likelihood %.5f   %.4f bits per byte   %zu tokens in %zu windows of %zu documents, %.0f tokens/s\n",
                perplexity, perplexity * likelihood.error(), likelihood.mean(), bits_per_byte, likelihood.tokens,
                windows.list.size(), documents.size(), static_cast<double>(likelihood.tokens) / seconds);
    if (reference)
      std::printf("KL divergence from %s %.5f +- %.5f nats   same likeliest token at %.2f %% of %zu positions\n",
                  options.text("reference").c_str(), distance.divergence(), distance.divergence_error(), 100 * distance.agreement(),
                  distance.positions());
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
        .details = "The text is split into documents and these into windows; every token is scored once, in the first window that\n"
                   "has it, but for those that nothing precedes. The error is the standard error over tokens. Bits per byte\n"
                   "compare models with different tokenizers.\n"
                   "  colonnade perplexity MODEL test.txt\n"
                   "  colonnade perplexity MODEL test.txt --values int8 --window 256 --documents 24",
        .positionals = {{"MODEL", "a Hugging Face directory, a GGUF file or a packed model"}, {"TEXT", "a text file"}},
        .options = {
            {.name = "window", .kind = OptionKind::kInt, .default_value = "512", .value_name = "TOKENS", .help = "Longest window, with the beginning-of-text token.", .min = 2},
            {.name = "stride", .kind = OptionKind::kInt, .default_value = "0", .value_name = "TOKENS", .help = "From window to window; 0: they do not overlap. Half a window scores most tokens after at least half a window.", .min = 0},
            {.name = "separator", .kind = OptionKind::kText, .default_value = "<|endoftext|>", .value_name = "TEXT", .help = "What separates documents in the text."},
            {.name = "min-bytes", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N", .help = "Leave out documents with fewer bytes.", .min = 0},
            {.name = "documents", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N", .help = "Only the first N documents; 0: all.", .min = 0},
            {.name = "windows", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N", .help = "Only the first N windows of a document; 0: all.", .min = 0},
            {.name = "in-flight", .kind = OptionKind::kInt, .default_value = "8", .value_name = "N", .help = "Windows that are evaluated together.", .min = 1, .max = 256},
            {.name = "reference", .kind = OptionKind::kText, .default_value = "", .value_name = "MODEL", .help = "Also compare all predictions with those of this model: Kullback-Leibler divergence and how often both think the same token the likeliest."},
            {.name = "json", .kind = OptionKind::kFlag, .default_value = "false", .help = "Print JSON."},
        }};
    for (const Option& option : launch_option_list()) spec.options.push_back(option);
    return Command{std::move(spec), run};
  }();
  return command;
}

}  // namespace colonnade::cli
