// Routes of the HTTP API, and everything but completions.
#include <chrono>
#include <utility>

#include "coordinator/api_backend.h"
#include "coordinator/api_completion.h"
#include "coordinator/api_embedding.h"
#include "coordinator/api_error.h"
#include "coordinator/api_request.h"
#include "coordinator/request_fields.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/text/utf8.h"

namespace colonnade::coordinator {
namespace {

/// Takes as long for a wrong key as for a right one of the same length.
bool equal_keys(std::string_view a, std::string_view b) {
  unsigned char difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

class Api {
 public:
  Api(ApiBackend backend, ApiOptions options)
      : backend_(std::move(backend)), options_(std::move(options)), completion_metrics_(*backend_.metrics) {}

  void handle(const std::shared_ptr<HttpExchange>& exchange) {
    const HttpRequest& request = exchange->request();
    if (std::optional<HttpResponse> response = answer_head(request)) return exchange->respond(std::move(*response));
    const Route* route = find_route(request.path);
    HttpResponse response;
    if (route->completion != Completion::kNo) {
      // Answers by itself, unless it cannot begin.
      auto error = route->completion == Completion::kEmbedding
                       ? start_embedding(backend_, completion_metrics_.prompt_tokens, exchange, common_headers())
                       : complete(exchange, route->completion == Completion::kChat);
      if (!error) return count(route->path, 200);
      response = error_response(*error);
    } else {
      response = (this->*route->answer)(request);
    }
    exchange->respond(counted(route, std::move(response)));
  }

  /// What does not depend on the body: preflights, and requests that are refused. None: the request may be served.
  std::optional<HttpResponse> answer_head(const HttpRequest& request) {
    const Route* route = find_route(request.path);
    HttpResponse response;
    if (request.method == "OPTIONS" && !options_.cors_origin.empty()) {
      response = preflight();
    } else if (route == nullptr) {
      response = error_response({.status = 404, .message = text("no such path: ", request.method, " ", request.path)});
    } else if (request.method != route->method) {
      response = error_response({.status = 405, .message = text(request.path, " takes ", route->method, ", found ", request.method)});
      response.headers.emplace_back("Allow", route->method);
    } else if (!route->open && !may_enter(request)) {
      response = error_response({.status = 401, .message = "the API key is missing or wrong: expected \"Authorization: Bearer KEY\"",
                                 .code = "invalid_api_key"});
    } else {
      return std::nullopt;
    }
    return counted(route, std::move(response));
  }

 private:
  enum class Completion { kNo, kText, kChat, kEmbedding };
  struct Route {
    const char* path;
    const char* method;
    bool open;  // to everyone, without a key
    Completion completion;
    HttpResponse (Api::*answer)(const HttpRequest&);
  };

  static const Route* find_route(std::string_view path) {
    static constexpr Route kRoutes[] = {
        {"/v1/chat/completions", "POST", false, Completion::kChat, nullptr},
        {"/v1/completions", "POST", false, Completion::kText, nullptr},
        {"/v1/embeddings", "POST", false, Completion::kEmbedding, nullptr},
        {"/v1/models", "GET", false, Completion::kNo, &Api::models},
        {"/v1/models/", "GET", false, Completion::kNo, &Api::one_model},  // and everything below
        {"/health", "GET", true, Completion::kNo, &Api::health},
        {"/metrics", "GET", false, Completion::kNo, &Api::metrics},
        {"/tokenize", "POST", false, Completion::kNo, &Api::tokenize},
        {"/detokenize", "POST", false, Completion::kNo, &Api::detokenize},
    };
    for (const Route& route : kRoutes) {
      const std::string_view known = route.path;
      if (path == known || (known.ends_with('/') && path.starts_with(known))) return &route;
    }
    return nullptr;
  }

  bool may_enter(const HttpRequest& request) const {
    if (options_.keys.empty()) return true;
    const std::string_view value = request.header("authorization");
    if (value.size() < 7 || (value.substr(0, 7) != "Bearer " && value.substr(0, 7) != "bearer ")) return false;
    bool found = false;
    for (const std::string& key : options_.keys) found |= equal_keys(key, value.substr(7));
    return found;
  }

  /// As it is sent.
  HttpResponse counted(const Route* route, HttpResponse response) {
    count(route == nullptr ? "other" : route->path, response.status);
    for (const auto& header : common_headers()) response.headers.push_back(header);
    return response;
  }

  HttpHeaders common_headers() const {
    if (options_.cors_origin.empty()) return {};
    return {{"Access-Control-Allow-Origin", options_.cors_origin}, {"Vary", "Origin"}};
  }

  static HttpResponse preflight() {
    HttpResponse response;
    response.status = 204;
    response.headers = {{"Access-Control-Allow-Methods", "GET, POST, OPTIONS"},
                        {"Access-Control-Allow-Headers", "Authorization, Content-Type"},
                        {"Access-Control-Max-Age", "86400"}};
    return response;
  }

  void count(const char* path, int status) {
    backend_.metrics
        ->counter("colonnade_http_requests_total", "HTTP requests by path and status.",
                  text("path=\"", path, "\",status=\"", status, "\""))
        .add();
  }

  static HttpResponse json_response(const Json& value, int status = 200) {
    HttpResponse response;
    response.status = status;
    response.body = dump_json(value);
    return response;
  }

  std::optional<ApiError> complete(const std::shared_ptr<HttpExchange>& exchange, bool chat) {
    if (backend_.vector_dim > 0)
      return ApiError{.message = text("the model ", backend_.model, " is an encoder: it gives embeddings (/v1/embeddings), no completions"),
                      .param = "model"};
    ApiRequest request;
    if (auto error = read_api_request(exchange->take_body(), chat, backend_, request)) return error;
    return start_completion(backend_, completion_metrics_, std::move(request), exchange, common_headers());
  }

  Json model_json() const {
    return {{"id", backend_.model}, {"object", "model"}, {"created", backend_.created}, {"owned_by", "colonnade"},
            {"max_model_len", backend_.context_tokens}};
  }

  HttpResponse models(const HttpRequest&) {
    return json_response({{"object", "list"}, {"data", Json::array({model_json()})}});
  }

  HttpResponse one_model(const HttpRequest& request) {
    const std::string name = request.path.substr(std::string_view("/v1/models/").size());
    if (name == backend_.model) return json_response(model_json());
    return error_response({.status = 404, .message = text("no such model: expected \"", backend_.model, "\", found \"", name, "\""),
                           .code = "model_not_found"});
  }

  HttpResponse health(const HttpRequest&) {
    const JobState state = backend_.job_state();
    Json answer = {{"percent", state.percent()}, {"ranks", state.n_ranks}, {"stages", state.n_stages}};
    switch (state.phase) {
      case JobPhase::kReady:
        answer["status"] = "ready";
        break;
      case JobPhase::kLoading:
        answer["status"] = "loading";
        break;
      case JobPhase::kNone:
      case JobPhase::kConnecting:
        answer["status"] = "starting";
        break;
      case JobPhase::kStopped:
        answer["status"] = "stopping";
        break;
    }
    if (!state.message.empty()) answer["message"] = state.message;
    return json_response(answer, state.phase == JobPhase::kReady ? 200 : 503);
  }

  HttpResponse metrics(const HttpRequest&) {
    const ServiceCounters now = backend_.counters();
    std::string out = backend_.metrics->render();
    const auto counter = [&](const char* name, const char* help, double value) {
      append_metric(out, name, "counter", help, value);
    };
    const auto gauge = [&](const char* name, const char* help, std::uint64_t value) {
      append_metric(out, name, "gauge", help, static_cast<double>(value));
    };
    counter("colonnade_steps_total", "Steps of the model.", static_cast<double>(now.steps));
    counter("colonnade_step_compute_seconds_total", "Time of steps in the workers.", now.compute_us * 1e-6);
    counter("colonnade_step_coordinator_seconds_total", "Time of steps in the coordinator.", now.coordinator_us * 1e-6);
    counter("colonnade_computed_prompt_tokens_total", "Prompt tokens that were computed.", static_cast<double>(now.prompt_tokens));
    counter("colonnade_reused_prompt_tokens_total", "Prompt tokens that a kept prefix saved.", static_cast<double>(now.reused_tokens));
    counter("colonnade_computed_tokens_total", "Tokens that the model generated.", static_cast<double>(now.generated_tokens));
    counter("colonnade_sequences_total", "Sequences that were submitted.", static_cast<double>(now.requests));
    counter("colonnade_preemptions_total", "Sequences that gave their KV pages back.", static_cast<double>(now.preemptions));
    counter("colonnade_job_losses_total", "Worker jobs that ended unasked.", static_cast<double>(now.job_losses));
    gauge("colonnade_sequences_running", "Sequences in the running batch.", now.running);
    gauge("colonnade_sequences_waiting", "Sequences in the queue.", now.waiting);
    gauge("colonnade_kv_pages_used", "KV pages that sequences hold.", now.pages_used);
    gauge("colonnade_kv_pages_cached", "KV pages kept for reuse.", now.pages_cached);
    gauge("colonnade_kv_pages_total", "KV pages there are.", now.pages_total);
    gauge("colonnade_kv_window_pages_used", "KV pages of layers with windows that sequences hold.", now.window_pages_used);
    gauge("colonnade_kv_window_pages_cached", "KV pages of layers with windows kept for reuse.", now.window_pages_cached);
    gauge("colonnade_kv_window_pages_total", "KV pages of layers with windows; 0: they use those of the others.", now.window_pages_total);
    HttpResponse response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = std::move(out);
    return response;
  }

  HttpResponse tokenize(const HttpRequest& request) {
    const Result<Json> body = parse_json(request.body, "request body");
    if (!body.ok()) return error_response(api_error(body.error()));
    if (!body->is_object()) return error_response({.message = text("the request body must be an object, found ", body->type_name())});
    RequestFields fields(*body);
    std::string input;
    if (fields.find("text") == nullptr && fields.find("prompt") == nullptr && fields.find("content") == nullptr) {
      fields.fail("text", "text is missing: expected a string");
    }
    for (const char* name : {"content", "prompt", "text"}) fields.read(name, input);
    bool add_special = true;
    fields.read("add_special_tokens", add_special);
    bool recognise = true;
    fields.read("parse_special", recognise);
    if (!fields.ok()) return error_response(fields.error());
    const auto ids = backend_.tokenizer->encode(
        input, recognise ? engine::SpecialTokens::kRecognise : engine::SpecialTokens::kPlain, add_special);
    return json_response({{"tokens", ids}, {"count", ids.size()}, {"max_model_len", backend_.context_tokens}});
  }

  HttpResponse detokenize(const HttpRequest& request) {
    const Result<Json> body = parse_json(request.body, "request body");
    if (!body.ok()) return error_response(api_error(body.error()));
    if (!body->is_object()) return error_response({.message = text("the request body must be an object, found ", body->type_name())});
    RequestFields fields(*body);
    bool skip_special = true;
    fields.read("skip_special_tokens", skip_special);
    const Json* list = fields.find("tokens");
    const int vocab_size = backend_.tokenizer->vocab_size();
    std::vector<std::int32_t> ids;
    if (list == nullptr || !list->is_array()) {
      fields.wrong("tokens", "a list of token ids", list == nullptr ? Json() : *list);
    } else {
      for (const Json& id : *list) {
        if (const auto token = token_of(id, vocab_size)) ids.push_back(*token);
        else fields.wrong("tokens", text("made of token ids from 0 to ", vocab_size - 1), id);
      }
    }
    if (!fields.ok()) return error_response(fields.error());
    const std::string found = engine::replace_invalid_utf8(backend_.tokenizer->decode(ids, skip_special));
    return json_response({{"text", found}, {"prompt", found}});
  }

  const ApiBackend backend_;
  const ApiOptions options_;
  CompletionMetrics completion_metrics_;
};

}  // namespace

HttpHandler make_api(ApiBackend backend, ApiOptions options) {
  auto api = std::make_shared<Api>(std::move(backend), std::move(options));
  HttpHandler handler([api](const std::shared_ptr<HttpExchange>& exchange) { api->handle(exchange); });
  handler.refuse = [api](const HttpRequest& request) { return api->answer_head(request); };
  return handler;
}

}  // namespace colonnade::coordinator
