// Normalizers that go by what single characters are.
#include <utility>

#include "engine/text/tokenizer/normalizer.h"
#include "engine/text/tokenizer/unicode.h"
#include "engine/text/utf8.h"

namespace colonnade::engine {
namespace {

/// Rewrites a text character by character: rewrite(character, sets, out) appends what it becomes.
template <typename Rewrite>
std::string rewrite_each(const std::string& text, Rewrite rewrite) {
  const CharSets& sets = CharSets::get();
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char32_t character = next_character(text, at);
    rewrite(character, sets.of(character), out);
  }
  return out;
}

std::string lowercase(const std::string& text) {
  return rewrite_each(text, [](char32_t c, unsigned, std::string& out) { append_lower_case(c, out); });
}

/// The ranges that the tokenizers library has; the last but two begins later than Unicode's extension E.
bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

class Bert final : public Normalizer {
 public:
  explicit Bert(BertCleaning cleaning) : cleaning_(cleaning) {}

  std::string apply(std::string text) const override {
    if (cleaning_.clean_text) text = rewrite_each(text, clean);
    if (cleaning_.chinese_characters) {
      text = rewrite_each(text, [](char32_t c, unsigned, std::string& out) {
        const char* space = is_chinese(c) ? " " : "";
        out += space;
        append_utf8(c, out);
        out += space;
      });
    }
    if (cleaning_.strip_accents) {
      text = rewrite_each(normalize(std::move(text), NormalForm::kNfd), [](char32_t c, unsigned sets, std::string& out) {
        if ((sets & kBertAccent) == 0) append_utf8(c, out);
      });
    }
    return cleaning_.lowercase ? lowercase(text) : text;
  }

 private:
  static void clean(char32_t c, unsigned sets, std::string& out) {
    if (c == '\t' || c == '\n' || c == '\r') return static_cast<void>(out += ' ');
    if (c == 0 || c == 0xFFFD || (sets & kBertControl) != 0) return;
    append_utf8((sets & kWhiteSpace) != 0 ? U' ' : c, out);
  }
  BertCleaning cleaning_;
};

class Lowercase final : public Normalizer {
 public:
  std::string apply(std::string text) const override { return lowercase(text); }
};

class StripAccents final : public Normalizer {
 public:
  std::string apply(std::string text) const override {
    return rewrite_each(text, [](char32_t c, unsigned sets, std::string& out) {
      if ((sets & kAccent) == 0) append_utf8(c, out);
    });
  }
};

class Strip final : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}

  std::string apply(std::string text) const override {
    const CharSets& sets = CharSets::get();
    std::size_t begin = 0;
    for (std::size_t at = 0; left_ && at < text.size() && sets.is(next_character(text, at), kWhiteSpace);) begin = at;
    std::size_t end = text.size();
    while (right_ && end > begin && sets.is(previous_character(text, end), kWhiteSpace)) {
      do --end;
      while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
    }
    return text.substr(begin, end - begin);
  }

 private:
  bool left_;
  bool right_;
};

class Nmt final : public Normalizer {
 public:
  std::string apply(std::string text) const override {
    return rewrite_each(text, [](char32_t c, unsigned, std::string& out) {
      const bool removed = (c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
      const bool space = c == 0x9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                         c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
      if (!removed) append_utf8(space ? U' ' : c, out);
    });
  }
};

class Precompiled final : public Normalizer {
 public:
  explicit Precompiled(Charsmap map) : map_(std::move(map)) {}

  std::string apply(std::string text) const override {
    std::string out;
    out.reserve(text.size() + text.size() / 8);
    for (std::size_t at = 0; at < text.size();) {
      // Between two ASCII characters there is a border, save in "\r\n". So ICU need only see the rest.
      std::size_t end = at + 1;
      if (is_ascii(text, at) && (end == text.size() || (is_ascii(text, end) && text[at] != '\r'))) {
        append_cluster(std::string_view(text).substr(at, 1), out);
        at = end;
        continue;
      }
      while (end < text.size() && !(is_ascii(text, end - 1) && is_ascii(text, end) && text[end - 1] != '\r')) ++end;
      const std::string_view part = std::string_view(text).substr(at, end - at);
      std::size_t done = 0;
      for (const std::size_t cluster_end : grapheme_ends(part)) {
        append_cluster(part.substr(done, cluster_end - done), out);
        done = cluster_end;
      }
      at = end;
    }
    // Nobody promised that the replacements in the file are text.
    return is_valid_utf8(out) ? out : replace_invalid_utf8(out);
  }

 private:
  static bool is_ascii(const std::string& text, std::size_t at) { return static_cast<unsigned char>(text[at]) < 0x80; }

  void append_cluster(std::string_view cluster, std::string& out) const {
    if (cluster.size() < 6) {
      if (const Charsmap::Rule rule = map_.find(cluster, Charsmap::Prefer::kShortest); rule.size != 0) {
        out += rule.replacement;
        return;
      }
    }
    for (std::size_t at = 0; at < cluster.size();) {
      const std::size_t begin = at;
      next_character(cluster, at);
      const std::string_view character = cluster.substr(begin, at - begin);
      const Charsmap::Rule rule = map_.find(character, Charsmap::Prefer::kShortest);
      out += rule.size != 0 ? rule.replacement : character;
    }
  }
  Charsmap map_;
};

}  // namespace

std::unique_ptr<Normalizer> make_bert_normalizer(BertCleaning cleaning) { return std::make_unique<Bert>(cleaning); }
std::unique_ptr<Normalizer> make_lowercase() { return std::make_unique<Lowercase>(); }
std::unique_ptr<Normalizer> make_strip_accents() { return std::make_unique<StripAccents>(); }
std::unique_ptr<Normalizer> make_strip(bool left, bool right) { return std::make_unique<Strip>(left, right); }
std::unique_ptr<Normalizer> make_nmt() { return std::make_unique<Nmt>(); }
std::unique_ptr<Normalizer> make_precompiled(Charsmap map) { return std::make_unique<Precompiled>(std::move(map)); }

}  // namespace colonnade::engine
