// The normalizer of a tokenizer: text to text, before anything is split.
// Kinds: BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Sequence, Strip,
// StripAccents.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"
#include "engine/text/tokenizer/charsmap.h"

namespace colonnade::engine {

/// Immutable, thread-safe.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// `text` is valid UTF-8, and so is the result.
  virtual std::string apply(std::string text) const = 0;
};
using NormalizerSteps = std::vector<std::unique_ptr<Normalizer>>;

/// From the file's "normalizer"; null gives no steps.
Result<NormalizerSteps> make_normalizer(const Json& part);

/// Text that a step has made more than 32 times as long (and 64 KiB) is cut off there: no file makes memory run out.
std::string normalize_with(const NormalizerSteps& steps, std::string text);

/// What may stand instead of every occurrence of something; kUnsupported when it is longer.
inline constexpr std::size_t kMostReplacementBytes = 128;

/// Every non-overlapping occurrence of `pattern`, from the left.
std::string replace_all(std::string text, const std::string& pattern, const std::string& content);

// The kinds that go by what characters are, for normalizer.cc.
struct BertCleaning {
  bool clean_text, chinese_characters, strip_accents, lowercase;
};
std::unique_ptr<Normalizer> make_bert_normalizer(BertCleaning cleaning);
std::unique_ptr<Normalizer> make_lowercase();
std::unique_ptr<Normalizer> make_strip_accents();
std::unique_ptr<Normalizer> make_strip(bool left, bool right);
std::unique_ptr<Normalizer> make_nmt();
/// As the tokenizers library applies a charsmap: to grapheme clusters of less than six bytes, else to characters.
std::unique_ptr<Normalizer> make_precompiled(Charsmap map);

}  // namespace colonnade::engine
