#include "engine/text/tokenizer/pipeline.h"

#include <algorithm>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/tokenizer/byte_alphabet.h"
#include "engine/text/tokenizer/stand_ins.h"

namespace colonnade::engine {
namespace {

struct Entry {
  std::string content;  // as the file spells it
  std::string piece;    // what the decoder gets
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
    std::string piece = entry.piece;
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

class PipelineTokenizer final : public Tokenizer {
 public:
  PipelineTokenizer(Pipeline parts, std::vector<Entry> entries)
      : parts_(std::move(parts)),
        entries_(std::move(entries)),
        raw_finder_(parts_.raw_tokens),
        normalized_finder_(parts_.normalized_tokens) {}

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
  AddedTokenFinder raw_finder_;
  AddedTokenFinder normalized_finder_;
};

/// All tokens by id. A few wild ids must not make a table of gigabytes, so ids may not leave large gaps.
/// `letters`: tokens of the model are spelled in letters that stand for bytes.
Result<std::vector<Entry>> list_entries(const Pipeline& parts, bool letters, std::string_view file) {
  std::int32_t largest = -1;
  for (const NamedToken& token : parts.vocabulary.tokens) largest = std::max(largest, token.id);
  const std::size_t n_tokens = parts.vocabulary.tokens.size();
  const std::size_t most = 2 * n_tokens + 65536;
  const std::size_t n_ids = static_cast<std::size_t>(std::int64_t{largest} + 1);
  if (n_ids > most) {
    return Error{ErrorCode::kCorrupt,
                 text(file, ": the largest token id must be below ", most, " for ", n_tokens, " tokens, found ", largest)};
  }
  std::vector<Entry> entries(n_ids);
  for (const NamedToken& token : parts.vocabulary.tokens) {
    Entry& entry = entries[static_cast<std::size_t>(token.id)];
    entry.content = token.content;
    const auto bytes = letters ? bytes_of_letters(token.content) : std::nullopt;
    entry.piece = bytes ? *bytes : token.content;
  }
  for (const auto* list : {&parts.raw_tokens, &parts.normalized_tokens}) {
    for (const AddedToken& token : *list) {
      if (token.id >= 0 && static_cast<std::size_t>(token.id) < n_ids) {
        Entry& entry = entries[static_cast<std::size_t>(token.id)];
        entry.special = token.special;
        if (letters) entry.piece = entry.content;  // spelled as it stands, even where its letters could stand for bytes
      }
    }
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
  for (const auto* list : {&pipeline.raw_tokens, &pipeline.normalized_tokens}) {
    for (const AddedToken& token : *list) {
      if (const Status size = check_token_size(token.content); !size.ok()) {
        return Error{size.error().code, text(file, ": added token ", token.id, ": ", size.error().message)};
      }
    }
  }
  // Done once for every token instead of each time one is decoded.
  const bool letters = !pipeline.decoder.empty() && pipeline.decoder.front()->reads_byte_letters();
  if (letters) pipeline.decoder.erase(pipeline.decoder.begin());
  COLONNADE_ASSIGN(std::vector<Entry> entries, list_entries(pipeline, letters, file));
  pipeline.vocabulary.tokens.clear();
  pipeline.vocabulary.tokens.shrink_to_fit();
  return std::unique_ptr<Tokenizer>(std::make_unique<PipelineTokenizer>(std::move(pipeline), std::move(entries)));
}

}  // namespace colonnade::engine
