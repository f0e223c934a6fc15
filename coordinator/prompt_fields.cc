#include "coordinator/prompt_fields.h"

#include <algorithm>

#include "engine/base/format_text.h"

namespace colonnade::coordinator {
namespace {

constexpr const char* kPromptForms = "a string, a list of strings, a list of token ids, or a list of such lists";

void append_tokens(RequestFields& fields, const char* name, const Json& list, int vocab_size, Prompts& prompts) {
  std::vector<std::int32_t> ids;
  ids.reserve(list.size());
  for (const Json& id : list) {
    const std::optional<std::int32_t> token = token_of(id, vocab_size);
    if (!token) return fields.wrong(name, text("made of token ids from 0 to ", vocab_size - 1), id);
    ids.push_back(*token);
  }
  prompts.push_back(std::move(ids));
}

}  // namespace

Prompts read_prompts(RequestFields& fields, const ApiBackend& backend, const char* name, int most) {
  Prompts prompts;
  const Json* value = fields.find(name);
  if (value == nullptr) {
    fields.fail(name, text(name, " is missing: expected ", kPromptForms));
    return prompts;
  }
  const int vocab_size = backend.tokenizer->vocab_size();
  const auto append_text = [&](const Json& one) {
    prompts.push_back(backend.tokenizer->encode(one.get_ref<const std::string&>(), engine::SpecialTokens::kRecognise, true));
  };
  if (value->is_string()) {
    append_text(*value);
  } else if (value->is_array() && !value->empty() && value->front().is_number()) {
    append_tokens(fields, name, *value, vocab_size, prompts);
  } else if (value->is_array() && !value->empty() && value->size() <= static_cast<std::size_t>(most)) {
    for (const Json& one : *value) {
      if (one.is_string()) append_text(one);
      else if (one.is_array()) append_tokens(fields, name, one, vocab_size, prompts);
      else fields.wrong(name, kPromptForms, one);
    }
  } else {
    fields.wrong(name, text(kPromptForms, ", at most ", most, " of them"), *value);
  }
  if (std::any_of(prompts.begin(), prompts.end(), [](const auto& ids) { return ids.empty(); })) {
    fields.fail(name, text(name, " must have at least one token, found none"));
  }
  return prompts;
}

}  // namespace colonnade::coordinator
