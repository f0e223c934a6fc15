#include "engine/text/tokenizer/normalizer.h"

#include <utility>

#include "engine/text/tokenizer/base64.h"
#include "engine/text/tokenizer/byte_alphabet.h"
#include "engine/text/tokenizer/json_fields.h"
#include "engine/text/tokenizer/regex.h"
#include "engine/text/tokenizer/unicode.h"

namespace colonnade::engine {
namespace {

class Prepend final : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string apply(std::string text) const override { return text.empty() ? text : text.insert(0, prefix_); }

 private:
  std::string prefix_;
};

class Replace final : public Normalizer {
 public:
  Replace(std::string pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  std::string apply(std::string text) const override { return replace_all(std::move(text), pattern_, content_); }

 private:
  std::string pattern_;
  std::string content_;
};

class ReplaceRegex final : public Normalizer {
 public:
  ReplaceRegex(Regex regex, std::string content) : regex_(std::move(regex)), content_(std::move(content)) {}
  std::string apply(std::string text) const override {
    std::vector<RegexMatch> matches;
    regex_.find_all(text, matches);
    std::string out;
    std::size_t done = 0;
    for (const RegexMatch& match : matches) {
      out.append(text, done, match.begin - done).append(content_);
      done = match.end;
    }
    return out.append(text, done);
  }

 private:
  Regex regex_;
  std::string content_;
};

class Form final : public Normalizer {
 public:
  explicit Form(NormalForm form) : form_(form) {}
  std::string apply(std::string text) const override { return normalize(std::move(text), form_); }

 private:
  NormalForm form_;
};

class ByteLetters final : public Normalizer {
 public:
  std::string apply(std::string text) const override {
    std::string letters;
    append_byte_letters(text, letters);
    return letters;
  }
};

Status append_replace(const Json& part, NormalizerSteps& steps) {
  const std::string place = "normalizer Replace";
  COLONNADE_ASSIGN(FilePattern pattern, file_pattern(part, place));
  COLONNADE_ASSIGN(std::string content, string_member(part, "content", place));
  if (content.size() > kMostReplacementBytes) {
    return unsupported_part(place, "content of " + std::to_string(content.size()) + " bytes",
                            std::to_string(kMostReplacementBytes));
  }
  if (!pattern.is_regex) {
    steps.push_back(std::make_unique<Replace>(std::move(pattern.content), std::move(content)));
    return {};
  }
  auto regex = Regex::compile(pattern.content, RegexDialect::kOniguruma);
  if (!regex.ok()) return in_tokenizer_json(place, regex.error());
  steps.push_back(std::make_unique<ReplaceRegex>(std::move(regex).value(), std::move(content)));
  return {};
}

Status append_bert(const Json& part, NormalizerSteps& steps) {
  const std::string place = "normalizer BertNormalizer";
  BertCleaning cleaning{};
  COLONNADE_ASSIGN(cleaning.clean_text, bool_member(part, "clean_text", place, true));
  COLONNADE_ASSIGN(cleaning.chinese_characters, bool_member(part, "handle_chinese_chars", place, true));
  COLONNADE_ASSIGN(cleaning.lowercase, bool_member(part, "lowercase", place, true));
  COLONNADE_ASSIGN(cleaning.strip_accents, bool_member(part, "strip_accents", place, cleaning.lowercase));
  steps.push_back(make_bert_normalizer(cleaning));
  return {};
}

Status append_precompiled(const Json& part, NormalizerSteps& steps) {
  const std::string place = "normalizer Precompiled";
  if (member_or_null(part, "precompiled_charsmap").is_null()) return {};
  COLONNADE_ASSIGN(const std::string coded, string_member(part, "precompiled_charsmap", place));
  const auto bytes = decode_base64(coded);
  if (!bytes) return wrong_field(place + ".precompiled_charsmap", "base64", part["precompiled_charsmap"]);
  auto map = Charsmap::parse(*bytes);
  if (!map.ok()) return in_tokenizer_json(place, map.error());
  steps.push_back(make_precompiled(std::move(map).value()));
  return {};
}

Status append_steps(const Json& part, NormalizerSteps& steps) {
  COLONNADE_ASSIGN(const std::string type, part_type(part, "normalizer"));
  if (type == "Sequence") {
    const Json& list = member_or_null(part, "normalizers");
    if (!list.is_array()) return wrong_field("normalizer.normalizers", "a list", list);
    for (const Json& one : list) COLONNADE_TRY(append_steps(one, steps));
    return {};
  }
  if (type == "Replace") return append_replace(part, steps);
  if (type == "BertNormalizer" || type == "Bert") return append_bert(part, steps);
  if (type == "Precompiled") return append_precompiled(part, steps);
  if (type == "Prepend") {
    COLONNADE_ASSIGN(std::string prefix, string_member(part, "prepend", "normalizer Prepend"));
    steps.push_back(std::make_unique<Prepend>(std::move(prefix)));
  } else if (type == "Strip") {
    COLONNADE_ASSIGN(const bool left, bool_member(part, "strip_left", "normalizer Strip", true));
    COLONNADE_ASSIGN(const bool right, bool_member(part, "strip_right", "normalizer Strip", true));
    steps.push_back(make_strip(left, right));
  } else if (type == "NFC") {
    steps.push_back(std::make_unique<Form>(NormalForm::kNfc));
  } else if (type == "NFD") {
    steps.push_back(std::make_unique<Form>(NormalForm::kNfd));
  } else if (type == "NFKC") {
    steps.push_back(std::make_unique<Form>(NormalForm::kNfkc));
  } else if (type == "NFKD") {
    steps.push_back(std::make_unique<Form>(NormalForm::kNfkd));
  } else if (type == "Lowercase") {
    steps.push_back(make_lowercase());
  } else if (type == "StripAccents") {
    steps.push_back(make_strip_accents());
  } else if (type == "Nmt") {
    steps.push_back(make_nmt());
  } else if (type == "ByteLevel") {
    steps.push_back(std::make_unique<ByteLetters>());
  } else {
    return unsupported_part("normalizer", type,
                            "BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, "
                            "Sequence, Strip, StripAccents");
  }
  return {};
}

}  // namespace

std::string replace_all(std::string text, const std::string& pattern, const std::string& content) {
  std::size_t at = text.find(pattern);
  if (at == std::string::npos) return text;
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  std::size_t done = 0;
  for (; at != std::string::npos; at = text.find(pattern, done)) {
    out.append(text, done, at - done);
    out.append(content);
    done = at + pattern.size();
  }
  return out.append(text, done);
}

std::string normalize_with(const NormalizerSteps& steps, std::string text) {
  const std::size_t most = 32 * text.size() + 65536;
  for (const auto& step : steps) {
    text = step->apply(std::move(text));
    if (text.size() <= most) continue;
    std::size_t end = most;
    while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text.resize(end);
  }
  return text;
}

Result<NormalizerSteps> make_normalizer(const Json& part) {
  NormalizerSteps steps;
  if (!part.is_null()) COLONNADE_TRY(append_steps(part, steps));
  return steps;
}

}  // namespace colonnade::engine
