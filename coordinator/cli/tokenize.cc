// colonnade tokenize MODEL: text to token ids.
#include <cstdio>

#include "coordinator/cli/command.h"
#include "coordinator/cli/tokenizer_file.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"

namespace colonnade::cli {
namespace {

Result<std::string> tokenize(const Options& options) {
  COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(options.positional("MODEL")));
  std::string input = options.text("text");
  if (!options.is_set("text")) {
    COLONNADE_ASSIGN(input, read_standard_input());
  }
  const auto recognise = options.flag("plain") ? engine::SpecialTokens::kPlain : engine::SpecialTokens::kRecognise;
  const std::vector<std::int32_t> tokens = tokenizer->encode(input, recognise, options.flag("special"));
  if (!options.flag("json")) {
    std::string line;
    for (const std::int32_t token : tokens) line += text(line.empty() ? "" : " ", token);
    return line + "\n";
  }
  Json pieces = Json::array();
  for (const std::int32_t token : tokens) pieces.push_back(tokenizer->token_text(token));
  return dump_json({{"tokens", tokens}, {"pieces", pieces}, {"count", tokens.size()}}) + "\n";
}

int run(const Options& options) {
  const Result<std::string> output = tokenize(options);
  if (!output.ok()) return fail(output.error());
  std::fwrite(output->data(), 1, output->size(), stdout);
  return 0;
}

}  // namespace

const Command& tokenize_command() {
  static const Command command{
      {.name = "tokenize",
       .summary = "Turns text into token ids.",
       .details = "Prints the ids on one line, or with --json one object: tokens (the ids), pieces (their spelling in the\n"
                  "vocabulary) and count. The text is taken byte for byte; without --text it is standard input.\n\n"
                  "  colonnade tokenize deploy/demo --text 'Once upon a time'\n"
                  "  colonnade tokenize MODEL --no-special --plain --json < file.txt",
       .positionals = {{"MODEL", "a Hugging Face directory, a packed model, a GGUF file, or a tokenizer.json, tokenizer.model, tiktoken file or vocab.txt"}},
       .options = {{.name = "text", .value_name = "TEXT", .help = "The text (default: standard input)."},
                   {.name = "json", .kind = OptionKind::kFlag, .default_value = "false", .help = "Print JSON."},
                   {.name = "special", .kind = OptionKind::kFlag, .default_value = "true",
                    .help = "Put the model's special tokens (such as <s>) around the text."},
                   {.name = "plain", .kind = OptionKind::kFlag, .default_value = "false",
                    .help = "Take special tokens that are spelled in the text as ordinary text."}}},
      run};
  return command;
}

}  // namespace colonnade::cli
