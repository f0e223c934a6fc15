// The steps of decoders that change the pieces of single tokens.
#include <utility>

#include "engine/text/tokenizer/byte_alphabet.h"
#include "engine/text/tokenizer/normalizer.h"
#include "engine/text/tokenizer/token_decoder.h"
#include "engine/text/tokenizer/token_model.h"

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

class ByteLevel final : public DecoderStep {
 public:
  std::string push(std::string piece) override {
    auto bytes = bytes_of_letters(piece);
    return bytes ? std::move(*bytes) : piece;  // an added token may have other letters
  }
  bool reads_byte_letters() const override { return true; }
  std::unique_ptr<DecoderStep> fresh() const override { return std::make_unique<ByteLevel>(); }
};

class ByteFallback final : public DecoderStep {
 public:
  std::string push(std::string piece) override {
    const int byte = byte_of_token(piece);
    return byte < 0 ? piece : std::string(1, static_cast<char>(byte));
  }
  std::unique_ptr<DecoderStep> fresh() const override { return std::make_unique<ByteFallback>(); }
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

class RegexReplace final : public DecoderStep {
 public:
  RegexReplace(std::shared_ptr<const Regex> regex, std::string content)
      : regex_(std::move(regex)), content_(std::move(content)) {}
  std::string push(std::string piece) override {
    std::vector<RegexMatch> matches;
    regex_->find_all(piece, matches);
    std::string out;
    std::size_t done = 0;
    for (const RegexMatch& match : matches) {
      out.append(piece, done, match.begin - done).append(content_);
      done = match.end;
    }
    return out.append(piece, done);
  }
  std::unique_ptr<DecoderStep> fresh() const override { return std::make_unique<RegexReplace>(regex_, content_); }

 private:
  std::shared_ptr<const Regex> regex_;
  std::string content_;
};

class Strip final : public DecoderStep {
 public:
  Strip(std::string character, std::size_t start, std::size_t stop)
      : character_(std::move(character)), start_(start), stop_(stop) {}
  std::string push(std::string piece) override {
    std::string_view rest = piece;
    for (std::size_t i = 0; i < start_ && rest.starts_with(character_); ++i) rest.remove_prefix(character_.size());
    for (std::size_t i = 0; i < stop_ && rest.ends_with(character_); ++i) rest.remove_suffix(character_.size());
    return std::string(rest);
  }
  std::unique_ptr<DecoderStep> fresh() const override { return std::make_unique<Strip>(character_, start_, stop_); }

 private:
  std::string character_;
  std::size_t start_;
  std::size_t stop_;
};

/// In the first token the character is left out, in all others it is a space.
class Metaspace final : public DecoderStep {
 public:
  Metaspace(std::string replacement, bool drops_first)
      : replacement_(std::move(replacement)), drops_first_(drops_first) {}
  std::string push(std::string piece) override {
    const bool drops = first_ && drops_first_;
    first_ = false;
    return replace_all(std::move(piece), replacement_, drops ? "" : " ");
  }
  std::unique_ptr<DecoderStep> fresh() const override { return std::make_unique<Metaspace>(replacement_, drops_first_); }

 private:
  std::string replacement_;
  bool drops_first_;
  bool first_ = true;
};

/// What the tokenizers library does about the spaces of English that splitting into words has put there.
std::string cleaned_up(std::string piece) {
  static const std::pair<std::string, std::string> kReplacements[] = {
      {" .", "."},     {" ?", "?"},     {" !", "!"},           {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"},   {" do not", " don't"}, {" 's", "'s"},   {" 've", "'ve"}, {" 're", "'re"}};
  if (piece.find(' ') == std::string::npos) return piece;
  for (const auto& [pattern, content] : kReplacements) piece = replace_all(std::move(piece), pattern, content);
  return piece;
}

class WordPiece final : public DecoderStep {
 public:
  WordPiece(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  std::string push(std::string piece) override {
    if (!first_) {
      if (piece.starts_with(prefix_)) piece.erase(0, prefix_.size());
      else piece.insert(piece.begin(), ' ');
    }
    first_ = false;
    return cleanup_ ? cleaned_up(std::move(piece)) : piece;
  }
  std::unique_ptr<DecoderStep> fresh() const override { return std::make_unique<WordPiece>(prefix_, cleanup_); }

 private:
  std::string prefix_;
  bool cleanup_;
  bool first_ = true;
};

/// Repeated tokens count once; the padding token only keeps equal ones apart.
class Ctc final : public DecoderStep {
 public:
  explicit Ctc(CtcOptions options) : options_(std::move(options)) {}
  std::string push(std::string piece) override {
    if (!first_ && piece == last_) return {};
    first_ = false;
    last_ = piece;
    if (!options_.pad.empty()) piece = replace_all(std::move(piece), options_.pad, "");
    if (!options_.cleanup) return piece;
    piece = cleaned_up(std::move(piece));
    return options_.word_delimiter.empty() ? piece : replace_all(std::move(piece), options_.word_delimiter, " ");
  }
  std::unique_ptr<DecoderStep> fresh() const override { return std::make_unique<Ctc>(options_); }

 private:
  CtcOptions options_;
  bool first_ = true;
  std::string last_;
};

}  // namespace

std::unique_ptr<DecoderStep> make_join_with_spaces() { return std::make_unique<JoinWithSpaces>(); }
std::unique_ptr<DecoderStep> make_byte_level_decoder() { return std::make_unique<ByteLevel>(); }
std::unique_ptr<DecoderStep> make_byte_fallback_decoder() { return std::make_unique<ByteFallback>(); }
std::unique_ptr<DecoderStep> make_replace_decoder(std::string pattern, std::string content) {
  return std::make_unique<Replace>(std::move(pattern), std::move(content));
}
std::unique_ptr<DecoderStep> make_regex_replace_decoder(Regex regex, std::string content) {
  return std::make_unique<RegexReplace>(std::make_shared<const Regex>(std::move(regex)), std::move(content));
}
std::unique_ptr<DecoderStep> make_strip_decoder(std::string character, std::size_t start, std::size_t stop) {
  return std::make_unique<Strip>(std::move(character), start, stop);
}
std::unique_ptr<DecoderStep> make_metaspace_decoder(std::string replacement, bool drops_first) {
  return std::make_unique<Metaspace>(std::move(replacement), drops_first);
}
std::unique_ptr<DecoderStep> make_word_piece_decoder(std::string prefix, bool cleanup) {
  return std::make_unique<WordPiece>(std::move(prefix), cleanup);
}
std::unique_ptr<DecoderStep> make_ctc_decoder(CtcOptions options) { return std::make_unique<Ctc>(std::move(options)); }

}  // namespace colonnade::engine
