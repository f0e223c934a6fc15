// Metaspace: spaces become a visible character ("▁"), one may be put in front, and words begin with it.
#include <utility>

#include "engine/text/tokenizer/pre_tokenizer.h"

namespace colonnade::engine {
namespace {

class MetaspaceSplit final : public PreTokenizer {
 public:
  MetaspaceSplit(std::string replacement, std::string_view prepend_scheme, bool split)
      : replacement_(std::move(replacement)),
        always_(prepend_scheme == "always"),
        first_(prepend_scheme == "first"),
        split_(split) {}

  void apply(Pieces& pieces) const override {
    pieces.cut_each([&](const Piece& piece, auto add) {
      std::string changed;
      changed.reserve(piece.text.size() + piece.text.size() / 2 + replacement_.size());
      const bool starts = piece.text.starts_with(replacement_) || piece.text.starts_with(' ');
      if (!starts && (always_ || (first_ && piece.at_start))) changed = replacement_;
      for (const char c : piece.text) {
        if (c == ' ') changed += replacement_;
        else changed += c;
      }
      const std::string_view text = pieces.keep(std::move(changed));
      if (!split_) return add(text);
      std::size_t begin = 0;
      for (std::size_t at = text.find(replacement_); at != text.npos; at = text.find(replacement_, at + replacement_.size())) {
        if (at > begin) add(text.substr(begin, at - begin));
        begin = at;
      }
      add(text.substr(begin));
    });
  }

 private:
  std::string replacement_;
  bool always_;
  bool first_;
  bool split_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_metaspace(std::string replacement, std::string_view prepend_scheme, bool split) {
  return std::make_unique<MetaspaceSplit>(std::move(replacement), prepend_scheme, split);
}

}  // namespace colonnade::engine
