#include "engine/text/tokenizer/pre_tokenizer.h"

#include <utility>

#include "engine/text/tokenizer/byte_alphabet.h"
#include "engine/text/tokenizer/json_fields.h"
#include "engine/text/tokenizer/scanner.h"

namespace colonnade::engine {
namespace {

class SpaceBefore final : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    pieces.cut_each([&](const Piece& piece, auto add) {
      add(piece.text.starts_with(' ') ? piece.text : pieces.keep(std::string(" ").append(piece.text)));
    });
  }
};

class ByteLetters final : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    pieces.cut_each([&](const Piece& piece, auto add) {
      std::string letters;
      append_byte_letters(piece.text, letters);
      add(pieces.keep(std::move(letters)));
    });
  }
};

Result<SplitBehavior> read_behavior(const Json& part, std::string_view place) {
  const Json& value = member_or_null(part, "behavior");
  if (value.is_null() && place == "pre_tokenizer Punctuation") return SplitBehavior::kIsolated;
  COLONNADE_ASSIGN(const std::string name, string_member(part, "behavior", place));
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return wrong_field(std::string(place) + ".behavior",
                     "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous", value);
}

Status append_byte_level(const Json& part, PreTokenizerSteps& steps) {
  COLONNADE_ASSIGN(const bool prefix, bool_member(part, "add_prefix_space", "pre_tokenizer ByteLevel", true));
  COLONNADE_ASSIGN(const bool use_regex, bool_member(part, "use_regex", "pre_tokenizer ByteLevel", true));
  if (prefix) steps.push_back(std::make_unique<SpaceBefore>());
  if (use_regex) {
    COLONNADE_ASSIGN(steps.emplace_back(),
                     make_pattern_split(kGpt2Pattern, RegexDialect::kOniguruma, SplitBehavior::kIsolated, false));
  }
  steps.push_back(std::make_unique<ByteLetters>());
  return {};
}

Status append_metaspace(const Json& part, PreTokenizerSteps& steps) {
  const std::string place = "pre_tokenizer Metaspace";
  COLONNADE_ASSIGN(const Metaspace read, read_metaspace(part, place));
  COLONNADE_ASSIGN(const bool split, bool_member(part, "split", place, true));
  steps.push_back(make_metaspace(read.replacement, read.prepend_scheme, split));
  return {};
}

Status append_split(const Json& part, PreTokenizerSteps& steps) {
  const std::string place = "pre_tokenizer Split";
  COLONNADE_ASSIGN(const std::string pattern, pattern_as_regex(part, place));
  COLONNADE_ASSIGN(const SplitBehavior behavior, read_behavior(part, place));
  COLONNADE_ASSIGN(const bool invert, bool_member(part, "invert", place, false));
  auto split = make_pattern_split(pattern, RegexDialect::kOniguruma, behavior, invert);
  if (!split.ok()) return in_tokenizer_json(place, split.error());
  steps.push_back(std::move(split).value());
  return {};
}

Status append_steps(const Json& part, PreTokenizerSteps& steps) {
  COLONNADE_ASSIGN(const std::string type, part_type(part, "pre_tokenizer"));
  if (type == "Sequence") {
    const Json& list = member_or_null(part, "pretokenizers");
    if (!list.is_array()) return wrong_field("pre_tokenizer.pretokenizers", "a list", list);
    for (const Json& one : list) COLONNADE_TRY(append_steps(one, steps));
    return {};
  }
  if (type == "ByteLevel") return append_byte_level(part, steps);
  if (type == "Metaspace") return append_metaspace(part, steps);
  if (type == "Split") return append_split(part, steps);
  if (type == "BertPreTokenizer") {
    steps.push_back(make_character_split(CharacterSplit::kBert));
  } else if (type == "Whitespace") {
    steps.push_back(make_character_split(CharacterSplit::kWhitespace));
  } else if (type == "WhitespaceSplit") {
    steps.push_back(make_character_split(CharacterSplit::kWhitespaceSplit));
  } else if (type == "UnicodeScripts") {
    steps.push_back(make_script_split());
  } else if (type == "Digits") {
    COLONNADE_ASSIGN(const bool each, bool_member(part, "individual_digits", "pre_tokenizer Digits", false));
    steps.push_back(make_character_split(each ? CharacterSplit::kDigits : CharacterSplit::kDigitRuns));
  } else if (type == "Punctuation") {
    COLONNADE_ASSIGN(const SplitBehavior behavior, read_behavior(part, "pre_tokenizer Punctuation"));
    steps.push_back(make_punctuation_split(behavior));
  } else if (type == "CharDelimiterSplit") {
    COLONNADE_ASSIGN(const std::string delimiter, string_member(part, "delimiter", "pre_tokenizer CharDelimiterSplit"));
    COLONNADE_ASSIGN(steps.emplace_back(), make_pattern_split(escape_pattern(delimiter), RegexDialect::kOniguruma,
                                                              SplitBehavior::kRemoved, false));
  } else if (type == "FixedLength") {
    const Json& length = member_or_null(part, "length");
    std::int32_t n_characters = 5;
    if (!length.is_null()) {
      COLONNADE_ASSIGN(n_characters, index_value(length, "pre_tokenizer FixedLength.length"));
      if (n_characters == 0) return wrong_field("pre_tokenizer FixedLength.length", "at least 1", length);
    }
    steps.push_back(make_fixed_length(static_cast<std::size_t>(n_characters)));
  } else {
    return unsupported_part("pre_tokenizer", type,
                            "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, FixedLength, Metaspace, Punctuation, "
                            "Sequence, Split, UnicodeScripts, Whitespace, WhitespaceSplit");
  }
  return {};
}

}  // namespace

Result<PreTokenizerSteps> make_pre_tokenizer(const Json& part, bool& bytes_at_end) {
  PreTokenizerSteps steps;
  if (!part.is_null()) COLONNADE_TRY(append_steps(part, steps));
  const bool letters = !steps.empty() && dynamic_cast<const ByteLetters*>(steps.back().get()) != nullptr;
  bytes_at_end = bytes_at_end && letters;
  if (bytes_at_end) steps.pop_back();
  return steps;
}

}  // namespace colonnade::engine
