#include "coordinator/api_embedding.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "coordinator/prompt_fields.h"
#include "engine/base/format_text.h"
#include "engine/text/tokenizer/base64.h"

namespace colonnade::coordinator {
namespace {

struct EmbeddingRequest {
  Prompts inputs;
  Prompts token_types;  // of each input, or none
  bool base64 = false;
};

/// token_type_ids: as long as each input; one list for one input, else a list of them.
void read_token_types(RequestFields& fields, EmbeddingRequest& request) {
  constexpr const char* kField = "token_type_ids";
  constexpr int kMostTypes = 1 << 10;  // the model's own number is looked at later
  const Json* value = fields.find(kField);
  if (value == nullptr) return;
  const bool one = value->is_array() && !value->empty() && value->front().is_number();
  const Json list = one ? Json::array({*value}) : *value;
  if (!list.is_array() || list.size() != request.inputs.size())
    return fields.wrong(kField, text("a list of types for each of ", request.inputs.size(), " inputs"), *value);
  for (const Json& types : list) {
    if (!types.is_array()) return fields.wrong(kField, "made of lists of types", types);
    const std::size_t expected = request.inputs[request.token_types.size()].size();
    if (types.size() != expected) return fields.fail(kField, text(kField, " must have one for each of ", expected, " tokens, found ", types.size()));
    auto& read = request.token_types.emplace_back();
    for (const Json& type : types) {
      const std::optional<std::int32_t> number = token_of(type, kMostTypes);
      if (!number) return fields.wrong(kField, text("made of numbers from 0 to ", kMostTypes - 1), type);
      read.push_back(*number);
    }
  }
}

std::optional<ApiError> read_request(std::string_view body_text, const ApiBackend& backend, EmbeddingRequest& request) {
  const Result<Json> parsed = parse_json(body_text, "request body");
  if (!parsed.ok()) return api_error(parsed.error());
  if (!parsed->is_object()) return ApiError{.message = text("the request body must be an object, found ", parsed->type_name())};
  if (backend.vector_dim == 0)
    return ApiError{.message = text("the model ", backend.model, " is no encoder: it gives no embeddings"), .param = "model"};
  RequestFields fields(*parsed);
  std::string ignored, format = "float";
  fields.read("model", ignored);
  fields.read("user", ignored);
  fields.read("encoding_format", format);
  if (format != "float" && format != "base64") fields.wrong("encoding_format", "\"float\" or \"base64\"", Json(format));
  request.base64 = format == "base64";
  // Cutting vectors would change what they mean, except for models that were trained for it.
  int dimensions = backend.vector_dim;
  fields.read("dimensions", dimensions, backend.vector_dim, backend.vector_dim);
  if (fields.ok()) request.inputs = read_prompts(fields, backend, "input", kMaxInputs);
  if (fields.ok()) read_token_types(fields, request);
  for (const auto& input : request.inputs) {
    if (static_cast<int>(input.size()) <= backend.context_tokens) continue;
    fields.fail("input", text("an input must be at most ", backend.context_tokens, " tokens (this model's context), found ", input.size()),
                "context_length_exceeded");
  }
  if (!fields.ok()) return fields.error();
  return std::nullopt;
}

void append_floats(std::string& out, const std::vector<float>& vector) {
  out += '[';
  char number[32];
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (i > 0) out += ',';
    out.append(number, std::to_chars(number, number + sizeof number, vector[i]).ptr);
  }
  out += ']';
}

/// Lives in the callbacks of its generations. All members are touched on the exchange's strand.
class EmbeddingRun : public std::enable_shared_from_this<EmbeddingRun> {
 public:
  EmbeddingRun(const ApiBackend& backend, EmbeddingRequest request, std::shared_ptr<HttpExchange> exchange, HttpHeaders headers)
      : backend_(backend), request_(std::move(request)), exchange_(std::move(exchange)), headers_(std::move(headers)),
        vectors_(request_.inputs.size()), unfinished_(request_.inputs.size()) {}

  std::optional<ApiError> start(Counter& prompt_tokens) {
    for (std::size_t i = 0; i < request_.inputs.size(); ++i) {
      if (const auto submitted = submit(i); !submitted.ok()) {
        give_up();
        return api_error(submitted.error());
      }
      n_tokens_ += request_.inputs[i].size();
    }
    prompt_tokens.add(n_tokens_);
    exchange_->on_closed([self = shared_from_this()] { self->give_up(); });
    return std::nullopt;
  }

 private:
  Status submit(std::size_t index) {
    GenerationRequest generation;
    generation.prompt = request_.inputs[index];
    if (!request_.token_types.empty()) generation.token_types = request_.token_types[index];
    generation.max_tokens = 0;
    generation.prompt_output = PromptOutput::kVector;
    GenerationCallbacks callbacks;
    const auto self = shared_from_this();
    callbacks.on_prompt_logits = [self, index](int, std::vector<float> vector) {
      self->exchange_->post([self, index, found = std::move(vector)]() mutable { self->vectors_[index] = std::move(found); });
    };
    callbacks.on_finish = [self](FinishReason reason, const Error* error) {
      std::optional<Error> copy;
      if (error != nullptr) copy = *error;
      self->exchange_->post([self, reason, copy] { self->on_finish(reason, copy); });
    };
    COLONNADE_ASSIGN(const GenerationId id, backend_.generator->submit(std::move(generation), std::move(callbacks)));
    generations_.push_back(id);
    return {};
  }

  void on_finish(FinishReason reason, const std::optional<Error>& error) {
    if (over_) return;
    if (reason == FinishReason::kError || reason == FinishReason::kCancelled) {
      give_up();
      return respond(error_response(api_error(error.value_or(Error{ErrorCode::kUnavailable, "the server is stopping: the request was cancelled"}))));
    }
    if (--unfinished_ > 0) return;
    over_ = true;
    for (std::size_t i = 0; i < vectors_.size(); ++i)
      if (!std::all_of(vectors_[i].begin(), vectors_[i].end(), [](float value) { return std::isfinite(value); }))
        return respond(error_response({.status = 500, .message = text("the model's vector for input ", i, " has values that are no finite numbers")}));
    respond(answer());
  }

  HttpResponse answer() const {
    // Written out by hand: numbers as short as floats allow.
    std::string body = "{\"object\":\"list\",\"data\":[";
    for (std::size_t i = 0; i < vectors_.size(); ++i) {
      body += text(i > 0 ? "," : "", "{\"object\":\"embedding\",\"index\":", i, ",\"embedding\":");
      if (request_.base64) {
        const std::string_view bytes(reinterpret_cast<const char*>(vectors_[i].data()), vectors_[i].size() * sizeof(float));
        body += text("\"", engine::encode_base64(bytes), "\"");
      } else {
        append_floats(body, vectors_[i]);
      }
      body += '}';
    }
    body += text("],\"model\":", dump_json(Json(backend_.model)), ",\"usage\":{\"prompt_tokens\":", n_tokens_,
                 ",\"total_tokens\":", n_tokens_, "}}");
    HttpResponse response;
    response.body = std::move(body);
    return response;
  }

  void respond(HttpResponse response) {
    response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
    exchange_->respond(std::move(response));
  }

  void give_up() {
    if (std::exchange(over_, true)) return;
    for (const GenerationId id : generations_) backend_.generator->cancel(id);
  }

  const ApiBackend& backend_;
  const EmbeddingRequest request_;
  const std::shared_ptr<HttpExchange> exchange_;
  const HttpHeaders headers_;
  std::vector<std::vector<float>> vectors_;  // by input
  std::vector<GenerationId> generations_;
  std::size_t unfinished_;
  std::size_t n_tokens_ = 0;
  bool over_ = false;  // answered, failed or left by the client
};

}  // namespace

std::optional<ApiError> start_embedding(const ApiBackend& backend, Counter& prompt_tokens,
                                        std::shared_ptr<HttpExchange> exchange, HttpHeaders headers) {
  EmbeddingRequest request;
  if (auto error = read_request(exchange->take_body(), backend, request)) return error;
  return std::make_shared<EmbeddingRun>(backend, std::move(request), std::move(exchange), std::move(headers))->start(prompt_tokens);
}

}  // namespace colonnade::coordinator
