// colonnade run: generates in the terminal, without a server.
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "coordinator/api_backend.h"
#include "coordinator/cli/chat_files.h"
#include "coordinator/cli/chat_options.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/launch.h"
#include "coordinator/cli/stop_signals.h"
#include "coordinator/cli/tokenizer_file.h"
#include "coordinator/constraint_compiler.h"
#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/text/chat.h"

namespace colonnade::cli {
namespace {

using coordinator::FinishReason;
using coordinator::GenerationRequest;

/// What the generator's thread hands to the terminal's.
struct Arrivals {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::int32_t> tokens;
  bool finished = false;
  std::optional<Error> error;
};

struct Timing {
  std::size_t n_prompt = 0;
  std::size_t n_generated = 0;
  double first_s = 0;  // until the first token
  double rest_s = 0;
};

class Session {
 public:
  Session(RunningJob& job, const engine::Tokenizer& tokenizer, StopSignals& signals)
      : job_(job), tokenizer_(tokenizer), signals_(signals) {}

  /// Prints the continuation as it comes and returns it. Ctrl-C ends it early.
  Result<std::string> generate(GenerationRequest request, Timing& timing);

 private:
  RunningJob& job_;
  const engine::Tokenizer& tokenizer_;
  StopSignals& signals_;
};

Result<std::string> Session::generate(GenerationRequest request, Timing& timing) {
  engine::StreamDecoder decoder(tokenizer_, request.prompt, true);
  timing.n_prompt = request.prompt.size();
  Arrivals arrivals;
  coordinator::GenerationCallbacks callbacks;
  callbacks.on_token = [&](const coordinator::TokenEvent& event) {
    const std::lock_guard lock(arrivals.mutex);
    arrivals.tokens.push_back(event.token);
    arrivals.changed.notify_one();
  };
  callbacks.on_finish = [&](FinishReason, const Error* error) {
    const std::lock_guard lock(arrivals.mutex);
    if (error != nullptr) arrivals.error = *error;
    arrivals.finished = true;
    arrivals.changed.notify_one();
  };
  const int signals_before = signals_.count();
  const double began = now_seconds();
  COLONNADE_ASSIGN(const coordinator::GenerationId id, job_.generator().submit(std::move(request), std::move(callbacks)));
  std::string answer;
  const auto show = [&](const std::string& piece) {
    answer += piece;
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  };
  std::vector<std::int32_t> tokens;
  for (bool finished = false, cancelled = false; !finished;) {
    {
      std::unique_lock lock(arrivals.mutex);
      // A signal handler cannot notify: look now and then.
      arrivals.changed.wait_for(lock, std::chrono::milliseconds(50), [&] { return !arrivals.tokens.empty() || arrivals.finished; });
      tokens.swap(arrivals.tokens);
      finished = arrivals.finished;
    }
    if (!tokens.empty() && timing.n_generated == 0) timing.first_s = now_seconds() - began;
    for (const std::int32_t token : tokens) show(decoder.push(token));
    timing.n_generated += tokens.size();
    tokens.clear();
    if (!cancelled && signals_.count() > signals_before) {
      cancelled = true;
      job_.generator().cancel(id);
    }
  }
  show(decoder.finish());
  timing.rest_s = now_seconds() - began - timing.first_s;
  if (arrivals.error) return *arrivals.error;
  return answer;
}

void print_timing(const Timing& timing) {
  if (timing.n_generated == 0) return;
  std::fprintf(stderr, "%zu prompt tokens, first token after %.0f ms; %zu tokens", timing.n_prompt, timing.first_s * 1e3,
               timing.n_generated);
  if (timing.n_generated > 1 && timing.rest_s > 0)
    std::fprintf(stderr, ", %.1f tokens/s", static_cast<double>(timing.n_generated - 1) / timing.rest_s);
  std::fprintf(stderr, "\n");
}

Result<GenerationRequest> request_template(const Options& options, const shard::Manifest& manifest) {
  const auto source = [&](const char* name) {
    const std::string* content = manifest.source_file(name);
    return content != nullptr ? *content : std::string();
  };
  COLONNADE_ASSIGN(const coordinator::GenerationDefaults defaults,
                   coordinator::read_generation_defaults(source("generation_config.json"), source("config.json")));
  const auto number = [&](const char* name, float otherwise) {
    return options.is_set(name) ? static_cast<float>(options.number(name)) : otherwise;
  };
  GenerationRequest request;
  request.stop_tokens = defaults.end_tokens;
  request.temperature = number("temperature", defaults.temperature);
  request.top_p = number("top-p", defaults.top_p);
  request.min_p = number("min-p", defaults.min_p);
  request.top_k = options.is_set("top-k") ? static_cast<int>(options.integer("top-k")) : defaults.top_k;
  request.repetition_penalty = number("repetition-penalty", defaults.repetition_penalty);
  request.max_tokens = static_cast<int>(options.integer("max-tokens"));
  request.seed = options.is_set("seed") ? static_cast<std::uint64_t>(options.integer("seed")) : std::random_device{}();
  return request;
}

Result<std::string> option_file(const Options& options, const char* name) {
  const std::string path = options.text(name);
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{ErrorCode::kIo, text("--", name, " ", path, ": cannot be read: ", std::strerror(errno))};
  return std::string(std::istreambuf_iterator<char>(in), {});
}

/// What --grammar or --json-schema asks for; nothing without.
Result<coordinator::Constraint> read_constraint(const Options& options, coordinator::ConstraintCompiler& compiler) {
  if (options.is_set("grammar") && options.is_set("json-schema"))
    return Error{ErrorCode::kInvalidArgument, "run: expected --grammar or --json-schema, found both"};
  if (options.is_set("grammar")) {
    COLONNADE_ASSIGN(const std::string grammar, option_file(options, "grammar"));
    return compiler.gbnf(grammar);
  }
  if (!options.is_set("json-schema")) return coordinator::Constraint();
  COLONNADE_ASSIGN(const std::string file, option_file(options, "json-schema"));
  COLONNADE_ASSIGN(const OrderedJson schema, parse_ordered_json(file, options.text("json-schema")));
  return compiler.json_schema(schema);
}

/// The conversation as the model's template has it, or as plain text.
Result<std::vector<std::int32_t>> chat_prompt(const engine::ChatTemplates& templates, const engine::Tokenizer& tokenizer,
                                              const std::vector<engine::ChatMessage>& messages) {
  if (templates.empty()) return tokenizer.encode(engine::plain_chat_prompt(messages), engine::SpecialTokens::kPlain, true);
  engine::ChatInput input;
  input.add_generation_prompt = true;
  for (const engine::ChatMessage& one : messages) input.messages.push_back({{"role", one.role}, {"content", one.content}});
  COLONNADE_ASSIGN(const engine::RenderedChat rendered, templates.render(input));
  return engine::encode_chat(tokenizer, rendered);
}

Status chat(Session& session, const engine::Tokenizer& tokenizer, const engine::ChatTemplates& templates,
            const GenerationRequest& parameters) {
  const bool terminal = ::isatty(0) != 0;
  std::vector<engine::ChatMessage> messages;
  std::string line;
  for (;;) {
    if (terminal) std::fprintf(stderr, "> ");
    if (!std::getline(std::cin, line)) break;
    if (line.empty()) continue;
    messages.push_back({"user", line});
    GenerationRequest request = parameters;
    COLONNADE_ASSIGN(request.prompt, chat_prompt(templates, tokenizer, messages));
    Timing timing;
    COLONNADE_ASSIGN(std::string answer, session.generate(std::move(request), timing));
    std::printf("\n");
    std::fflush(stdout);
    print_timing(timing);
    messages.push_back({"assistant", std::move(answer)});
  }
  if (terminal) std::fprintf(stderr, "\n");
  return {};
}

Status complete(Session& session, const engine::Tokenizer& tokenizer, GenerationRequest request, const std::string& prompt) {
  request.prompt = tokenizer.encode(prompt, engine::SpecialTokens::kRecognise, true);
  Timing timing;
  COLONNADE_TRY(session.generate(std::move(request), timing));
  std::printf("\n");
  std::fflush(stdout);
  print_timing(timing);
  return {};
}

Status run_job(const Options& options, const LaunchOptions& launch) {
  const bool chats = options.flag("chat");
  std::string prompt = options.positional("PROMPT");
  if (chats && !prompt.empty())
    return Error{ErrorCode::kInvalidArgument, "run: --chat reads what you say from standard input; found a PROMPT as well"};
  if (!chats && prompt.empty()) {
    COLONNADE_ASSIGN(prompt, read_standard_input());
    if (prompt.ends_with('\n')) prompt.pop_back();  // what echo adds is not meant
  }
  COLONNADE_ASSIGN(const auto job, launch_job(launch));
  for (const std::string& choice : job->choices()) log_info(choice);
  COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(job->model().directory));
  // Before the model is loaded: a template that cannot be read is said at once.
  std::shared_ptr<const engine::ChatTemplates> templates;
  if (chats) {
    COLONNADE_ASSIGN(templates, chat_templates_of(job->model().manifest, options.text("chat-template")));
  }
  COLONNADE_ASSIGN(GenerationRequest parameters, request_template(options, job->model().manifest));
  coordinator::ConstraintCompiler constraints(*tokenizer, static_cast<int>(job->model().manifest.config.vocab_size));
  COLONNADE_ASSIGN(parameters.constraint, read_constraint(options, constraints));
  COLONNADE_TRY(job->wait_ready());
  const coordinator::JobState state = job->service().state();
  if (state.n_ranks > 1)
    std::fprintf(stderr, "%s; kernels %s; transport %s\n", state.plan.c_str(), state.kernels.c_str(), state.transport.c_str());
  StopSignals signals;
  Session session(*job, *tokenizer, signals);
  return chats ? chat(session, *tokenizer, *templates, parameters) : complete(session, *tokenizer, parameters, prompt);
}

int run(const Options& options) {
  // The text is what is wanted here; the rest only when asked for.
  if (options.source("log-level") == OptionSource::kDefault) set_log_level(LogLevel::kWarning);
  const auto launch = launch_options(options);
  if (!launch.ok()) return fail(launch.error());
  if (const auto as_rank = run_as_rank(*launch)) return as_rank->ok() ? 0 : fail(as_rank->error());
  const Status status = run_job(options, *launch);
  return status.ok() ? 0 : fail(status.error());
}

Option number_option(const char* name, const char* help, double min, double max) {
  return {.name = name, .kind = OptionKind::kNumber, .value_name = "X", .help = help, .min = min, .max = max};
}

}  // namespace

const Command& run_command() {
  static const Command command = [] {
    CommandSpec spec{
        .name = "run",
        .summary = "Generates text in the terminal, without a server.",
        .details = "What is not given on the command line comes from the model's generation_config.json. Ctrl-C ends an answer.\n\n"
                   "  colonnade run MODEL \"Once upon a time\" --max-tokens 100 --temperature 0\n"
                   "  colonnade run MODEL --chat",
        .positionals = {{.name = "MODEL", .help = "a Hugging Face directory, a GGUF file or a packed model"},
                        {.name = "PROMPT", .help = "what to continue; standard input when there is none", .required = false}},
        .options = {
            {.name = "chat", .kind = OptionKind::kFlag, .default_value = "false", .help = "Answer line after line, remembering the conversation."},
            chat_template_option(),
            {.name = "max-tokens", .kind = OptionKind::kInt, .default_value = "256", .value_name = "N", .help = "Longest answer in tokens.", .min = 1, .max = 1e9},
            number_option("temperature", "0 takes the most likely token; larger is more varied.", 0, 100),
            number_option("top-p", "Choose among the most likely tokens with this total probability.", 1e-6, 1),
            number_option("min-p", "Drop tokens less likely than this part of the most likely one.", 0, 1),
            {.name = "top-k", .kind = OptionKind::kInt, .value_name = "N", .help = "Choose among this many tokens; 0: all.", .min = 0, .max = 1e9},
            number_option("repetition-penalty", "Above 1 makes tokens that were there already less likely.", 1e-3, 100),
            {.name = "grammar", .kind = OptionKind::kText, .value_name = "FILE", .help = "The answer is a text of this GBNF grammar."},
            {.name = "json-schema", .kind = OptionKind::kText, .value_name = "FILE", .help = "The answer is JSON of this schema."},
            {.name = "seed", .kind = OptionKind::kInt, .value_name = "N", .help = "Makes the answer repeatable; unset: random.", .min = 0, .max = 9e15},
        }};
    for (const Option& option : launch_option_list()) spec.options.push_back(option);
    return Command{std::move(spec), run};
  }();
  return command;
}

}  // namespace colonnade::cli
