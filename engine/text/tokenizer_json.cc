// A tokenizer put together from the parts of a tokenizer.json: added tokens → normalizer → pre-tokenizer → model →
// post-processor, and the decoder for the way back.
#include <algorithm>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/added_tokens.h"
#include "engine/text/json_fields.h"
#include "engine/text/normalizer.h"
#include "engine/text/post_processor.h"
#include "engine/text/pre_tokenizer.h"
#include "engine/text/token_decoder.h"
#include "engine/text/token_model.h"
#include "engine/text/tokenizer.h"

namespace colonnade::engine {
namespace {

struct Parts {
  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<TokenModel> model;
  std::unique_ptr<PostProcessor> post_processor;
  DecoderSteps decoder;
  std::vector<AddedToken> raw_tokens;         // searched for in the text as it came
  std::vector<AddedToken> normalized_tokens;  // searched for after normalising
};

struct Entry {
  std::string content;
  bool special = false;
};

class StepsTokenBytes final : public TokenBytes {
 public:
  StepsTokenBytes(const std::vector<Entry>& entries, const DecoderSteps& steps, bool skip_special)
      : entries_(entries), skip_special_(skip_special) {
    for (const auto& step : steps) steps_.push_back(step->fresh());
  }

  std::string push(std::int32_t token) override {
    const auto index = static_cast<std::size_t>(token);
    if (token < 0 || index >= entries_.size()) return {};
    const Entry& entry = entries_[index];
    if (entry.content.empty() || (skip_special_ && entry.special)) return {};
    std::string piece = entry.content;
    for (const auto& step : steps_) piece = step->push(std::move(piece));
    return piece;
  }

 private:
  const std::vector<Entry>& entries_;
  DecoderSteps steps_;
  bool skip_special_;
};

class JsonTokenizer final : public Tokenizer {
 public:
  JsonTokenizer(Parts parts, std::vector<Entry> entries, TokenIds added_ids)
      : parts_(std::move(parts)),
        entries_(std::move(entries)),
        added_ids_(std::move(added_ids)),
        raw_finder_(parts_.raw_tokens),
        normalized_finder_(parts_.normalized_tokens) {}

  std::vector<std::int32_t> encode(std::string_view text, SpecialTokens special, bool add_special) const override {
    const bool recognise = special == SpecialTokens::kRecognise;
    std::vector<std::int32_t> ids;
    for (const TextPart& raw : raw_finder_.split(text, recognise)) {
      if (raw.token != nullptr) {
        ids.push_back(raw.token->id);
        continue;
      }
      const std::string normalized = parts_.normalizer->apply(std::string(raw.text));
      for (const TextPart& part : normalized_finder_.split(normalized, recognise)) {
        if (part.token != nullptr) {
          ids.push_back(part.token->id);
          continue;
        }
        for (const std::string_view word : parts_.pre_tokenizer->split(part.text)) {
          parts_.model->tokenize(word, ids);
        }
      }
    }
    return add_special ? parts_.post_processor->apply(std::move(ids)) : ids;
  }

  std::unique_ptr<TokenBytes> decode_stream(bool skip_special) const override {
    return std::make_unique<StepsTokenBytes>(entries_, parts_.decoder, skip_special);
  }

  int vocab_size() const override { return static_cast<int>(entries_.size()); }

  std::int32_t token_id(std::string_view content) const override {
    if (const auto added = added_ids_.find(content); added != added_ids_.end()) return added->second;
    const TokenIds& vocabulary = parts_.model->vocabulary();
    const auto found = vocabulary.find(content);
    return found == vocabulary.end() ? -1 : found->second;
  }

  std::string token_text(std::int32_t token) const override { return known(token) ? entry(token).content : ""; }
  bool is_special(std::int32_t token) const override { return known(token) && entry(token).special; }

 private:
  bool known(std::int32_t token) const { return token >= 0 && token < vocab_size(); }
  const Entry& entry(std::int32_t token) const { return entries_[static_cast<std::size_t>(token)]; }

  Parts parts_;
  std::vector<Entry> entries_;  // by id; empty content where there is no token
  TokenIds added_ids_;
  AddedTokenFinder raw_finder_;
  AddedTokenFinder normalized_finder_;
};

/// All tokens by id. A few wild ids must not make a table of gigabytes, so ids may not leave large gaps.
Result<std::vector<Entry>> list_entries(const TokenIds& vocabulary, const std::vector<AddedToken>& added) {
  std::int32_t largest = -1;
  for (const auto& [content, id] : vocabulary) largest = std::max(largest, id);
  for (const AddedToken& token : added) largest = std::max(largest, token.id);
  const std::size_t most = 2 * (vocabulary.size() + added.size()) + 65536;
  const std::size_t n_ids = static_cast<std::size_t>(std::int64_t{largest} + 1);
  if (n_ids > most) {
    return Error{ErrorCode::kCorrupt, text("tokenizer.json: the largest token id must be below ", most, " for ",
                                           vocabulary.size() + added.size(), " tokens, found ", largest)};
  }
  std::vector<Entry> entries(n_ids);
  for (const auto& [content, id] : vocabulary) entries[static_cast<std::size_t>(id)].content = content;
  for (const AddedToken& token : added) entries[static_cast<std::size_t>(token.id)] = {token.content, token.special};
  return entries;
}

}  // namespace

std::string Tokenizer::decode(std::span<const std::int32_t> tokens, bool skip_special) const {
  const std::unique_ptr<TokenBytes> stream = decode_stream(skip_special);
  std::string bytes;
  for (const std::int32_t token : tokens) bytes += stream->push(token);
  return bytes;
}

std::string Tokenizer::token_bytes(std::int32_t token) const {
  if (is_special(token)) return {};
  const std::unique_ptr<TokenBytes> stream = decode_stream(false);
  stream->push(token);  // the first token of a text may lose its leading space
  return stream->push(token);
}

Result<std::unique_ptr<Tokenizer>> load_tokenizer_json(std::string_view json) {
  COLONNADE_ASSIGN(const Json file, parse_json(json, "tokenizer.json"));
  if (!file.is_object()) return wrong_field("the file", "an object", file);
  Parts parts;
  COLONNADE_ASSIGN(parts.normalizer, make_normalizer(member_or_null(file, "normalizer")));
  COLONNADE_ASSIGN(parts.pre_tokenizer, make_pre_tokenizer(member_or_null(file, "pre_tokenizer")));
  COLONNADE_ASSIGN(parts.model, make_token_model(member_or_null(file, "model")));
  COLONNADE_ASSIGN(parts.post_processor, make_post_processor(member_or_null(file, "post_processor")));
  COLONNADE_ASSIGN(parts.decoder, make_decoder(member_or_null(file, "decoder")));
  COLONNADE_ASSIGN(const std::vector<AddedToken> added, read_added_tokens(member_or_null(file, "added_tokens")));
  COLONNADE_ASSIGN(std::vector<Entry> entries, list_entries(parts.model->vocabulary(), added));
  TokenIds added_ids;
  for (AddedToken token : added) {
    added_ids[token.content] = token.id;
    if (!token.normalized) {
      parts.raw_tokens.push_back(token);
    } else if (token.content = parts.normalizer->apply(token.content); !token.content.empty()) {
      parts.normalized_tokens.push_back(token);
    }
  }
  return std::unique_ptr<Tokenizer>(
      std::make_unique<JsonTokenizer>(std::move(parts), std::move(entries), std::move(added_ids)));
}

}  // namespace colonnade::engine
