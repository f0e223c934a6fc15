// colonnade detokenize MODEL IDS…: token ids to text.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "coordinator/cli/command.h"
#include "coordinator/cli/tokenizer_file.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"

namespace colonnade::cli {
namespace {

/// Numbers between spaces, commas and brackets: "1 2", "1,2" and "[1, 2]" alike.
Result<std::vector<std::int32_t>> parse_ids(const std::string& input, int vocab_size) {
  constexpr std::string_view kBetween = " \t\r\n,[]";
  std::vector<std::int32_t> ids;
  for (std::size_t at = 0; (at = input.find_first_not_of(kBetween, at)) != std::string::npos;) {
    const std::size_t end = std::min(input.find_first_of(kBetween, at), input.size());
    const std::string word = input.substr(at, end - at);
    std::int32_t id = -1;
    const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || rest != word.data() + word.size() || id < 0 || id >= vocab_size) {
      return Error{ErrorCode::kInvalidArgument,
                   text("token ids must be integers from 0 to ", vocab_size - 1, ", found \"", word.substr(0, 40), "\"")};
    }
    ids.push_back(id);
    at = end;
  }
  return ids;
}

Result<std::string> detokenize(const Options& options) {
  COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(options.positional("MODEL")));
  std::string input = options.positional("IDS");
  if (input.empty()) {
    COLONNADE_ASSIGN(input, read_standard_input());
  }
  COLONNADE_ASSIGN(const std::vector<std::int32_t> ids, parse_ids(input, tokenizer->vocab_size()));
  const std::string bytes = tokenizer->decode(ids, !options.flag("special"));
  if (options.flag("json")) return dump_json({{"text", bytes}}) + "\n";
  return isatty(STDOUT_FILENO) != 0 ? bytes + "\n" : bytes;
}

int run(const Options& options) {
  const Result<std::string> output = detokenize(options);
  if (!output.ok()) return fail(output.error());
  std::fwrite(output->data(), 1, output->size(), stdout);
  return 0;
}

}  // namespace

const Command& detokenize_command() {
  static const Command command{
      {.name = "detokenize",
       .summary = "Turns token ids into text.",
       .details = "Writes the bytes that the ids spell, exactly (on a terminal a line end follows), or with --json one object\n"
                  "with text, where bytes that are not UTF-8 become U+FFFD.\n\n"
                  "  colonnade detokenize deploy/demo 1 403 407 261 378\n"
                  "  colonnade tokenize MODEL --text hello | colonnade detokenize MODEL",
       .positionals = {{"MODEL", "a Hugging Face directory, a packed model, a GGUF file, or a tokenizer.json, tokenizer.model, tiktoken file or vocab.txt"},
                       {.name = "IDS", .help = "token ids (default: from standard input)", .required = false, .rest = true}},
       .options = {{.name = "json", .kind = OptionKind::kFlag, .default_value = "false", .help = "Print JSON."},
                   {.name = "special", .kind = OptionKind::kFlag, .default_value = "false",
                    .help = "Write special tokens (such as <s>), too."}}},
      run};
  return command;
}

}  // namespace colonnade::cli
