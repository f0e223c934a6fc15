#include "coordinator/api_completion.h"

#include <algorithm>
#include <chrono>
#include <random>

#include "coordinator/api_shapes.h"
#include "coordinator/chat_text.h"
#include "coordinator/choice_text.h"
#include "engine/base/clock.h"
#include "engine/base/format_text.h"

namespace colonnade::coordinator {
namespace {

std::uint64_t random_bits() {
  static thread_local std::mt19937_64 generator(
      (static_cast<std::uint64_t>(std::random_device{}()) << 32) ^ std::random_device{}());
  return generator();
}

std::string random_id(bool chat) {
  return text(chat ? "chatcmpl-" : "cmpl-", std::hex, random_bits(), random_bits());
}

/// Mistral's templates take ids of nine letters and digits only.
std::string random_call_id(bool is_short) {
  constexpr std::string_view kCharacters = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string id = is_short ? "" : "call_";
  for (int i = 0; i < (is_short ? 9 : 24); ++i) id += kCharacters[random_bits() % kCharacters.size()];
  return id;
}

/// The choices of one prompt differ though the request has one seed; the first has the request's own.
std::uint64_t seed_of_choice(std::uint64_t seed, int choice) {
  return seed + static_cast<std::uint64_t>(choice) * 0x9E3779B97F4A7C15ull;
}

struct Choice {
  Choice(std::unique_ptr<ChoiceOutput> output, std::size_t prompt_index) : text(std::move(output)), prompt(prompt_index) {}
  std::unique_ptr<ChoiceOutput> text;
  std::size_t prompt;
  std::optional<GenerationId> generation;
  ChoiceDelta content;  // gathered, when the answer is not streamed
  std::size_t n_tokens = 0;
  double last_token_s = 0;
  const char* finish_reason = nullptr;
};

/// Lives in the callbacks of its generations. All members are touched on the exchange's strand.
class CompletionRun : public std::enable_shared_from_this<CompletionRun> {
 public:
  CompletionRun(const ApiBackend& backend, CompletionMetrics& metrics, ApiRequest request,
                std::shared_ptr<HttpExchange> exchange, HttpHeaders headers)
      : backend_(backend),
        metrics_(metrics),
        request_(std::move(request)),
        exchange_(std::move(exchange)),
        headers_(std::move(headers)),
        start_s_(now_seconds()) {
    shape_.tokenizer = backend.tokenizer;
    shape_.chat = request_.chat;
    shape_.logprobs = request_.logprobs;
    shape_.alternatives = request_.generation.n_top > 0;
    shape_.null_usage = request_.include_usage;
    shape_.id = random_id(request_.chat);
    shape_.created = std::chrono::duration_cast<std::chrono::seconds>(
                         std::chrono::system_clock::now().time_since_epoch()).count();
    shape_.model = backend.model;
    unfinished_ = request_.prompts.size() * static_cast<std::size_t>(request_.n);
    choices_.reserve(unfinished_);
  }

  std::optional<ApiError> start() {
    const std::uint64_t seed = request_.seed.value_or(random_bits());
    for (std::size_t prompt = 0; prompt < request_.prompts.size(); ++prompt) {
      usage_.prompt_tokens += request_.prompts[prompt].size();
      for (int j = 0; j < request_.n; ++j) {
        if (const auto submitted = submit(prompt, seed_of_choice(seed, j)); !submitted.ok()) {
          give_up();
          return api_error(submitted.error());
        }
      }
    }
    metrics_.prompt_tokens.add(usage_.prompt_tokens);
    exchange_->on_closed([self = shared_from_this()] { self->give_up(); });
    if (request_.stream) begin_stream();
    for (Choice& choice : choices_) echo_prompt(choice);
    return std::nullopt;
  }

 private:
  Status submit(std::size_t prompt, std::uint64_t seed) {
    const std::vector<std::int32_t>& ids = request_.prompts[prompt];
    const std::size_t index = choices_.size();
    choices_.emplace_back(make_output(ids), prompt);
    GenerationRequest generation = request_.generation;
    generation.prompt = ids;
    generation.seed = seed;
    const int room = backend_.context_tokens - static_cast<int>(ids.size());
    generation.max_tokens = std::min(request_.max_tokens.value_or(room), room);
    // Callbacks come on the generator's thread: they only hand over. Time is taken there, before any queueing here.
    GenerationCallbacks callbacks;
    const auto self = shared_from_this();
    callbacks.on_prompt_token = [self, index](int, const TokenEvent& event) {
      self->exchange_->post([self, index, event] { self->on_prompt_token(index, event); });
    };
    callbacks.on_token = [self, index](const TokenEvent& event) {
      self->exchange_->post([self, index, event, at_s = now_seconds()] { self->on_token(index, event, at_s); });
    };
    callbacks.on_finish = [self, index](FinishReason reason, const Error* error) {
      std::optional<Error> copy;
      if (error != nullptr) copy = *error;
      self->exchange_->post([self, index, reason, copy] { self->on_finish(index, reason, copy); });
    };
    COLONNADE_ASSIGN(choices_[index].generation, backend_.generator->submit(std::move(generation), std::move(callbacks)));
    return {};
  }

  std::unique_ptr<ChoiceOutput> make_output(const std::vector<std::int32_t>& prompt) const {
    if (!request_.output) return std::make_unique<ChoiceText>(*backend_.tokenizer, prompt, request_.echo, request_.stop);
    const bool short_ids = request_.output->format.tools == "mistral";
    return std::make_unique<ChatText>(*backend_.tokenizer, prompt, *request_.output, request_.stop,
                                      [short_ids] { return random_call_id(short_ids); });
  }

  void begin_stream() {
    HttpResponse head;
    head.content_type = "text/event-stream; charset=utf-8";
    head.headers = headers_;
    head.headers.emplace_back("Cache-Control", "no-cache");
    exchange_->start_stream(std::move(head));
    for (std::size_t i = 0; request_.chat && i < choices_.size(); ++i) send(shape_.role_chunk(static_cast<int>(i)));
  }

  void send(const Json& event) { exchange_->write(text("data: ", dump_json(event), "\n\n")); }

  /// With logprobs the prompt's tokens come back from the workers, all but the first, which nothing foretold.
  void echo_prompt(Choice& choice) {
    if (!request_.echo) return;
    const std::vector<std::int32_t>& ids = request_.prompts[choice.prompt];
    ChoiceDelta echo = choice.text->push_prompt({.token = ids[0], .logprob = {}, .top = {}});
    for (std::size_t i = 1; i < ids.size() && !request_.logprobs; ++i) {
      echo.text += choice.text->push_prompt({.token = ids[i], .logprob = {}, .top = {}}).text;
    }
    give_out(choice, std::move(echo), nullptr);
  }

  void on_prompt_token(std::size_t index, const TokenEvent& event) {
    Choice& choice = choices_[index];
    if (over_ || choice.finish_reason != nullptr || !request_.echo) return;
    give_out(choice, choice.text->push_prompt({.token = event.token, .logprob = event.logprob, .top = event.top}), nullptr);
  }

  void on_token(std::size_t index, const TokenEvent& event, double at_s) {
    Choice& choice = choices_[index];
    if (over_ || choice.finish_reason != nullptr) return;
    if (choice.n_tokens++ == 0) {
      metrics_.time_to_first_token_s.observe(at_s - start_s_);
    } else {
      metrics_.inter_token_s.observe(at_s - choice.last_token_s);
    }
    choice.last_token_s = at_s;
    ++usage_.completion_tokens;
    metrics_.generated_tokens.add();
    const auto& ends = request_.generation.stop_tokens;
    if (std::find(ends.begin(), ends.end(), event.token) != ends.end()) return;  // says that the text ends, is no text
    ChoiceDelta delta = choice.text->push({.token = event.token, .logprob = event.logprob, .top = event.top});
    if (choice.text->stopped()) {
      backend_.generator->cancel(*choice.generation);
      finish_choice(choice, std::move(delta), choice.text->stop_reason());
    } else {
      give_out(choice, std::move(delta), nullptr);
    }
  }

  void on_finish(std::size_t index, FinishReason reason, const std::optional<Error>& error) {
    Choice& choice = choices_[index];
    if (over_ || choice.finish_reason != nullptr) return;
    if (reason == FinishReason::kError || reason == FinishReason::kCancelled) {
      fail(api_error(error.value_or(Error{ErrorCode::kUnavailable, "the server is stopping: the request was cancelled"})));
      return;
    }
    ChoiceDelta rest = choice.text->finish();
    const bool stop = reason == FinishReason::kStop || choice.text->stopped();
    finish_choice(choice, std::move(rest), stop ? choice.text->stop_reason() : "length");
  }

  void finish_choice(Choice& choice, ChoiceDelta last, const char* reason) {
    choice.finish_reason = reason;
    give_out(choice, std::move(last), nullptr);
    if (over_) return;
    if (request_.stream) send(shape_.chunk(index_of(choice), {}, reason));
    if (--unfinished_ > 0) return;
    over_ = true;
    metrics_.request_s.observe(now_seconds() - start_s_);
    if (request_.output) {
      usage_.reasoning_tokens = 0;
      for (const Choice& one : choices_) *usage_.reasoning_tokens += one.text->reasoning_tokens();
    }
    if (request_.stream) {
      if (request_.include_usage) send(shape_.usage_chunk(usage_));
      exchange_->write("data: [DONE]\n\n");
      exchange_->end();
      return;
    }
    std::vector<Json> choices;
    for (Choice& one : choices_) {
      choices.push_back(shape_.choice(index_of(one), one.content, one.finish_reason));
      one.content = {};
    }
    HttpResponse response;
    response.body = dump_json(shape_.answer(std::move(choices), usage_));
    response.headers = headers_;
    exchange_->respond(std::move(response));
  }

  void give_out(Choice& choice, ChoiceDelta delta, const char* reason) {
    if (request_.stream) {
      const bool news = delta.has_text() || (request_.logprobs && !delta.tokens.empty());
      if (news) send(shape_.chunk(index_of(choice), delta, reason));
      return;
    }
    choice.content.text += delta.text;
    choice.content.reasoning += delta.reasoning;
    for (CallDelta& call : delta.calls) {
      if (!call.id.empty()) choice.content.calls.push_back(std::move(call));
      else choice.content.calls.back().arguments += call.arguments;
    }
    if (!request_.logprobs) return;
    for (ChoiceToken& token : delta.tokens) {
      gathered_logprobs_ += 1 + token.top.size();
      choice.content.tokens.push_back(std::move(token));
    }
    if (gathered_logprobs_ <= kMaxGatheredLogprobs) return;
    fail({.message = text("logprobs must be at most ", kMaxGatheredLogprobs,
                          " in an answer that is not streamed (tokens of all choices, times 1 + alternatives), found ",
                          gathered_logprobs_, ": ask for less or for \"stream\": true"),
          .param = "logprobs"});
  }

  int index_of(const Choice& choice) const { return static_cast<int>(&choice - choices_.data()); }

  /// Ends the answer with an error. In a stream the status has been sent already, so the error is an event.
  void fail(const ApiError& error) {
    give_up();
    for (Choice& choice : choices_) choice.content = {};  // the last callbacks may come late
    if (request_.stream) {
      send(error_json(error));
      exchange_->end();
      return;
    }
    HttpResponse response = error_response(error);
    response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
    exchange_->respond(std::move(response));
  }

  void give_up() {
    over_ = true;
    for (const Choice& choice : choices_) {
      if (choice.generation && choice.finish_reason == nullptr) backend_.generator->cancel(*choice.generation);
    }
  }

  const ApiBackend& backend_;
  CompletionMetrics& metrics_;
  const ApiRequest request_;
  const std::shared_ptr<HttpExchange> exchange_;
  const HttpHeaders headers_;
  const double start_s_;
  AnswerShape shape_;
  std::vector<Choice> choices_;  // prompt by prompt; reserved, so it does not move
  std::size_t unfinished_ = 0;
  Usage usage_;
  std::size_t gathered_logprobs_ = 0;
  bool over_ = false;            // answered, failed or left by the client
};

}  // namespace

CompletionMetrics::CompletionMetrics(Metrics& metrics)
    : prompt_tokens(metrics.counter("colonnade_prompt_tokens_total", "Tokens of prompts that were accepted.")),
      generated_tokens(metrics.counter("colonnade_generated_tokens_total", "Tokens generated for clients.")),
      time_to_first_token_s(metrics.histogram("colonnade_time_to_first_token_seconds",
                                              "From the request to the first token of each choice.",
                                              {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120})),
      inter_token_s(metrics.histogram("colonnade_inter_token_seconds", "Between one token of a choice and the next.",
                                      {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10})),
      request_s(metrics.histogram("colonnade_request_seconds", "From the request to the end of its answer.",
                                  {0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600})) {}

std::optional<ApiError> start_completion(const ApiBackend& backend, CompletionMetrics& metrics, ApiRequest request,
                                         std::shared_ptr<HttpExchange> exchange, HttpHeaders headers) {
  return std::make_shared<CompletionRun>(backend, metrics, std::move(request), std::move(exchange), std::move(headers))
      ->start();
}

}  // namespace colonnade::coordinator
