#include "engine/text/token_decoder.h"

#include <cstdint>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/json_fields.h"
#include "engine/text/normalizer.h"
#include "engine/text/token_model.h"

namespace colonnade::engine {
namespace {

class JoinWithSpaces final : public DecoderStep {
 public:
  std::string push(std::string piece) override {
    if (!first_) piece.insert(piece.begin(), ' ');
    first_ = false;
    return piece;
  }
  std::unique_ptr<DecoderStep> fresh() const override { return std::make_unique<JoinWithSpaces>(); }

 private:
  bool first_ = true;
};

class Replace final : public DecoderStep {
 public:
  Replace(std::string pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  std::string push(std::string piece) override { return replace_all(std::move(piece), pattern_, content_); }
  std::unique_ptr<DecoderStep> fresh() const override { return std::make_unique<Replace>(pattern_, content_); }

 private:
  std::string pattern_;
  std::string content_;
};

class ByteFallback final : public DecoderStep {
 public:
  std::string push(std::string piece) override {
    const int byte = byte_of_token(piece);
    return byte < 0 ? piece : std::string(1, static_cast<char>(byte));
  }
  std::unique_ptr<DecoderStep> fresh() const override { return std::make_unique<ByteFallback>(); }
};

/// Takes up to `start` copies of `content` from the beginning and `stop` from the end: of every piece, or, after Fuse,
/// of the whole text.
class Strip final : public DecoderStep {
 public:
  Strip(std::string content, std::int32_t start, std::int32_t stop, bool whole)
      : content_(std::move(content)), start_(start), stop_(stop), whole_(whole), left_(start) {}

  std::string push(std::string piece) override {
    if (!whole_) left_ = start_;
    std::size_t begin = 0;
    while (left_ > 0 && piece.compare(begin, content_.size(), content_) == 0) {
      begin += content_.size();
      --left_;
    }
    if (begin < piece.size()) left_ = 0;
    std::size_t end = piece.size();
    for (std::int32_t i = 0; i < stop_ && end - begin >= content_.size(); ++i) {
      if (piece.compare(end - content_.size(), content_.size(), content_) != 0) break;
      end -= content_.size();
    }
    return piece.substr(begin, end - begin);
  }
  std::unique_ptr<DecoderStep> fresh() const override {
    return std::make_unique<Strip>(content_, start_, stop_, whole_);
  }

 private:
  std::string content_;
  std::int32_t start_;
  std::int32_t stop_;
  bool whole_;
  std::int32_t left_;  // copies that may still be taken from the beginning
};

Result<std::unique_ptr<DecoderStep>> make_strip(const Json& part, bool fused) {
  COLONNADE_ASSIGN(std::string content, string_member(part, "content", "decoder Strip"));
  if (content.empty()) return wrong_field("decoder Strip.content", "one character", part["content"]);
  COLONNADE_ASSIGN(const std::int32_t start, index_value(member_or_null(part, "start"), "decoder Strip.start"));
  COLONNADE_ASSIGN(const std::int32_t stop, index_value(member_or_null(part, "stop"), "decoder Strip.stop"));
  // The end of a growing text is never known, so text could not be given out as it comes.
  if (fused && stop > 0) return unsupported_part("decoder", text("Strip with stop ", stop, " after Fuse"), "stop 0");
  return std::unique_ptr<DecoderStep>(std::make_unique<Strip>(std::move(content), start, stop, fused));
}

/// `fused`: a Fuse came before, so steps see one text instead of pieces.
Status append_steps(const Json& part, DecoderSteps& steps, bool& fused) {
  COLONNADE_ASSIGN(const std::string type, part_type(part, "decoder"));
  if (type == "Sequence") {
    const Json& list = member_or_null(part, "decoders");
    if (!list.is_array()) return wrong_field("decoder.decoders", "a list", list);
    for (const Json& one : list) COLONNADE_TRY(append_steps(one, steps, fused));
  } else if (type == "Fuse") {
    fused = true;
  } else if (type == "Replace" && !fused) {
    COLONNADE_ASSIGN(std::string pattern, string_pattern(part, "decoder Replace"));
    COLONNADE_ASSIGN(std::string content, string_member(part, "content", "decoder Replace"));
    steps.push_back(std::make_unique<Replace>(std::move(pattern), std::move(content)));
  } else if (type == "ByteFallback" && !fused) {
    steps.push_back(std::make_unique<ByteFallback>());
  } else if (type == "Strip") {
    COLONNADE_ASSIGN(steps.emplace_back(), make_strip(part, fused));
  } else {
    return unsupported_part("decoder", type + (fused ? " after Fuse" : ""),
                            "Sequence, Replace, ByteFallback, Fuse, Strip");
  }
  return {};
}

}  // namespace

Result<DecoderSteps> make_decoder(const Json& part) {
  DecoderSteps steps;
  if (part.is_null()) {
    steps.push_back(std::make_unique<JoinWithSpaces>());
    return steps;
  }
  bool fused = false;
  COLONNADE_TRY(append_steps(part, steps, fused));
  return steps;
}

}  // namespace colonnade::engine
