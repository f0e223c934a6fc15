// vocab.txt of BERT: what transformers' BertTokenizer makes of it, said as the tokenizer.json that its successor writes.
#include <algorithm>
#include <string>

#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/text/tokenizer.h"
#include "engine/text/tokenizer/json_fields.h"

namespace colonnade::engine {
namespace {

constexpr const char* kVocabulary = "vocab.txt";
constexpr const char* kConfig = "tokenizer_config.json";

Error corrupt(const char* file, std::string message) { return {ErrorCode::kCorrupt, text(file, ": ", message)}; }

Result<bool> flag(const Json& config, const char* name, bool if_absent) {
  const Json& value = member_or_null(config, name);
  if (value.is_null()) return if_absent;
  if (!value.is_boolean()) return corrupt(kConfig, text(name, " must be true or false, found ", value.type_name()));
  return value.get<bool>();
}

/// A token line by line; of equal ones the last counts.
Result<Json> read_vocabulary(std::string_view vocabulary) {
  Json tokens = Json::object();
  std::int64_t id = 0;
  while (!vocabulary.empty()) {
    const std::size_t end = std::min(vocabulary.find('\n'), vocabulary.size());
    std::string_view line = vocabulary.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    tokens[std::string(line)] = id++;
    vocabulary.remove_prefix(std::min(end + 1, vocabulary.size()));
  }
  return tokens;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_bert_vocabulary(std::string_view vocabulary, std::string_view tokenizer_config) {
  Json config = Json::object();
  if (!tokenizer_config.empty()) {
    COLONNADE_ASSIGN(config, parse_json(tokenizer_config, kConfig));
    if (!config.is_object()) return corrupt(kConfig, text("must be an object, found ", config.type_name()));
  }
  COLONNADE_ASSIGN(const bool lowercase, flag(config, "do_lower_case", true));
  COLONNADE_ASSIGN(const bool strip_accents, flag(config, "strip_accents", lowercase));
  COLONNADE_ASSIGN(const bool chinese_characters, flag(config, "tokenize_chinese_chars", true));
  COLONNADE_ASSIGN(const bool splits_words, flag(config, "do_basic_tokenize", true));
  if (!splits_words) return Error{ErrorCode::kUnsupported, text(kConfig, ": do_basic_tokenize false is not supported")};
  COLONNADE_ASSIGN(Json tokens, read_vocabulary(vocabulary));

  Json added = Json::array();
  const auto special = [&](const char* name, const char* if_absent) {
    const Json& value = member_or_null(config, name);
    const Json& content = value.is_object() ? member_or_null(value, "content") : value;
    const std::string token = content.is_string() ? content.get<std::string>() : if_absent;
    if (tokens.contains(token)) added.push_back({{"id", tokens[token]}, {"content", token}, {"special", true}});
    return token;
  };
  const std::string unknown = special("unk_token", "[UNK]"), begin = special("cls_token", "[CLS]"), end = special("sep_token", "[SEP]");
  special("pad_token", "[PAD]");
  special("mask_token", "[MASK]");
  for (const std::string& token : {unknown, begin, end})
    if (!tokens.contains(token)) return corrupt(kVocabulary, text("expected the token ", token, ", found ", tokens.size(), " others"));

  const auto placed = [](const std::string& token) { return Json{{"SpecialToken", {{"id", token}, {"type_id", 0}}}}; };
  const auto named = [&](const std::string& token) {
    return Json{{"id", token}, {"ids", Json::array({tokens[token]})}, {"tokens", Json::array({token})}};
  };
  Json template_tokens = Json::object();
  template_tokens[begin] = named(begin);
  template_tokens[end] = named(end);
  const Json normalizer = {{"type", "BertNormalizer"}, {"clean_text", true}, {"handle_chinese_chars", chinese_characters},
                           {"strip_accents", strip_accents}, {"lowercase", lowercase}};
  const Json model = {{"type", "WordPiece"}, {"unk_token", unknown}, {"continuing_subword_prefix", "##"},
                      {"max_input_chars_per_word", 100}, {"vocab", std::move(tokens)}};
  const Json post_processor = {{"type", "TemplateProcessing"},
                               {"single", Json::array({placed(begin), Json{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, placed(end)})},
                               {"pair", Json::array()},
                               {"special_tokens", std::move(template_tokens)}};
  const Json file = {{"added_tokens", std::move(added)}, {"normalizer", normalizer}, {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                     {"post_processor", post_processor}, {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
                     {"model", model}};
  return load_tokenizer_json(dump_json(file));
}

}  // namespace colonnade::engine
