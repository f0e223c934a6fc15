// tiktoken files: byte-level BPE without a list of merges. Any two neighbours that together are a token merge, the token with
// the lowest rank first.
#include <charconv>
#include <span>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/tokenizer/base64.h"
#include "engine/text/tokenizer/byte_alphabet.h"
#include "engine/text/tokenizer/gguf_pre_tokenizers.h"
#include "engine/text/tokenizer/pipeline.h"
#include "engine/text/tokenizer/scanner.h"
#include "engine/text/tokenizer/tokenizer_config.h"
#include "engine/text/tokenizer/unicode.h"

namespace colonnade::engine {
namespace {

constexpr const char* kFile = "tiktoken file";

struct SpecialToken {
  std::int32_t id;
  std::string content;
};

std::vector<SpecialToken> llama3_tokens() {
  std::vector<std::string> names = {
      "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
      "<|reserved_special_token_2|>", "<|reserved_special_token_3|>", "<|start_header_id|>", "<|end_header_id|>",
      "<|reserved_special_token_4|>", "<|eot_id|>"};
  for (int i = 5; i < 251; ++i) names.push_back(text("<|reserved_special_token_", i, "|>"));
  std::vector<SpecialToken> tokens;
  for (std::string& name : names) tokens.push_back({128000 + static_cast<std::int32_t>(tokens.size()), std::move(name)});
  return tokens;
}

std::vector<SpecialToken> qwen_tokens() {
  std::vector<SpecialToken> tokens = {{151643, "<|endoftext|>"}, {151644, "<|im_start|>"}, {151645, "<|im_end|>"}};
  for (int i = 0; i < 205; ++i) tokens.push_back({151646 + i, text("<|extra_", i, "|>")});
  return tokens;
}

/// What a file does not say of itself.
struct Encoding {
  std::span<const std::string_view> patterns;
  std::vector<SpecialToken> special;
  bool nfc = false;
  bool begins_text = false;  // the first special token goes before a text
};

constexpr std::string_view kGpt2[] = {kGpt2Pattern};
constexpr std::string_view kCl100k[] = {kLlama3Pattern};
constexpr std::string_view kQwen[] = {kQwen2Pattern};
constexpr std::string_view kO200k[] = {kO200kPattern};

Result<Encoding> encoding_of(std::size_t n_ranks) {
  switch (n_ranks) {
    case 50256: return Encoding{kGpt2, {{50256, "<|endoftext|>"}}};
    case 50280: return Encoding{kGpt2, {{50256, "<|endoftext|>"}}};
    case 100256:
      return Encoding{kCl100k,
                      {{100257, "<|endoftext|>"}, {100258, "<|fim_prefix|>"}, {100259, "<|fim_middle|>"},
                       {100260, "<|fim_suffix|>"}, {100276, "<|endofprompt|>"}}};
    case 128000: return Encoding{kCl100k, llama3_tokens(), false, true};
    case 151643: return Encoding{kQwen, qwen_tokens(), true};
    case 163584: return Encoding{find_gguf_pre_tokenizer("kimi-k2")->patterns, {}};
    case 199998: return Encoding{kO200k, {{199999, "<|endoftext|>"}, {200018, "<|endofprompt|>"}}};
    default:
      return Error{ErrorCode::kUnsupported,
                   text(kFile, ": how it splits text is known for files of 50256, 50280, 100256, 128000, 151643, 163584 or "
                               "199998 ranks, found ", n_ranks)};
  }
}

struct RankedToken {
  std::string bytes;
  std::int32_t rank;
};

Result<std::vector<RankedToken>> read_ranks(std::string_view file) {
  std::vector<RankedToken> tokens;
  for (std::size_t line = 1; !file.empty(); ++line) {
    const std::size_t end = file.find('\n');
    std::string_view one = file.substr(0, end);
    file.remove_prefix(end == file.npos ? file.size() : end + 1);
    if (one.ends_with('\r')) one.remove_suffix(1);
    if (one.empty()) continue;
    const std::size_t space = one.find(' ');
    auto bytes = decode_base64(one.substr(0, space));
    RankedToken token{bytes ? std::move(*bytes) : "", -1};
    if (space != one.npos) {
      const char* const last = one.data() + one.size();
      const auto number = std::from_chars(one.data() + space + 1, last, token.rank);
      if (number.ec != std::errc() || number.ptr != last) token.rank = -1;
    }
    if (token.bytes.empty() || token.bytes.size() > kMostTokenBytes || token.rank < 0) {
      return Error{ErrorCode::kCorrupt, text(kFile, ": line ", line, " must be a token of 1 to ", kMostTokenBytes,
                                             " bytes in base64 and its rank, found other text")};
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

std::unique_ptr<TokenModel> make_model(const std::vector<RankedToken>& tokens) {
  BpeTables tables;
  auto ids = std::make_shared<StringIds>();
  for (const RankedToken& token : tokens) ids->set(token.bytes, token.rank);
  for (const RankedToken& token : tokens) {
    const std::string_view bytes = token.bytes;
    for (std::size_t at = 1; at < bytes.size(); ++at) {
      const std::int32_t left = ids->find(bytes.substr(0, at));
      const std::int32_t right = left < 0 ? -1 : ids->find(bytes.substr(at));
      if (right >= 0) tables.merges.add(left, right, token.rank, token.rank);
    }
  }
  tables.ids = std::move(ids);
  tables.byte_symbols = true;
  tables.ignore_merges = true;
  return make_bpe(std::move(tables));
}

class Nfc final : public Normalizer {
 public:
  std::string apply(std::string text) const override { return normalize(std::move(text), NormalForm::kNfc); }
};

void add_special_tokens(const Encoding& encoding, TokenizerConfig& config, Pipeline& pipeline) {
  // The configuration's names win: Llama 3.1 has renamed some.
  for (const SpecialToken& one : encoding.special) {
    bool renamed = false;
    for (const AddedToken& token : config.added_tokens) renamed = renamed || token.id == one.id;
    if (renamed) continue;
    AddedToken token;
    token.id = one.id;
    token.content = one.content;
    token.special = true;
    pipeline.raw_tokens.push_back(std::move(token));
  }
  for (AddedToken& token : config.added_tokens) pipeline.raw_tokens.push_back(std::move(token));
  for (const AddedToken& token : pipeline.raw_tokens) pipeline.vocabulary.add(token.content, token.id);
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_tiktoken(std::string_view ranks, std::string_view tokenizer_config) {
  COLONNADE_ASSIGN(const std::vector<RankedToken> tokens, read_ranks(ranks));
  COLONNADE_ASSIGN(const Encoding encoding, encoding_of(tokens.size()));
  COLONNADE_ASSIGN(TokenizerConfig config, read_tokenizer_config(tokenizer_config));
  Pipeline pipeline;
  for (const RankedToken& token : tokens) {
    std::string letters;
    append_byte_letters(token.bytes, letters);
    pipeline.vocabulary.add(std::move(letters), token.rank);
  }
  pipeline.model = make_model(tokens);
  if (encoding.nfc) pipeline.normalizer.push_back(std::make_unique<Nfc>());
  for (const std::string_view pattern : encoding.patterns) {
    COLONNADE_ASSIGN(pipeline.pre_tokenizer.emplace_back(),
                     make_pattern_split(pattern, RegexDialect::kRust, SplitBehavior::kIsolated, false));
  }
  pipeline.decoder.push_back(make_byte_level_decoder());
  add_special_tokens(encoding, config, pipeline);
  std::vector<std::int32_t> before, after;
  if (config.add_bos.value_or(encoding.begins_text)) {
    const std::int32_t bos = config.bos.empty() ? -1 : pipeline.vocabulary.ids->find(config.bos);
    if (bos >= 0) before.push_back(bos);
    else if (encoding.begins_text) before.push_back(encoding.special[0].id);
  }
  if (const std::int32_t eos = pipeline.vocabulary.ids->find(config.eos); config.add_eos.value_or(false) && eos >= 0) {
    after.push_back(eos);
  }
  pipeline.post_processor.push_back(make_surrounding(std::move(before), std::move(after)));
  return make_tokenizer(std::move(pipeline), kFile);
}

}  // namespace colonnade::engine
