// Steps of decoders that work on the whole text: they keep back what tokens to come may change, and no more.
#include <algorithm>
#include <utility>

#include "engine/text/tokenizer/token_decoder.h"

namespace colonnade::engine {
namespace {

class WholeReplace final : public DecoderStep {
 public:
  WholeReplace(std::string pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}

  std::string push(std::string piece) override {
    kept_ += piece;
    std::string out;
    std::size_t done = 0;
    for (std::size_t at = kept_.find(pattern_); at != std::string::npos; at = kept_.find(pattern_, done)) {
      out.append(kept_, done, at - done).append(content_);
      done = at + pattern_.size();
    }
    // The longest end that may become the pattern.
    std::size_t size = std::min(kept_.size() - done, pattern_.size() - 1);
    while (size > 0 && kept_.compare(kept_.size() - size, size, pattern_, 0, size) != 0) --size;
    out.append(kept_, done, kept_.size() - size - done);
    kept_.erase(0, kept_.size() - size);
    return out;
  }
  std::string finish() override { return std::exchange(kept_, {}); }
  std::unique_ptr<DecoderStep> fresh() const override { return std::make_unique<WholeReplace>(pattern_, content_); }

 private:
  std::string pattern_;
  std::string content_;
  std::string kept_;  // shorter than the pattern
};

/// Takes up to `start` copies of a character from the beginning of the text and `stop` from its end.
class WholeStrip final : public DecoderStep {
 public:
  WholeStrip(std::string character, std::size_t start, std::size_t stop)
      : character_(std::move(character)), start_(start), stop_(stop), left_(start) {}

  std::string push(std::string piece) override {
    std::size_t begin = 0;
    while (left_ > 0 && piece.compare(begin, character_.size(), character_) == 0) {
      begin += character_.size();
      --left_;
    }
    if (begin < piece.size()) left_ = 0;
    piece.erase(0, begin);
    if (stop_ == 0 || piece.empty()) return piece;
    piece.insert(0, std::exchange(kept_, {}));
    std::size_t end = piece.size();
    for (std::size_t i = 0; i < stop_ && end >= character_.size(); ++i) {
      if (piece.compare(end - character_.size(), character_.size(), character_) != 0) break;
      end -= character_.size();
    }
    kept_ = piece.substr(end);
    piece.resize(end);
    return piece;
  }
  // What is kept back at the end is what is to be taken away.
  std::unique_ptr<DecoderStep> fresh() const override {
    return std::make_unique<WholeStrip>(character_, start_, stop_);
  }

 private:
  std::string character_;
  std::size_t start_;
  std::size_t stop_;
  std::size_t left_;  // copies that may still be taken from the beginning
  std::string kept_;
};

/// The suffix of a word's last symbol is a space, except in the last token of all.
class BpeSuffix final : public DecoderStep {
 public:
  explicit BpeSuffix(std::string suffix) : suffix_(std::move(suffix)) {}

  std::string push(std::string piece) override {
    std::string out = rest(" ");
    const std::size_t at = piece.find(suffix_);
    kept_ = at == std::string::npos ? "" : piece.substr(at);
    return out.append(piece, 0, at);
  }
  std::string finish() override { return rest(""); }
  std::unique_ptr<DecoderStep> fresh() const override { return std::make_unique<BpeSuffix>(suffix_); }

 private:
  std::string rest(std::string_view replacement) {
    std::string out;
    std::size_t done = 0;
    for (std::size_t at = kept_.find(suffix_); at != std::string::npos; at = kept_.find(suffix_, done)) {
      out.append(kept_, done, at - done).append(replacement);
      done = at + suffix_.size();
    }
    out.append(kept_, done);
    kept_.clear();
    return out;
  }
  std::string suffix_;
  std::string kept_;  // of the last token, from the suffix on
};

}  // namespace

std::unique_ptr<DecoderStep> make_whole_replace_decoder(std::string pattern, std::string content) {
  return std::make_unique<WholeReplace>(std::move(pattern), std::move(content));
}
std::unique_ptr<DecoderStep> make_whole_strip_decoder(std::string character, std::size_t start, std::size_t stop) {
  return std::make_unique<WholeStrip>(std::move(character), start, stop);
}
std::unique_ptr<DecoderStep> make_bpe_decoder(std::string suffix) { return std::make_unique<BpeSuffix>(std::move(suffix)); }

}  // namespace colonnade::engine
