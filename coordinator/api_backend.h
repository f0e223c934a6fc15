// What the HTTP API stands on; the serve command wires it up.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/chat_settings.h"
#include "coordinator/constraint_compiler.h"
#include "coordinator/generation_service.h"
#include "coordinator/generator.h"
#include "coordinator/http_message.h"
#include "coordinator/metrics.h"
#include "engine/text/tokenizer.h"

namespace colonnade::coordinator {

/// What a model's own files ask for where a request is silent.
struct GenerationDefaults {
  std::vector<std::int32_t> end_tokens;  // generation stops at these
  float temperature = 1.0f;
  float top_p = 1.0f;
  float min_p = 0.0f;
  int top_k = 0;
  float repetition_penalty = 1.0f;
};

/// From the texts of generation_config.json and config.json ("" where there is none). End tokens come from the first
/// that names them, else from config.json. do_sample false means temperature 0. kCorrupt names the field.
Result<GenerationDefaults> read_generation_defaults(const std::string& generation_config, const std::string& config);

/// Everything pointed to outlives the server.
struct ApiBackend {
  const engine::Tokenizer* tokenizer = nullptr;
  Generator* generator = nullptr;
  Metrics* metrics = nullptr;
  std::string model;                // the name that /v1/models shows
  std::int64_t created = 0;         // seconds since 1970
  int context_tokens = 0;
  int vector_dim = 0;               // of an encoder, which only gives embeddings; 0: the model only generates
  GenerationDefaults defaults;
  ChatSettings chat;
  std::shared_ptr<ConstraintCompiler> constraints;  // for grammars and schemas; none: they are refused
  std::function<JobState()> job_state;        // for /health; thread-safe
  std::function<ServiceCounters()> counters;  // for /metrics; thread-safe
};

struct ApiOptions {
  std::vector<std::string> keys;  // bearer keys; none: open to everyone who can connect
  std::string cors_origin;        // "" : none; "*" or one origin
};

/// The OpenAI-compatible API and its neighbours (docs/api.md) as a handler for HttpServer.
HttpHandler make_api(ApiBackend backend, ApiOptions options);

}  // namespace colonnade::coordinator
