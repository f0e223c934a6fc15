// Splitting at a pattern, as a hand-written scanner where there is one.
#include <optional>
#include <utility>
#include <vector>

#include "engine/text/tokenizer/pre_tokenizer.h"
#include "engine/text/tokenizer/scanner.h"
#include "engine/text/tokenizer/unicode.h"

namespace colonnade::engine {
namespace {

class ScannerSplit final : public PreTokenizer {
 public:
  explicit ScannerSplit(Scanner scanner) : scanner_(scanner) {}

  void apply(Pieces& pieces) const override {
    pieces.cut_each([&](const Piece& piece, auto add) {
      const std::string_view text = piece.text;
      std::size_t done = 0;
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = scanner_(text, at);
        if (end == at) {
          next_character(text, at);
          continue;
        }
        add(text.substr(done, at - done));  // what no match covers stays together
        add(text.substr(at, end - at));
        at = done = end;
      }
      add(text.substr(done));
    });
  }

 private:
  Scanner scanner_;
};

class RegexSplit final : public PreTokenizer {
 public:
  RegexSplit(Regex regex, SplitBehavior behavior, bool invert)
      : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}

  void apply(Pieces& pieces) const override {
    std::vector<RegexMatch> matches;
    std::vector<Segment> segments;
    pieces.cut_each([&](const Piece& piece, auto add) {
      matches.clear();
      segments.clear();
      regex_.find_all(piece.text, matches);
      std::size_t done = 0;
      for (const RegexMatch& match : matches) {
        if (match.begin > done) segments.push_back({piece.text.substr(done, match.begin - done), invert_});
        segments.push_back({piece.text.substr(match.begin, match.end - match.begin), !invert_});
        done = match.end;
      }
      if (done < piece.text.size()) segments.push_back({piece.text.substr(done), invert_});
      add_segments(segments, behavior_, add);
    });
  }

 private:
  Regex regex_;
  SplitBehavior behavior_;
  bool invert_;
};

}  // namespace

Result<std::unique_ptr<PreTokenizer>> make_pattern_split(std::string_view pattern, RegexDialect dialect,
                                                         SplitBehavior behavior, bool invert) {
  // Isolated pieces are the same whichever of them are called matches. All scanners but DeepSeek's match every
  // character, so that removing what is not matched changes nothing either.
  if (const Scanner scanner = find_scanner(pattern)) {
    const bool covers = pattern != kDeepseekPattern && behavior == SplitBehavior::kRemoved && invert;
    if (behavior == SplitBehavior::kIsolated || covers) {
      return std::unique_ptr<PreTokenizer>(std::make_unique<ScannerSplit>(scanner));
    }
  }
  COLONNADE_ASSIGN(Regex regex, Regex::compile(pattern, dialect));
  return std::unique_ptr<PreTokenizer>(std::make_unique<RegexSplit>(std::move(regex), behavior, invert));
}

}  // namespace colonnade::engine
