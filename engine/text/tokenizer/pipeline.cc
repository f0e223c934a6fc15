#include "engine/text/tokenizer/pipeline.h"

#include <algorithm>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/tokenizer/stand_ins.h"

namespace colonnade::engine {
namespace {

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

  std::string finish() override {
    std::string kept;
    for (const auto& step : steps_) {
      std::string rest = kept.empty() ? std::string() : step->push(std::move(kept));
      kept = std::move(rest) + step->finish();
    }
    return kept;
  }

 private:
  const std::vector<Entry>& entries_;
  DecoderSteps steps_;
  bool skip_special_;
};

/// The added tokens that are searched for before or after normalising.
std::vector<AddedToken> select_tokens(const Pipeline& parts, bool normalized) {
  std::vector<AddedToken> selected;
  for (AddedToken token : parts.added_tokens) {
    if (token.normalized != normalized) continue;
    if (normalized) token.content = normalize_with(parts.normalizer, std::move(token.content));
    selected.push_back(std::move(token));
  }
  return selected;
}

class PipelineTokenizer final : public Tokenizer {
 public:
  PipelineTokenizer(Pipeline parts, std::vector<Entry> entries)
      : parts_(std::move(parts)),
        entries_(std::move(entries)),
        raw_tokens_(select_tokens(parts_, false)),
        normalized_tokens_(select_tokens(parts_, true)),
        raw_finder_(raw_tokens_),
        normalized_finder_(normalized_tokens_) {}

  std::vector<std::int32_t> encode(std::string_view text, SpecialTokens special, bool add_special) const override {
    return encode_parts(text, special == SpecialTokens::kRecognise, {}, add_special);
  }

  std::vector<std::int32_t> encode_marked(std::string_view text, std::span<const ByteRange> plain, bool add_special) const override {
    return encode_parts(text, true, plain, add_special);
  }

  std::unique_ptr<TokenBytes> decode_stream(bool skip_special) const override {
    return std::make_unique<StepsTokenBytes>(entries_, parts_.decoder, skip_special);
  }

  int vocab_size() const override { return static_cast<int>(entries_.size()); }
  std::int32_t token_id(std::string_view content) const override { return parts_.vocabulary.ids->find(content); }
  std::string token_text(std::int32_t token) const override { return known(token) ? entry(token).content : ""; }
  bool is_special(std::int32_t token) const override { return known(token) && entry(token).special; }

 private:
  std::vector<std::int32_t> encode_parts(std::string_view text, bool recognise, std::span<const ByteRange> plain,
                                         bool add_special) const {
    std::string valid;
    const bool stand_ins = to_stand_ins(text, valid);
    // Of text that is none the places change; nothing of it is trusted then.
    if (stand_ins && !plain.empty()) recognise = false;
    if (stand_ins) text = valid;
    std::vector<std::int32_t> ids;
    ids.reserve(text.size() / 4 + 8);
    for (const TextPart& raw : raw_finder_.split(text, recognise, plain)) {
      if (raw.token != nullptr) {
        ids.push_back(raw.token->id);
        continue;
      }
      const std::size_t begin = static_cast<std::size_t>(raw.text.data() - text.data());
      const bool at_start = begin == 0;
      const bool trusted = recognise && !overlaps(plain, begin, begin + raw.text.size());
      if (parts_.normalizer.empty()) {
        encode_normalized(raw.text, at_start, trusted, stand_ins, ids);
      } else {
        encode_normalized(normalize_with(parts_.normalizer, std::string(raw.text)), at_start, trusted, stand_ins, ids);
      }
    }
    if (add_special) {
      for (const auto& step : parts_.post_processor) ids = step->apply(std::move(ids));
    }
    return ids;
  }

  void encode_normalized(std::string_view text, bool at_start, bool recognise, bool stand_ins,
                         std::vector<std::int32_t>& ids) const {
    std::string bytes;
    for (const TextPart& part : normalized_finder_.split(text, recognise)) {
      if (part.token != nullptr) {
        ids.push_back(part.token->id);
        continue;
      }
      Pieces pieces(part.text, at_start && part.text.data() == text.data());
      for (const auto& step : parts_.pre_tokenizer) step->apply(pieces);
      for (const Piece& piece : pieces.list()) {
        if (!stand_ins) {
          parts_.model->tokenize(piece.text, ids);
          continue;
        }
        bytes.clear();
        restore_bytes(piece.text, bytes);
        parts_.model->tokenize(bytes, ids);
      }
    }
  }

  bool known(std::int32_t token) const { return token >= 0 && token < vocab_size(); }
  const Entry& entry(std::int32_t token) const { return entries_[static_cast<std::size_t>(token)]; }

  Pipeline parts_;
  std::vector<Entry> entries_;  // by id; empty content where there is no token
  std::vector<AddedToken> raw_tokens_;
  std::vector<AddedToken> normalized_tokens_;
  AddedTokenFinder raw_finder_;
  AddedTokenFinder normalized_finder_;
};

/// All tokens by id. A few wild ids must not make a table of gigabytes, so ids may not leave large gaps.
Result<std::vector<Entry>> list_entries(const Pipeline& parts, std::string_view file) {
  std::int32_t largest = -1;
  for (const auto& [content, id] : parts.vocabulary.tokens) largest = std::max(largest, id);
  for (const AddedToken& token : parts.added_tokens) largest = std::max(largest, token.id);
  const std::size_t n_tokens = parts.vocabulary.tokens.size() + parts.added_tokens.size();
  const std::size_t most = 2 * n_tokens + 65536;
  const std::size_t n_ids = static_cast<std::size_t>(std::int64_t{largest} + 1);
  if (n_ids > most) {
    return Error{ErrorCode::kCorrupt,
                 text(file, ": the largest token id must be below ", most, " for ", n_tokens, " tokens, found ", largest)};
  }
  std::vector<Entry> entries(n_ids);
  for (const auto& [content, id] : parts.vocabulary.tokens) entries[static_cast<std::size_t>(id)].content = content;
  for (const AddedToken& token : parts.added_tokens) {
    entries[static_cast<std::size_t>(token.id)] = {token.content, token.special};
  }
  return entries;
}

}  // namespace

std::string Tokenizer::decode(std::span<const std::int32_t> tokens, bool skip_special) const {
  const std::unique_ptr<TokenBytes> stream = decode_stream(skip_special);
  std::string bytes;
  for (const std::int32_t token : tokens) bytes += stream->push(token);
  return bytes += stream->finish();
}

std::string Tokenizer::token_bytes(std::int32_t token) const {
  if (is_special(token)) return {};
  const std::unique_ptr<TokenBytes> stream = decode_stream(false);
  stream->push(token);  // the first token of a text may lose its leading space
  return stream->push(token);
}

Result<std::unique_ptr<Tokenizer>> make_tokenizer(Pipeline pipeline, std::string_view file) {
  // A token that the vocabulary has keeps the id that it has there.
  for (AddedToken& token : pipeline.added_tokens) {
    const std::int32_t known = pipeline.vocabulary.ids->find(token.content);
    if (known >= 0) token.id = known;
  }
  COLONNADE_ASSIGN(std::vector<Entry> entries, list_entries(pipeline, file));
  for (const AddedToken& token : pipeline.added_tokens) pipeline.vocabulary.ids->set(token.content, token.id);
  pipeline.vocabulary.tokens.clear();
  pipeline.vocabulary.tokens.shrink_to_fit();
  return std::unique_ptr<Tokenizer>(std::make_unique<PipelineTokenizer>(std::move(pipeline), std::move(entries)));
}

}  // namespace colonnade::engine
