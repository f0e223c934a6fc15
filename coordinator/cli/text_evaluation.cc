#include "coordinator/cli/text_evaluation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <numbers>
#include <span>
#include <utility>

#include "coordinator/cli/prompt_scores.h"
#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::cli {
namespace {

/// Text is read whole.
constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 30;

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

/// Adds the windows of a document.
void add_windows(const std::vector<std::int32_t>& start, const std::vector<std::int32_t>& tokens, const std::vector<std::size_t>& ends,
                 const EvaluationRules& rules, std::size_t window_tokens, Windows& windows) {
  const std::size_t body = window_tokens - start.size(), stride = rules.stride > 0 ? std::min(rules.stride, body) : body;
  const std::size_t most = rules.windows_per_document;
  std::size_t scored = 0;
  for (std::size_t at = 0, n = 0; scored < tokens.size() && (most == 0 || n < most); at += stride, ++n) {
    const std::size_t end = std::min(at + body, tokens.size());
    // The first token of all has nothing before it.
    const std::size_t first_scored = std::max<std::size_t>(1, start.size() + scored - at);
    const std::size_t first = at + first_scored - start.size();
    scored = end;
    if (first >= end) continue;
    windows.scored_tokens += end - first;
    windows.scored_bytes += ends[end - 1] - (first > 0 ? ends[first - 1] : 0);
    windows.first_scored.push_back(first_scored);
    std::vector<std::int32_t>& window = windows.tokens.emplace_back(start);
    window.insert(window.end(), tokens.begin() + static_cast<std::ptrdiff_t>(at), tokens.begin() + static_cast<std::ptrdiff_t>(end));
  }
}

}  // namespace

std::vector<Option> evaluation_option_list() {
  return {
      {.name = "window", .kind = OptionKind::kInt, .default_value = "512", .value_name = "TOKENS", .help = "Longest window, with the beginning-of-text token.", .min = 2},
      {.name = "stride", .kind = OptionKind::kInt, .default_value = "0", .value_name = "TOKENS", .help = "From window to window; 0: they do not overlap. Half a window scores most tokens after at least half a window.", .min = 0},
      {.name = "separator", .kind = OptionKind::kText, .default_value = "<|endoftext|>", .value_name = "TEXT", .help = "What separates documents in the text."},
      {.name = "min-bytes", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N", .help = "Leave out documents with fewer bytes.", .min = 0},
      {.name = "documents", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N", .help = "Only the first N documents; 0: all.", .min = 0},
      {.name = "windows", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N", .help = "Only the first N windows of a document; 0: all.", .min = 0},
      {.name = "in-flight", .kind = OptionKind::kInt, .default_value = "8", .value_name = "N", .help = "Windows that are evaluated together.", .min = 1, .max = 256},
  };
}

EvaluationRules evaluation_rules(const Options& options) {
  const auto size = [&](const char* name) { return static_cast<std::size_t>(options.integer(name)); };
  return {.window_tokens = size("window"), .stride = size("stride"), .windows_per_document = size("windows"),
          .separator = options.text("separator"), .min_bytes = size("min-bytes"), .documents = size("documents"),
          .in_flight = static_cast<int>(options.integer("in-flight"))};
}

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content;
  std::array<char, 65536> buffer{};
  while (file.read(buffer.data(), buffer.size()) || file.gcount() > 0) {
    content.append(buffer.data(), static_cast<std::size_t>(file.gcount()));
    if (content.size() > kMaxTextBytes)
      return Error{ErrorCode::kInvalidArgument, text(path, ": expected a text of at most ", format_bytes(kMaxTextBytes), ", found more")};
  }
  if (!file.eof()) return Error{ErrorCode::kNotFound, text(path, ": cannot be read")};
  return content;
}

Result<Windows> make_windows(const engine::Tokenizer& tokenizer, std::string_view content, const EvaluationRules& rules,
                             std::size_t context_tokens, const std::string& what) {
  const std::size_t window_tokens = std::min(rules.window_tokens, context_tokens);
  if (rules.stride > window_tokens)
    return Error{ErrorCode::kInvalidArgument, text("--stride: expected at most the window of ", window_tokens, " tokens, found ", rules.stride)};
  const std::vector<std::int32_t> start = tokenizer.encode("", engine::SpecialTokens::kPlain, true);
  if (start.size() >= window_tokens)
    return Error{ErrorCode::kInvalidArgument, text("--window: expected more than the ", start.size(), " tokens that begin a text, found ", window_tokens)};
  Windows windows;
  for (const std::string_view document : split_documents(content, rules.separator, rules.min_bytes, rules.documents)) {
    const std::vector<std::int32_t> tokens = tokenizer.encode(document, engine::SpecialTokens::kPlain, false);
    add_windows(start, tokens, text_ends(tokenizer, tokens), rules, window_tokens, windows);
    ++windows.documents;
  }
  if (windows.tokens.empty())
    return Error{ErrorCode::kInvalidArgument,
                 text(what, ": expected text to evaluate, found no document of at least ", rules.min_bytes, " bytes")};
  return windows;
}

double Likelihood::error() const {
  const double n = static_cast<double>(tokens);
  return n < 2 ? 0.0 : std::sqrt(std::max(0.0, squares / n - mean() * mean()) / (n - 1));
}

double Likelihood::perplexity() const { return std::exp(mean()); }

double Likelihood::bits_per_byte(const Windows& windows) const {
  return sum / std::numbers::ln2 / static_cast<double>(std::max<std::size_t>(1, windows.scored_bytes));
}

Result<Likelihood> measure_likelihood(RunningJob& job, const Windows& windows, int in_flight,
                                      const std::function<void(std::size_t)>& on_tokens) {
  COLONNADE_TRY(job.wait_ready());
  const double start_seconds = now_seconds();
  // By window, added in order: windows end in any order, and sums are to be the same each time.
  std::vector<Likelihood> parts(windows.tokens.size());
  COLONNADE_TRY(prompt_logprobs(job.generator(), windows.tokens, in_flight, [&](std::size_t index, const std::vector<float>& logprobs) {
    for (const float logprob : std::span(logprobs).subspan(windows.first_scored[index] - 1)) {
      parts[index].sum -= logprob;
      parts[index].squares += static_cast<double>(logprob) * logprob;
      ++parts[index].tokens;
    }
    on_tokens(parts[index].tokens);
  }));
  Likelihood total;
  for (const Likelihood& part : parts) {
    total.sum += part.sum;
    total.squares += part.squares;
    total.tokens += part.tokens;
  }
  total.seconds = now_seconds() - start_seconds;
  return total;
}

Result<DistributionDistance> measure_distance(RunningJob& reference, RunningJob& job, const Windows& windows,
                                              const std::function<void(std::size_t)>& on_tokens) {
  COLONNADE_TRY(reference.wait_ready());
  COLONNADE_TRY(job.wait_ready());
  DistributionDistance distance;
  for (std::size_t i = 0; i < windows.tokens.size(); ++i) {
    const std::size_t n_tokens = windows.tokens[i].size();
    COLONNADE_ASSIGN(const std::vector<float> wanted, prompt_logits(reference.generator(), windows.tokens[i]));
    COLONNADE_ASSIGN(const std::vector<float> found, prompt_logits(job.generator(), windows.tokens[i]));
    const std::size_t vocab = wanted.size() / n_tokens;
    for (std::size_t t = windows.first_scored[i]; t < n_tokens; ++t)
      distance.add(std::span(wanted).subspan((t - 1) * vocab, vocab), std::span(found).subspan((t - 1) * vocab, vocab));
    on_tokens(n_tokens - windows.first_scored[i]);
  }
  return distance;
}

}  // namespace colonnade::cli
