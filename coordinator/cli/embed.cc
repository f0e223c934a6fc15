// colonnade embed: vectors of texts, through exactly the path that serving takes.
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/cli/command.h"
#include "coordinator/cli/launch.h"
#include "coordinator/cli/orderly_stop.h"
#include "coordinator/cli/tokenizer_file.h"
#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

/// What the generator's thread tells: all vectors, or the first error.
struct Answers {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::vector<float>> vectors;
  std::size_t left = 0;
  std::optional<Error> error;

  void finish(const Error* found) {
    const std::lock_guard lock(mutex);
    if (found != nullptr && !error) error = *found;
    --left;
    changed.notify_all();
  }
};

Result<std::vector<std::vector<float>>> vectors_of(coordinator::Generator& generator, const engine::Tokenizer& tokenizer,
                                                   const std::vector<std::string>& texts) {
  const auto answers = std::make_shared<Answers>();
  answers->vectors.resize(texts.size());
  Status submitted;
  for (std::size_t i = 0; i < texts.size() && submitted.ok(); ++i) {
    coordinator::GenerationRequest request;
    request.prompt = tokenizer.encode(texts[i], engine::SpecialTokens::kPlain, true);
    request.max_tokens = 0;
    request.prompt_output = coordinator::PromptOutput::kVector;
    coordinator::GenerationCallbacks callbacks;
    callbacks.on_prompt_logits = [answers, i](int, std::vector<float> vector) {
      const std::lock_guard lock(answers->mutex);
      answers->vectors[i] = std::move(vector);
    };
    callbacks.on_finish = [answers](coordinator::FinishReason, const Error* error) { answers->finish(error); };
    {
      const std::lock_guard lock(answers->mutex);
      ++answers->left;
    }
    const auto id = generator.submit(std::move(request), std::move(callbacks));
    if (id.ok()) continue;
    submitted = id.error();
    answers->finish(nullptr);
  }
  std::unique_lock lock(answers->mutex);
  answers->changed.wait(lock, [&] { return answers->left == 0; });
  COLONNADE_TRY(submitted);
  if (answers->error) return *answers->error;
  return std::move(answers->vectors);
}

Status embed(const Options& options) {
  COLONNADE_ASSIGN(const LaunchOptions launch, launch_options(options));
  const OrderlyStop stop;
  COLONNADE_ASSIGN(const auto job, launch_job(launch));
  COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(job->model().directory));
  COLONNADE_TRY(job->wait_ready());
  COLONNADE_ASSIGN(const auto vectors, vectors_of(job->generator(), *tokenizer, options.list("TEXT")));
  for (const std::vector<float>& vector : vectors) {
    // Nine digits are enough to read the same float again.
    for (std::size_t i = 0; i < vector.size(); ++i) std::printf("%s%.9g", i == 0 ? "[" : ", ", static_cast<double>(vector[i]));
    std::printf("]\n");
  }
  job->stop();
  return {};
}

int run(const Options& options) {
  auto launch = launch_options(options);
  if (!launch.ok()) return fail(launch.error());
  if (const auto as_rank = run_as_rank(*launch)) return as_rank->ok() ? 0 : fail(as_rank->error());
  const Status status = embed(options);
  return status.ok() ? 0 : fail(status.error());
}

}  // namespace

const Command& embed_command() {
  static const Command command = [] {
    CommandSpec spec{
        .name = "embed",
        .summary = "Prints the vectors that an encoder gives texts.",
        .details = "A JSON list of numbers for each text, one a line.\n\n"
                   "  colonnade embed MODEL \"first text\" \"second text\"",
        .positionals = {{.name = "MODEL", .help = "an encoder: a Hugging Face directory, a GGUF file or a packed model"},
                        {.name = "TEXT", .help = "one or more texts", .rest = true}},
        .options = {}};
    for (const Option& option : launch_option_list()) spec.options.push_back(option);
    return Command{std::move(spec), run};
  }();
  return command;
}

}  // namespace colonnade::cli
