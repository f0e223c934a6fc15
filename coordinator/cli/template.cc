// colonnade template MODEL: a conversation as the model gets it.
#include <cstdio>
#include <ctime>

#include "coordinator/chat_prompt.h"
#include "coordinator/chat_renderer.h"
#include "coordinator/cli/chat_files.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/tokenizer_file.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"

namespace colonnade::cli {
namespace {

/// NAME=TEXT
Status set_tokens(engine::ChatTemplates& templates, const std::vector<std::string>& settings) {
  for (const std::string& one : settings) {
    const std::size_t equals = one.find('=');
    if (equals == std::string::npos || equals == 0)
      return Error{ErrorCode::kInvalidArgument, text("--token must be NAME=TEXT, such as bos_token=<s>, found \"", one, "\"")};
    templates.set_special_token(one.substr(0, equals), one.substr(equals + 1));
  }
  return {};
}

Result<engine::ChatClock> clock_of(const Options& options) {
  if (!options.is_set("now")) return engine::ChatClock(engine::local_time_now);
  std::tm now{};
  const std::string given = options.text("now");
  const char* end = ::strptime(given.c_str(), "%Y-%m-%dT%H:%M:%S", &now);
  if (end == nullptr || *end != '\0')
    return Error{ErrorCode::kInvalidArgument, text("--now must be a time such as 2025-07-29T14:05:09, found \"", given, "\"")};
  return engine::ChatClock([now] { return now; });
}

Result<OrderedJson> read_conversation() {
  COLONNADE_ASSIGN(const std::string input, read_standard_input());
  COLONNADE_ASSIGN(OrderedJson conversation, parse_ordered_json(input, "standard input"));
  if (conversation.is_array()) conversation = OrderedJson{{"messages", std::move(conversation)}};
  if (!conversation.is_object())
    return Error{ErrorCode::kInvalidArgument, "standard input: expected a list of messages, or an object with messages"};
  return conversation;
}

/// The conversation as /v1/chat/completions reads it.
Result<engine::ChatInput> read_as_request(const OrderedJson& conversation, const std::shared_ptr<const engine::ChatTemplates>& templates) {
  coordinator::ApiBackend backend;
  backend.chat.render = coordinator::make_chat_renderer(templates, nullptr);
  backend.chat.traits = coordinator::probe_chat_templates(backend.chat.render, coordinator::template_sources(*templates));
  const Json body = Json::parse(dump_json(conversation));
  coordinator::RequestFields fields(body);
  coordinator::ChatRequest request = coordinator::read_chat_request(fields, conversation, backend);
  if (!fields.ok()) return Error{ErrorCode::kInvalidArgument, text("standard input: ", fields.error().message)};
  return std::move(request.input);
}

Result<engine::RenderedChat> render(const Options& options) {
  COLONNADE_ASSIGN(engine::ChatTemplates opened, open_chat_templates(options.positional("MODEL")));
  COLONNADE_TRY(set_tokens(opened, options.list("token")));
  const auto templates = std::make_shared<const engine::ChatTemplates>(std::move(opened));
  COLONNADE_ASSIGN(const engine::ChatClock clock, clock_of(options));
  COLONNADE_ASSIGN(const OrderedJson conversation, read_conversation());
  if (options.flag("raw")) return templates->render_variables(conversation, clock);
  COLONNADE_ASSIGN(engine::ChatInput input, read_as_request(conversation, templates));
  input.template_name = options.text("name");
  return templates->render(input, clock);
}

Result<std::string> output(const Options& options) {
  COLONNADE_ASSIGN(const engine::RenderedChat chat, render(options));
  if (!options.flag("ids")) return chat.text;
  COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(options.positional("MODEL")));
  std::string line;
  for (const std::int32_t token : engine::encode_chat(*tokenizer, chat)) line += text(line.empty() ? "" : " ", token);
  return line + "\n";
}

int run(const Options& options) {
  const Result<std::string> words = output(options);
  if (!words.ok()) return fail(words.error());
  std::fwrite(words->data(), 1, words->size(), stdout);
  return 0;
}

}  // namespace

const Command& template_command() {
  static const Command command{
      {.name = "template",
       .summary = "Shows a conversation as a model's chat template renders it.",
       .details = "Reads a conversation from standard input: a list of messages, or an object with the fields of a request to\n"
                  "/v1/chat/completions (messages, tools, documents, add_generation_prompt, continue_final_message,\n"
                  "chat_template_kwargs). Prints the text that the model would get, to the byte.\n\n"
                  "  echo '[{\"role\": \"user\", \"content\": \"Hello\"}]' | colonnade template MODEL\n"
                  "  colonnade template chat_template.jinja --token bos_token='<s>' < conversation.json",
       .positionals = {{"MODEL", "a Hugging Face directory, a packed model, a GGUF file or a file with a template"}},
       .options = {{.name = "name", .value_name = "NAME", .help = "Which of several templates; unset: tool_use with tools, else default."},
                   {.name = "token", .value_name = "NAME=TEXT", .help = "A special token that the template names.", .repeatable = true},
                   {.name = "now", .value_name = "TIME", .help = "The time that strftime_now shows, such as 2025-07-29T14:05:09; unset: now."},
                   {.name = "ids", .kind = OptionKind::kFlag, .default_value = "false", .help = "Print the ids of the tokens instead."},
                   {.name = "raw", .kind = OptionKind::kFlag, .default_value = "false",
                    .help = "Give the template the members of the object as its only variables, unchecked and unchanged."}}},
      run};
  return command;
}

}  // namespace colonnade::cli
