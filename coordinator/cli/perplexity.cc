// colonnade perplexity: how well a model predicts a text.
#include <cstdio>
#include <memory>
#include <string>

#include "coordinator/cli/command.h"
#include "coordinator/cli/launch.h"
#include "coordinator/cli/orderly_stop.h"
#include "coordinator/cli/text_evaluation.h"
#include "coordinator/cli/tokenizer_file.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/base/progress.h"

namespace colonnade::cli {
namespace {

/// A job of the model that predictions are compared with; nothing where none was named.
Result<std::unique_ptr<RunningJob>> launch_reference(const Options& options, LaunchOptions launch, const RunningJob& job) {
  if (!options.is_set("reference")) return std::unique_ptr<RunningJob>();
  launch.model = options.text("reference");
  launch.values.clear();
  COLONNADE_ASSIGN(auto reference, launch_job(launch));
  if (reference->model().manifest.config.vocab_size != job.model().manifest.config.vocab_size)
    return Error{ErrorCode::kInvalidArgument,
                 text("--reference ", launch.model, ": expected the model's vocabulary of ", job.model().manifest.config.vocab_size,
                      " tokens, found ", reference->model().manifest.config.vocab_size)};
  return reference;
}

void print_json(const Likelihood& likelihood, const Windows& windows, const DistributionDistance* distance) {
  Json result = {{"perplexity", likelihood.perplexity()},
                 {"perplexity_error", likelihood.perplexity_error()},
                 {"mean_nll", likelihood.mean()},
                 {"bits_per_byte", likelihood.bits_per_byte(windows)},
                 {"tokens", likelihood.tokens},
                 {"bytes", windows.scored_bytes},
                 {"windows", windows.tokens.size()},
                 {"documents", windows.documents},
                 {"tokens_per_second", static_cast<double>(likelihood.tokens) / likelihood.seconds}};
  if (distance != nullptr) {
    result["kl_divergence"] = distance->divergence();
    result["kl_divergence_error"] = distance->divergence_error();
    result["top_1_agreement"] = distance->agreement();
  }
  std::printf("%s\n", dump_json(result, 1).c_str());
}

void print_text(const Likelihood& likelihood, const Windows& windows, const DistributionDistance* distance, const std::string& reference) {
  std::printf("perplexity %.4f +- %.4f   mean negative log-likelihood %.5f   %.4f bits per byte   %zu tokens in %zu windows of %zu documents, %.0f tokens/s\n",
              likelihood.perplexity(), likelihood.perplexity_error(), likelihood.mean(), likelihood.bits_per_byte(windows),
              likelihood.tokens, windows.tokens.size(), windows.documents, static_cast<double>(likelihood.tokens) / likelihood.seconds);
  if (distance != nullptr)
    std::printf("KL divergence from %s %.5f +- %.5f nats   same likeliest token at %.2f %% of %zu positions\n", reference.c_str(),
                distance->divergence(), distance->divergence_error(), 100 * distance->agreement(), distance->positions());
}

Status run_perplexity(const Options& options) {
  COLONNADE_ASSIGN(const std::string content, read_text(options.positional("TEXT")));
  COLONNADE_ASSIGN(const LaunchOptions launch, launch_options(options));
  const OrderlyStop stop;
  COLONNADE_ASSIGN(const auto job, launch_job(launch));
  COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(job->model().directory));
  const EvaluationRules rules = evaluation_rules(options);
  COLONNADE_ASSIGN(const Windows windows, make_windows(*tokenizer, content, rules, static_cast<std::size_t>(job->context_tokens()),
                                                       options.positional("TEXT")));
  COLONNADE_ASSIGN(const auto reference, launch_reference(options, launch, *job));
  COLONNADE_TRY(job->wait_ready());
  Likelihood likelihood;
  {
    Progress progress("perplexity", windows.scored_tokens, ProgressUnit::kItems);
    COLONNADE_ASSIGN(likelihood, measure_likelihood(*job, windows, rules.in_flight, [&](std::size_t tokens) { progress.add(tokens); }));
  }
  DistributionDistance distance;
  if (reference) {
    COLONNADE_TRY(reference->wait_ready());
    Progress progress("comparing", windows.scored_tokens, ProgressUnit::kItems);
    COLONNADE_ASSIGN(distance, measure_distance(*reference, *job, windows, [&](std::size_t tokens) { progress.add(tokens); }));
  }
  const DistributionDistance* const compared = reference ? &distance : nullptr;
  if (options.flag("json")) {
    print_json(likelihood, windows, compared);
  } else {
    print_text(likelihood, windows, compared, options.text("reference"));
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
        .options = evaluation_option_list()};
    spec.options.push_back({.name = "reference", .kind = OptionKind::kText, .default_value = "", .value_name = "MODEL",
                            .help = "Also compare all predictions with those of this model: Kullback-Leibler divergence and how often both think the same token the likeliest."});
    spec.options.push_back({.name = "json", .kind = OptionKind::kFlag, .default_value = "false", .help = "Print JSON."});
    for (const Option& option : launch_option_list()) spec.options.push_back(option);
    return Command{std::move(spec), run};
  }();
  return command;
}

}  // namespace colonnade::cli
