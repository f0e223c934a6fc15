#include "coordinator/constraint_fields.h"

#include "coordinator/constraint_compiler.h"
#include "coordinator/reasoned_constraint.h"
#include "engine/base/format_text.h"
#include "engine/text/chat_output/chat_output.h"

namespace colonnade::coordinator {
namespace {

constexpr const char* kFormats = "{\"type\": \"text\"}, {\"type\": \"json_object\"} or {\"type\": \"json_schema\", \"json_schema\": {\"schema\": …}}";

/// The schema of a response_format, with its keys in order; null when there is none.
Result<OrderedJson> schema_of(std::string_view text) {
  COLONNADE_ASSIGN(const OrderedJson body, parse_ordered_json(text, "request body"));
  const OrderedJson format = body.at("response_format").value("json_schema", OrderedJson());
  return format.is_object() ? format.value("schema", OrderedJson()) : OrderedJson();
}

Result<Constraint> compile(RequestFields& fields, std::string_view text, ConstraintCompiler& compiler) {
  const Json* grammar = fields.find("grammar");
  const Json* format = fields.find("response_format");
  if (grammar != nullptr && *grammar != "") return compiler.gbnf(grammar->get_ref<const std::string&>());
  if (format->at("type") == "json_object") return compiler.json_object();
  COLONNADE_ASSIGN(const OrderedJson schema, schema_of(text));
  return compiler.json_schema(schema);
}

/// What `field` asks for cannot be had with what else the request asks for.
bool fits(RequestFields& fields, const char* field, const ApiBackend& backend, const ApiRequest& request) {
  if (backend.constraints == nullptr) {
    fields.fail(field, text(field, " is not supported by this server"), "unsupported_parameter");
  } else if (request.chat && (backend.chat.format.tools == "harmony" || backend.chat.format.reasoning == "harmony")) {
    fields.fail(field, text(field, " is not supported for this model: its answers are divided into channels"), "unsupported_parameter");
  } else if (request.output && request.output->options.parse_calls) {
    fields.fail(field, text(field, " must not go with tools that may be called: expected \"tool_choice\": \"none\", or no tools"));
  }
  return fields.ok();
}

}  // namespace

std::int32_t reasoning_end_token(RequestFields& fields, const char* field, const ApiBackend& backend, const ApiRequest& request) {
  if (!request.output || request.output->options.start != engine::OutputOptions::Start::kReasoning) return -1;
  const std::string_view marker = engine::reasoning_end(backend.chat.format.reasoning);
  const std::int32_t token = backend.tokenizer->token_id(marker);
  if (token < 0) {
    fields.fail(field, text(field, " is not supported for this model while it reasons: \"", marker, "\" is no token of it"),
                "unsupported_parameter");
  }
  return token;
}

void read_constraint(RequestFields& fields, std::string_view body, const ApiBackend& backend, ApiRequest& request) {
  const Json* grammar = fields.find("grammar");
  const Json* format = fields.find("response_format");
  if (grammar != nullptr && !grammar->is_string()) return fields.wrong("grammar", "a string with a GBNF grammar", *grammar);
  if (grammar != nullptr && *grammar == "") grammar = nullptr;
  if (format != nullptr) {
    const Json type = format->is_object() ? format->value("type", Json()) : Json();
    const bool known = type == "text" || type == "json_object" || type == "json_schema";
    if (!known) return fields.fail("response_format", text("response_format must be ", kFormats, ", found ", dump_json(*format).substr(0, 80)));
    if (type == "json_schema") {
      const Json schema = format->value("json_schema", Json());
      if (!schema.is_object() || !schema.contains("schema")) return fields.fail("response_format", text("response_format must be ", kFormats, ": found no json_schema.schema"));
    }
    if (type == "text") format = nullptr;
  }
  if (grammar == nullptr && format == nullptr) return;
  const char* field = grammar != nullptr ? "grammar" : "response_format";
  if (grammar != nullptr && format != nullptr) return fields.fail("grammar", "grammar must not go with a response_format other than text: expected one of them, found both");
  if (!fits(fields, field, backend, request)) return;
  const std::int32_t end_of_reasoning = reasoning_end_token(fields, field, backend, request);
  if (!fields.ok()) return;
  const Result<Constraint> constraint = compile(fields, body, *backend.constraints);
  if (!constraint.ok()) return fields.fail(field, constraint.error().message);
  request.generation.constraint = end_of_reasoning < 0 ? *constraint : after_reasoning(*constraint, end_of_reasoning);
}

}  // namespace colonnade::coordinator
