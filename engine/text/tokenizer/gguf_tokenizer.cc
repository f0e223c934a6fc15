// GGUF vocabularies: the kind that tokenizer.ggml.model names, put together from the same parts as other files.
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/gguf_vocabulary.h"
#include "engine/text/tokenizer/byte_alphabet.h"
#include "engine/text/tokenizer/gguf_pre_tokenizers.h"
#include "engine/text/tokenizer/pipeline.h"
#include "engine/text/tokenizer/sentencepiece.h"
#include "engine/text/utf8.h"

namespace colonnade::engine {
namespace {

constexpr const char* kFile = "GGUF vocabulary";

Error corrupt(std::string_view what) { return {ErrorCode::kCorrupt, text(kFile, ": ", what)}; }

PieceType type_of(const GgufVocabulary& vocabulary, std::size_t id) {
  if (vocabulary.types.empty()) return PieceType::kNormal;
  const std::int32_t type = vocabulary.types[id];
  return type >= 1 && type <= 6 ? static_cast<PieceType>(type) : PieceType::kUnused;
}

Status check(const GgufVocabulary& vocabulary) {
  const std::size_t n = vocabulary.tokens.size();
  if (n == 0) return corrupt("tokenizer.ggml.tokens must have at least one token, found none");
  if (!vocabulary.scores.empty() && vocabulary.scores.size() != n) {
    return corrupt(text("tokenizer.ggml.scores must have ", n, " numbers, found ", vocabulary.scores.size()));
  }
  if (!vocabulary.types.empty() && vocabulary.types.size() != n) {
    return corrupt(text("tokenizer.ggml.token_type must have ", n, " numbers, found ", vocabulary.types.size()));
  }
  for (const auto& id : {vocabulary.bos, vocabulary.eos, vocabulary.unknown, vocabulary.separator}) {
    // Some files have -1 for none.
    if (id && *id >= 0 && static_cast<std::size_t>(*id) >= n) {
      return corrupt(text("the id of a special token must be below ", n, ", found ", *id));
    }
  }
  return {};
}

std::vector<std::int32_t> if_wanted(bool wanted, const std::optional<std::int32_t>& id) {
  if (!wanted || !id || *id < 0) return {};
  return {*id};
}

/// Control tokens on request, user-defined ones always, in the text as it came.
void add_special_tokens(const GgufVocabulary& vocabulary, Pipeline& pipeline) {
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const PieceType type = type_of(vocabulary, id);
    if (type != PieceType::kControl && type != PieceType::kUserDefined) continue;
    AddedToken token;
    token.id = static_cast<std::int32_t>(id);
    token.content = vocabulary.tokens[id];
    token.special = type == PieceType::kControl;
    pipeline.raw_tokens.push_back(std::move(token));
  }
}

Status add_merges(const std::vector<std::string>& merges, const StringIds& ids, MergeTable& table) {
  table.reserve(merges.size());
  std::int32_t rank = 0;
  for (const std::string& line : merges) {
    const std::size_t space = line.find(' ', 1);
    const std::string_view left = std::string_view(line).substr(0, space);
    const std::string_view right = space == std::string::npos ? "" : std::string_view(line).substr(space + 1);
    if (right.empty()) {
      return corrupt(text("tokenizer.ggml.merges[", rank, "] must be two tokens with a space between, found \"",
                          replace_invalid_utf8(line.substr(0, 40)), "\""));
    }
    const std::int32_t left_id = ids.find(left);
    const std::int32_t right_id = ids.find(right);
    const std::int32_t merged = left_id < 0 || right_id < 0 ? -1 : ids.find(std::string(left).append(right));
    ++rank;
    if (merged < 0) continue;  // vocabularies that were cut down keep merges that lead nowhere
    table.add(left_id, right_id, rank - 1, merged);
  }
  return {};
}

Result<std::unique_ptr<Tokenizer>> load_bpe(const GgufVocabulary& vocabulary) {
  const GgufPreTokenizer* const pre = find_gguf_pre_tokenizer(vocabulary.pre);
  if (pre == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 text(kFile, ": tokenizer.ggml.pre \"", replace_invalid_utf8(vocabulary.pre), "\" is not supported")};
  }
  Pipeline pipeline;
  BpeTables tables;
  auto by_bytes = std::make_shared<StringIds>();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    pipeline.vocabulary.add(token, static_cast<std::int32_t>(id));
    // What is found before the split is spelled as it stands, the rest in letters for bytes.
    const PieceType type = type_of(vocabulary, id);
    if (type == PieceType::kControl || type == PieceType::kUserDefined) continue;
    if (const auto bytes = bytes_of_letters(token)) by_bytes->set(*bytes, static_cast<std::int32_t>(id));
  }
  COLONNADE_TRY(add_merges(vocabulary.merges, *pipeline.vocabulary.ids, tables.merges));
  tables.ids = std::move(by_bytes);
  tables.byte_symbols = true;
  tables.ignore_merges = pre->ignore_merges;
  if (vocabulary.unknown && *vocabulary.unknown >= 0) tables.unknown = vocabulary.unknown;
  pipeline.model = make_bpe(std::move(tables));
  for (const std::string_view pattern : pre->patterns) {
    COLONNADE_ASSIGN(pipeline.pre_tokenizer.emplace_back(),
                     make_pattern_split(pattern, RegexDialect::kRust, SplitBehavior::kIsolated, false));
  }
  pipeline.decoder.push_back(make_byte_level_decoder());
  pipeline.post_processor.push_back(make_surrounding(if_wanted(vocabulary.add_bos.value_or(pre->add_bos), vocabulary.bos),
                                                     if_wanted(vocabulary.add_eos.value_or(false), vocabulary.eos)));
  add_special_tokens(vocabulary, pipeline);
  return make_tokenizer(std::move(pipeline), kFile);
}

/// "llama" is SentencePiece with BPE, "t5" with Unigram.
Result<std::unique_ptr<Tokenizer>> load_sentencepiece(GgufVocabulary vocabulary) {
  SentencePieceFile file;
  const bool unigram = vocabulary.model == "t5";
  if (vocabulary.scores.empty()) return corrupt("tokenizer.ggml.scores must be there, found none");
  file.model = unigram ? SentencePieceFile::Model::kUnigram : SentencePieceFile::Model::kBpe;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const PieceType type = type_of(vocabulary, id);
    std::string content = std::move(vocabulary.tokens[id]);
    if (content.empty()) content = text("[EMPTY_", id, "]");
    file.byte_fallback = file.byte_fallback || type == PieceType::kByte;
    file.pieces.push_back({std::move(content), vocabulary.scores[id], type});
  }
  file.segments_user_defined = true;
  file.bos = vocabulary.bos.value_or(unigram ? -1 : 1);
  file.eos = vocabulary.eos.value_or(unigram ? 1 : 2);
  file.add_bos = vocabulary.add_bos.value_or(!unigram);
  file.add_eos = vocabulary.add_eos.value_or(unigram);
  file.add_dummy_prefix = vocabulary.add_space_prefix.value_or(true);
  file.remove_extra_whitespaces = vocabulary.remove_extra_whitespaces.value_or(unigram);
  file.charsmap = std::move(vocabulary.charsmap);
  return make_sentencepiece_tokenizer(std::move(file), kFile);
}

/// WordPiece, with "▁" before what begins a word instead of "##" before what does not.
Result<std::unique_ptr<Tokenizer>> load_bert(const GgufVocabulary& vocabulary) {
  Pipeline pipeline;
  WordPieceTables tables;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    pipeline.vocabulary.add(vocabulary.tokens[id], static_cast<std::int32_t>(id));
  }
  tables.vocabulary = &pipeline.vocabulary.tokens;
  tables.start_prefix = "\xE2\x96\x81";
  const auto or_named = [&](const std::optional<std::int32_t>& id, std::string_view name) {
    const std::int32_t found = id ? *id : pipeline.vocabulary.ids->find(name);
    return found < 0 ? std::optional<std::int32_t>() : std::optional(found);
  };
  tables.unknown = or_named(vocabulary.unknown, "[UNK]");
  auto model = make_word_piece(tables);
  if (!model.ok()) return corrupt(model.error().message);
  pipeline.model = std::move(model).value();
  pipeline.normalizer.push_back(
      make_bert_normalizer({.clean_text = true, .chinese_characters = true, .strip_accents = true, .lowercase = true}));
  pipeline.pre_tokenizer.push_back(make_character_split(CharacterSplit::kBert));
  pipeline.decoder.push_back(make_metaspace_decoder("\xE2\x96\x81", true));
  pipeline.post_processor.push_back(
      make_surrounding(if_wanted(vocabulary.add_bos.value_or(true), or_named(vocabulary.bos, "[CLS]")),
                       if_wanted(vocabulary.add_separator.value_or(true), or_named(vocabulary.separator, "[SEP]"))));
  add_special_tokens(vocabulary, pipeline);
  return make_tokenizer(std::move(pipeline), kFile);
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_gguf_tokenizer(GgufVocabulary vocabulary) {
  COLONNADE_TRY(check(vocabulary));
  if (vocabulary.model == "gpt2") return load_bpe(vocabulary);
  if (vocabulary.model == "llama" || vocabulary.model == "t5") return load_sentencepiece(std::move(vocabulary));
  if (vocabulary.model == "bert") return load_bert(vocabulary);
  return Error{ErrorCode::kUnsupported, text(kFile, ": tokenizer.ggml.model \"", replace_invalid_utf8(vocabulary.model),
                                             "\" is not supported (supported: gpt2, llama, t5, bert)")};
}

}  // namespace colonnade::engine
