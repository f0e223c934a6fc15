// Which of a model's files says how it tokenizes.
#include <cctype>
#include <utility>

#include "engine/text/tokenizer.h"
#include "engine/text/tokenizer/sentencepiece.h"
#include "engine/text/tokenizer/tokenizer_config.h"

namespace colonnade::engine {
namespace {

/// Whether a file begins as tiktoken's do: base64, a space, a number. A SentencePiece model begins with a line end (the key
/// of its first piece).
bool looks_like_tiktoken(std::string_view file) {
  const std::string_view line = file.substr(0, file.find('\n'));
  const std::size_t space = line.find(' ');
  return !line.empty() && space != line.npos && space + 1 < line.size() &&
         std::isdigit(static_cast<unsigned char>(line[space + 1])) != 0;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_sentencepiece(std::string_view model, std::string_view tokenizer_config) {
  constexpr const char* kName = "tokenizer.model";
  COLONNADE_ASSIGN(SentencePieceFile file, read_sentencepiece_model(model, kName));
  COLONNADE_ASSIGN(TokenizerConfig config, read_tokenizer_config(tokenizer_config));
  const bool has_bos = file.bos >= 0;
  file.add_bos = config.add_bos.value_or(has_bos);
  file.add_eos = config.add_eos.value_or(!has_bos);
  file.added_tokens = std::move(config.added_tokens);
  return make_sentencepiece_tokenizer(std::move(file), kName);
}

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const TokenizerFiles& files) {
  if (!files.tokenizer_json.empty()) return load_tokenizer_json(files.tokenizer_json);
  if (!files.tokenizer_model.empty()) {
    return looks_like_tiktoken(files.tokenizer_model) ? load_tiktoken(files.tokenizer_model, files.tokenizer_config)
                                                      : load_sentencepiece(files.tokenizer_model, files.tokenizer_config);
  }
  if (!files.tiktoken.empty()) return load_tiktoken(files.tiktoken, files.tokenizer_config);
  if (!files.vocabulary.empty()) return load_bert_vocabulary(files.vocabulary, files.tokenizer_config);
  return Error{ErrorCode::kNotFound, "expected a tokenizer.json, a tokenizer.model, a tiktoken file or a vocab.txt, found none"};
}

}  // namespace colonnade::engine
