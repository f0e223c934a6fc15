// colonnade logits: the logits at every position of a token sequence, through exactly the path that serving takes.
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "coordinator/cli/command.h"
#include "coordinator/cli/launch.h"
#include "coordinator/cli/orderly_stop.h"
#include "coordinator/cli/prompt_scores.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"

namespace colonnade::cli {
namespace {

/// "1,2,3", or a file with numbers separated by commas, blanks or line ends.
Result<std::vector<std::int32_t>> read_tokens(const std::string& argument) {
  std::string list = argument;
  if (std::error_code ignored; std::filesystem::is_regular_file(argument, ignored)) {
    std::ifstream file(argument, std::ios::binary);
    std::stringstream content;
    content << file.rdbuf();
    if (!file) return Error{ErrorCode::kIo, text(argument, ": cannot be read")};
    list = content.str();
  }
  std::vector<std::int32_t> tokens;
  for (const char* at = list.data(); at != list.data() + list.size();) {
    if (std::strchr(", \t\r\n[]", *at) != nullptr) {
      ++at;
      continue;
    }
    std::int32_t token = 0;
    const auto [end, status] = std::from_chars(at, list.data() + list.size(), token);
    if (status != std::errc{})
      return Error{ErrorCode::kInvalidArgument,
                   text("--tokens: expected token ids such as 1,2,3 or a file of them, found \"",
                        std::string(at, std::min<std::size_t>(20, static_cast<std::size_t>(list.data() + list.size() - at))), "\"")};
    tokens.push_back(token);
    at = end;
  }
  return tokens;
}

/// safetensors: u64 header length, JSON header padded with blanks to 8 bytes, data.
Status write_safetensors(const std::string& path, const std::vector<std::int32_t>& tokens, const std::vector<float>& logits) {
  const std::size_t logit_bytes = logits.size() * sizeof(float);
  const std::size_t token_bytes = tokens.size() * sizeof(std::int32_t);
  const Json header = {
      {"logits", {{"dtype", "F32"}, {"shape", {tokens.size(), logits.size() / tokens.size()}}, {"data_offsets", {0, logit_bytes}}}},
      {"tokens", {{"dtype", "I32"}, {"shape", {tokens.size()}}, {"data_offsets", {logit_bytes, logit_bytes + token_bytes}}}}};
  std::string head = dump_json(header);
  head.resize((head.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = head.size();
  const std::string temporary = path + ".part";
  std::ofstream file(temporary, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file.write(head.data(), static_cast<std::streamsize>(head.size()));
  file.write(reinterpret_cast<const char*>(logits.data()), static_cast<std::streamsize>(logit_bytes));
  file.write(reinterpret_cast<const char*>(tokens.data()), static_cast<std::streamsize>(token_bytes));
  file.close();
  std::error_code failed;
  if (file) std::filesystem::rename(temporary, path, failed);
  if (!file || failed) {
    std::filesystem::remove(temporary, failed);
    return Error{ErrorCode::kIo, text(path, ": cannot be written")};
  }
  return {};
}

void print_json(const std::vector<std::int32_t>& tokens, const std::vector<float>& logits) {
  const std::size_t vocab = logits.size() / tokens.size();
  std::printf("{\"tokens\": [");
  for (std::size_t t = 0; t < tokens.size(); ++t) std::printf("%s%d", t == 0 ? "" : ", ", tokens[t]);
  std::printf("],\n \"logits\": [");
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    std::printf("%s[", t == 0 ? "" : ",\n  ");
    // Nine digits are enough to read the same float again.
    for (std::size_t v = 0; v < vocab; ++v) std::printf("%s%.9g", v == 0 ? "" : ",", static_cast<double>(logits[t * vocab + v]));
    std::printf("]");
  }
  std::printf("]}\n");
}

void print_best(const std::vector<std::int32_t>& tokens, const std::vector<float>& logits) {
  const std::size_t vocab = logits.size() / tokens.size();
  std::printf("position   token    best   logit\n");
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    const float* const row = logits.data() + t * vocab;
    std::size_t best = 0;
    for (std::size_t v = 1; v < vocab; ++v)
      if (row[v] > row[best]) best = v;
    std::printf("%8zu %7d %7zu %10.5f\n", t, tokens[t], best, static_cast<double>(row[best]));
  }
}

Status run_logits(const Options& options) {
  COLONNADE_ASSIGN(const std::vector<std::int32_t> tokens, read_tokens(options.text("tokens")));
  if (tokens.empty()) return Error{ErrorCode::kInvalidArgument, "--tokens: expected at least one token, found none"};
  COLONNADE_ASSIGN(LaunchOptions launch, launch_options(options));
  if (const auto chunk = options.integer("chunk"); chunk > 0) launch.max_step_tokens = static_cast<int>(chunk);
  const OrderlyStop stop;
  COLONNADE_ASSIGN(const auto job, launch_job(launch));
  COLONNADE_TRY(job->wait_ready());
  COLONNADE_ASSIGN(const std::vector<float> logits, prompt_logits(job->generator(), tokens));
  if (const std::string out = options.text("out"); !out.empty()) {
    COLONNADE_TRY(write_safetensors(out, tokens, logits));
  } else if (options.flag("json")) {
    print_json(tokens, logits);
  } else {
    print_best(tokens, logits);
  }
  return {};
}

int run(const Options& options) {
  const Status status = run_logits(options);
  return status.ok() ? 0 : fail(status.error());
}

}  // namespace

const Command& logits_command() {
  static const Command command = [] {
    CommandSpec spec{
        .name = "logits",
        .summary = "Computes the logits at every position of a token sequence.",
        .details = "The tokens take exactly the path of serving: scheduler, control link, ranks, joins, head. Use it to\n"
                   "compare with another implementation, or one plan with another:\n"
                   "  colonnade logits MODEL --tokens 1,2,3 --json\n"
                   "  colonnade logits MODEL --tokens ids.txt --ranks 3 --stages 2 --chunk 5 -o logits.safetensors",
        .positionals = {{"MODEL", "a Hugging Face directory, a GGUF file or a packed model"}},
        .options = {
            {.name = "tokens", .kind = OptionKind::kText, .value_name = "IDS|FILE", .help = "Token ids: 1,2,3 or a file of them."},
            {.name = "out", .kind = OptionKind::kText, .value_name = "FILE", .help = "Write a safetensors file with `logits` and `tokens`.", .short_name = 'o'},
            {.name = "json", .kind = OptionKind::kFlag, .default_value = "false", .help = "Print all logits as JSON instead of the best of each position."},
            {.name = "chunk", .kind = OptionKind::kInt, .default_value = "0", .value_name = "N", .help = "Tokens of one step; 1 decodes token by token, 0 takes --max-step-tokens.", .min = 0},
        }};
    for (const Option& option : launch_option_list()) spec.options.push_back(option);
    return Command{std::move(spec), run};
  }();
  return command;
}

}  // namespace colonnade::cli
