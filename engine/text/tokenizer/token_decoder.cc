// The "decoder" of a tokenizer.json.
#include "engine/text/tokenizer/token_decoder.h"

#include <cstdint>
#include <utility>

#include "engine/text/tokenizer/json_fields.h"
#include "engine/text/tokenizer/normalizer.h"
#include "engine/text/utf8.h"

namespace colonnade::engine {
namespace {

Status append_strip(const Json& part, bool fused, DecoderSteps& steps) {
  COLONNADE_ASSIGN(std::string content, string_member(part, "content", "decoder Strip"));
  if (content.empty() || read_utf8(content).size != content.size()) {
    return wrong_field("decoder Strip.content", "one character", part["content"]);
  }
  COLONNADE_ASSIGN(const std::int32_t start, index_value(member_or_null(part, "start"), "decoder Strip.start"));
  COLONNADE_ASSIGN(const std::int32_t stop, index_value(member_or_null(part, "stop"), "decoder Strip.stop"));
  const auto make = fused ? make_whole_strip_decoder : make_strip_decoder;
  steps.push_back(make(std::move(content), static_cast<std::size_t>(start), static_cast<std::size_t>(stop)));
  return {};
}

Status append_replace(const Json& part, bool fused, DecoderSteps& steps) {
  const std::string place = "decoder Replace";
  COLONNADE_ASSIGN(FilePattern pattern, file_pattern(part, place));
  COLONNADE_ASSIGN(std::string content, string_member(part, "content", place));
  if (content.size() > kMostReplacementBytes) {
    return unsupported_part(place, "content of " + std::to_string(content.size()) + " bytes",
                            std::to_string(kMostReplacementBytes));
  }
  if (!pattern.is_regex) {
    const auto make = fused ? make_whole_replace_decoder : make_replace_decoder;
    steps.push_back(make(std::move(pattern.content), std::move(content)));
    return {};
  }
  // Text that a pattern might still match could never be given out.
  if (fused) return unsupported_part("decoder", "Replace with a Regex after Fuse", "a String");
  auto regex = Regex::compile(pattern.content, RegexDialect::kOniguruma);
  if (!regex.ok()) return in_tokenizer_json(place, regex.error());
  steps.push_back(make_regex_replace_decoder(std::move(regex).value(), std::move(content)));
  return {};
}

/// A string that may be missing.
Result<std::string> string_or(const Json& part, std::string_view name, std::string_view place, std::string fallback) {
  if (member_or_null(part, name).is_null()) return fallback;
  return string_member(part, name, place);
}

/// Kinds that work on the pieces of single tokens.
Status append_of_tokens(const std::string& type, const Json& part, DecoderSteps& steps) {
  const std::string place = "decoder " + type;
  if (type == "ByteFallback") {
    steps.push_back(make_byte_fallback_decoder());
  } else if (type == "Metaspace") {
    COLONNADE_ASSIGN(Metaspace read, read_metaspace(part, place));
    steps.push_back(make_metaspace_decoder(std::move(read.replacement), read.prepend_scheme != "never"));
  } else if (type == "WordPiece") {
    COLONNADE_ASSIGN(std::string prefix, string_or(part, "prefix", place, "##"));
    COLONNADE_ASSIGN(const bool cleanup, bool_member(part, "cleanup", place, true));
    steps.push_back(make_word_piece_decoder(std::move(prefix), cleanup));
  } else if (type == "BPEDecoder") {
    COLONNADE_ASSIGN(std::string suffix, string_or(part, "suffix", place, "</w>"));
    if (suffix.empty()) return wrong_field("decoder BPEDecoder.suffix", "at least one character", part["suffix"]);
    steps.push_back(make_bpe_decoder(std::move(suffix)));
  } else if (type == "CTC") {
    CtcOptions options;
    COLONNADE_ASSIGN(options.pad, string_or(part, "pad_token", place, "<pad>"));
    COLONNADE_ASSIGN(options.word_delimiter, string_or(part, "word_delimiter_token", place, "|"));
    COLONNADE_ASSIGN(options.cleanup, bool_member(part, "cleanup", place, true));
    steps.push_back(make_ctc_decoder(std::move(options)));
  } else {
    return unsupported_part("decoder", type,
                            "BPEDecoder, ByteFallback, ByteLevel, CTC, Fuse, Metaspace, Replace, Sequence, Strip, WordPiece");
  }
  return {};
}

/// `fused`: a Fuse came before, so steps see one text instead of pieces.
Status append_steps(const Json& part, DecoderSteps& steps, bool& fused) {
  COLONNADE_ASSIGN(const std::string type, part_type(part, "decoder"));
  if (type == "Sequence") {
    const Json& list = member_or_null(part, "decoders");
    if (!list.is_array()) return wrong_field("decoder.decoders", "a list", list);
    for (const Json& one : list) COLONNADE_TRY(append_steps(one, steps, fused));
    return {};
  }
  if (type == "Fuse") {
    fused = true;
    return {};
  }
  if (type == "Strip") return append_strip(part, fused, steps);
  if (type == "Replace") return append_replace(part, fused, steps);
  if (type == "ByteLevel") {
    if (fused) return unsupported_part("decoder", "ByteLevel after Fuse", "ByteLevel before it");
    steps.push_back(make_byte_level_decoder());
    fused = true;  // it joins the tokens, because one alone may be half a character
    return {};
  }
  if (fused) {
    // Such steps look at where tokens begin, and nothing is left of that.
    return unsupported_part("decoder", type + " after Fuse or ByteLevel", "Replace, Strip");
  }
  return append_of_tokens(type, part, steps);
}

}  // namespace

Result<DecoderSteps> make_decoder(const Json& part) {
  DecoderSteps steps;
  if (part.is_null()) {
    steps.push_back(make_join_with_spaces());
    return steps;
  }
  bool fused = false;
  COLONNADE_TRY(append_steps(part, steps, fused));
  return steps;
}

}  // namespace colonnade::engine
