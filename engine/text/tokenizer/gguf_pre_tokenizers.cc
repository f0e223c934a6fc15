#include "engine/text/tokenizer/gguf_pre_tokenizers.h"

#include "engine/text/tokenizer/scanner.h"

namespace colonnade::engine {
namespace {

// Patterns as the models' own tokenizer files have them. Where llama.cpp writes others for want of \p{Lu} or (?i:), the
// splits are the same.
constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kUpToThreeDigits = R"(\p{N}{1,3})";
constexpr std::string_view kChineseAndKana = R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
constexpr std::string_view kChineseAndHangul = R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";
constexpr std::string_view kLineEnd = R"([\r\n])";
constexpr std::string_view kThreeAsciiDigits = "[0-9][0-9][0-9]";
constexpr std::string_view kNoPunctuation =
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)";

constexpr std::string_view kGpt2[] = {kGpt2Pattern};
constexpr std::string_view kGpt2Digits[] = {kDigit, kGpt2Pattern};
constexpr std::string_view kLlama3[] = {kLlama3Pattern};
constexpr std::string_view kQwen2[] = {kQwen2Pattern};
constexpr std::string_view kO200k[] = {kO200kPattern};
constexpr std::string_view kTekken[] = {kTekkenPattern};
constexpr std::string_view kDeepseekV3[] = {kUpToThreeDigits, kChineseAndKana, kDeepseekPattern};
constexpr std::string_view kDeepseekCoder[] = {kLineEnd, R"(\s?\p{L}+)", R"(\s?\p{P}+)", kChineseAndHangul, kDigit};
constexpr std::string_view kDeepseekLlm[] = {
    kLineEnd,
    R"(\s?)"
    R"([A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C})"
    R"(\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5})"
    R"(\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B})"
    R"(\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45})"
    R"(\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{3CE}\x{1F80}-\x{1FB4})"
    R"(\x{1FB6}-\x{1FBC}\x{3B9}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{390}\x{1FD6}-\x{38A})"
    R"(\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115})"
    R"(\x{2119}-\x{211D}\x{2124}\x{3A9}\x{2128}K-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F})"
    R"(\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE})"
    R"(\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787})"
    R"(\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A})"
    R"(\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2})"
    R"(\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}])"
    R"(+)",
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)",
    R"(\s+$)",
    kChineseAndHangul,
    R"(\p{N}+)"};
constexpr std::string_view kFalcon[] = {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2Pattern, kThreeAsciiDigits};
constexpr std::string_view kDefault[] = {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2Pattern, R"(\p{N}+)", kThreeAsciiDigits};
constexpr std::string_view kBloom[] = {kNoPunctuation};
constexpr std::string_view kViking[] = {kNoPunctuation, kDigit};
constexpr std::string_view kQwen35[] = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr std::string_view kBailing[] = {
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"};
constexpr std::string_view kSeedCoder[] = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr std::string_view kKimi[] = {
    R"([\p{Han}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};

struct Named {
  std::string_view name;
  GgufPreTokenizer pre_tokenizer;
};
constexpr Named kKnown[] = {
    {"", {kDefault}}, {"default", {kDefault}},
    {"gpt-2", {kGpt2}}, {"phi-2", {kGpt2}}, {"mpt", {kGpt2}}, {"olmo", {kGpt2}}, {"jais", {kGpt2}}, {"trillion", {kGpt2}},
    {"gigachat", {kGpt2}}, {"mellum", {kGpt2}}, {"modern-bert", {kGpt2}}, {"roberta-bpe", {kGpt2}}, {"exaone4", {kGpt2}},
    {"a.x-4.0", {kGpt2}}, {"granite-docling", {kGpt2}}, {"jina-es", {kGpt2}}, {"jina-de", {kGpt2}}, {"jina-v1-en", {kGpt2}},
    {"jina-v2-es", {kGpt2}}, {"jina-v2-de", {kGpt2}}, {"jina-v2-code", {kGpt2}},
    {"starcoder", {kGpt2Digits}}, {"refact", {kGpt2Digits}}, {"command-r", {kGpt2Digits}}, {"smollm", {kGpt2Digits}},
    {"codeshell", {kGpt2Digits}}, {"exaone", {kGpt2Digits}}, {"minerva-7b", {kGpt2Digits}},
    {"llama-bpe", {kLlama3, true, true}}, {"llama3", {kLlama3, true, true}}, {"llama-v3", {kLlama3, true, true}},
    {"falcon3", {kLlama3, true, true}}, {"falcon-h1", {kLlama3, true, true}}, {"pixtral", {kLlama3, true, true}},
    {"midm-2.0", {kLlama3, true, true}}, {"lfm2", {kLlama3, true, true}},
    {"dbrx", {kLlama3}}, {"smaug-bpe", {kLlama3}}, {"chatglm-bpe", {kLlama3}}, {"glm4", {kLlama3}},
    {"qwen2", {kQwen2}}, {"deepseek-r1-qwen", {kQwen2}}, {"stablelm2", {kQwen2}}, {"megrez", {kQwen2}}, {"hunyuan", {kQwen2}},
    {"grok-2", {kQwen2}}, {"solar-open", {kQwen2}},
    {"gpt-4o", {kO200k}}, {"llama4", {kO200k}}, {"kanana2", {kO200k}}, {"minimax-m2", {kO200k}},
    {"tekken", {kTekken, true, true}},
    {"deepseek-llm", {kDeepseekLlm}}, {"deepseek-coder", {kDeepseekCoder}}, {"deepseek-v3", {kDeepseekV3}},
    {"hunyuan-dense", {kDeepseekV3}}, {"joyai-llm", {kDeepseekV3}},
    {"falcon", {kFalcon}}, {"bloom", {kBloom}}, {"poro-chat", {kBloom}}, {"gpt3-finnish", {kBloom}}, {"viking", {kViking}},
    {"qwen35", {kQwen35}}, {"bailingmoe", {kBailing}}, {"bailingmoe2", {kBailing}}, {"llada-moe", {kBailing}},
    {"seed-coder", {kSeedCoder}}, {"kimi-k2", {kKimi}}};

}  // namespace

const GgufPreTokenizer* find_gguf_pre_tokenizer(std::string_view name) {
  for (const Named& one : kKnown) {
    if (one.name == name) return &one.pre_tokenizer;
  }
  return nullptr;
}

}  // namespace colonnade::engine
