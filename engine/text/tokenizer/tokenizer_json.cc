// tokenizer.json of Hugging Face's tokenizers library.
#include <utility>

#include "engine/text/tokenizer/json_fields.h"
#include "engine/text/tokenizer/pipeline.h"

namespace colonnade::engine {

Result<std::unique_ptr<Tokenizer>> load_tokenizer_json(std::string_view json) {
  COLONNADE_ASSIGN(const Json file, parse_json(json, "tokenizer.json"));
  if (!file.is_object()) return wrong_field("the file", "an object", file);
  Pipeline pipeline;
  COLONNADE_ASSIGN(pipeline.normalizer, make_normalizer(member_or_null(file, "normalizer")));
  // Bytes are better symbols than letters that stand for them: no conversion, and half the memory.
  bool bytes = words_may_be_bytes(member_or_null(file, "model"));
  COLONNADE_ASSIGN(pipeline.pre_tokenizer, make_pre_tokenizer(member_or_null(file, "pre_tokenizer"), bytes));
  COLONNADE_ASSIGN(pipeline.model, make_token_model(member_or_null(file, "model"), bytes, pipeline.vocabulary));
  COLONNADE_ASSIGN(pipeline.post_processor, make_post_processor(member_or_null(file, "post_processor")));
  COLONNADE_ASSIGN(pipeline.decoder, make_decoder(member_or_null(file, "decoder")));
  COLONNADE_ASSIGN(std::vector<AddedToken> added, read_added_tokens(member_or_null(file, "added_tokens")));
  for (AddedToken& token : added) {
    // A token that the vocabulary has keeps the id that it has there.
    if (const std::int32_t known = pipeline.vocabulary.ids->find(token.content); known >= 0) token.id = known;
    pipeline.vocabulary.add(token.content, token.id);
    if (token.normalized) token.content = normalize_with(pipeline.normalizer, std::move(token.content));
    (token.normalized ? pipeline.normalized_tokens : pipeline.raw_tokens).push_back(std::move(token));
  }
  return make_tokenizer(std::move(pipeline), "tokenizer.json");
}

}  // namespace colonnade::engine
