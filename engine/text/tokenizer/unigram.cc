// Unigram: the split of a word whose scores add up to the most, found in one pass (Viterbi).
#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/tokenizer/prefix_trie.h"
#include "engine/text/tokenizer/token_model.h"
#include "engine/text/utf8.h"

namespace colonnade::engine {
namespace {

constexpr double kUnknownPenalty = 10;

// What may stand instead of an id.
constexpr std::int32_t kNoStep = -2;  // no way leads here
constexpr std::int32_t kUnknownStep = -1;

/// The best way to a place in the word.
template <typename Sum>
struct Step {
  Sum score = 0;
  std::uint32_t from = 0;
  std::int32_t id = kNoStep;
};

class Unigram final : public TokenModel {
 public:
  Unigram(UnigramTables tables, PrefixTrie trie) : tables_(std::move(tables)), trie_(std::move(trie)) {
    for (const UnigramPiece& piece : tables_.pieces) {
      scores_.push_back(piece.score);
      forced_.push_back(piece.user_defined);
      if (piece.user_defined || piece.content.empty()) continue;
      min_score_ = std::min(min_score_, piece.score);
      max_score_ = std::max(max_score_, piece.score);
    }
  }

  void tokenize(std::string_view word, std::vector<std::int32_t>& ids) const override {
    // Offsets have 32 bits; no request comes near.
    if (word.size() >= std::numeric_limits<std::uint32_t>::max()) return;
    if (tables_.single_precision) best_split<float>(word, ids);
    else best_split<double>(word, ids);
  }

 private:
  template <typename Sum>
  void best_split(std::string_view word, std::vector<std::int32_t>& ids) const {
    thread_local std::vector<Step<Sum>> steps;  // by place in the word
    steps.assign(word.size() + 1, {});
    const Sum unknown_score = static_cast<Sum>(min_score_) - static_cast<Sum>(kUnknownPenalty);
    for (std::size_t at = 0; at < word.size();) {
      const Utf8Head head = read_utf8(word.substr(at));
      const std::size_t one = head.kind == Utf8Head::kCharacter ? head.size : 1;
      const Sum here = steps[at].score;
      const auto offer = [&](std::size_t size, double sum, std::int32_t id) {
        Step<Sum>& step = steps[at + size];
        if (step.id == kNoStep || sum > static_cast<double>(step.score)) {
          step = {static_cast<Sum>(sum), static_cast<std::uint32_t>(at), id};
        }
      };
      bool has_single = false;
      trie_.for_each_prefix(word.substr(at), [&](std::size_t size, std::int32_t id) {
        const auto index = static_cast<std::size_t>(id);
        const double score = forced_[index] ? static_cast<double>(size) * max_score_ - 0.1 : scores_[index];
        offer(size, score + static_cast<double>(here), id);
        has_single = has_single || size == one;
      });
      if (!has_single) offer(one, static_cast<double>(unknown_score + here), kUnknownStep);
      at += one;
    }
    add_path(word, steps, ids);
    if (steps.capacity() > (1 << 16)) steps = {};
  }

  bool is_unknown(std::int32_t id) const { return id == kUnknownStep || (tables_.unknown && id == *tables_.unknown); }

  /// Reads the path from its end; unknown characters in a row are one piece.
  template <typename Sum>
  void add_path(std::string_view word, const std::vector<Step<Sum>>& steps, std::vector<std::int32_t>& ids) const {
    const std::size_t n_before = ids.size();
    for (std::size_t end = word.size(); end > 0;) {
      std::size_t begin = steps[end].from;
      if (!is_unknown(steps[end].id)) {
        ids.push_back(steps[end].id);
      } else {
        while (begin > 0 && is_unknown(steps[begin].id)) begin = steps[begin].from;
        add_unknown(word.substr(begin, end - begin), ids);
      }
      end = begin;
    }
    std::reverse(ids.begin() + static_cast<std::ptrdiff_t>(n_before), ids.end());
  }

  /// Last byte first.
  void add_unknown(std::string_view run, std::vector<std::int32_t>& ids) const {
    const auto byte_id = [&](char byte) { return tables_.byte_ids[static_cast<unsigned char>(byte)]; };
    const bool spelled = tables_.unknown && run == tables_.pieces[static_cast<std::size_t>(*tables_.unknown)].content;
    if (!spelled && std::all_of(run.begin(), run.end(), [&](char byte) { return byte_id(byte) >= 0; })) {
      for (std::size_t i = run.size(); i-- > 0;) ids.push_back(byte_id(run[i]));
    } else if (tables_.unknown) {
      ids.push_back(*tables_.unknown);
    }
  }

  UnigramTables tables_;
  PrefixTrie trie_;
  std::vector<double> scores_;
  std::vector<std::uint8_t> forced_;
  double min_score_ = std::numeric_limits<float>::max();
  double max_score_ = std::numeric_limits<float>::lowest();
};

}  // namespace

Status check_token_size(std::string_view content) {
  if (content.size() <= kMostTokenBytes) return {};
  return Error{ErrorCode::kUnsupported, text("a token may have ", kMostTokenBytes, " bytes, found ", content.size())};
}

Error too_large_vocabulary() {
  return {ErrorCode::kExhausted, "the tokens of a vocabulary must have less than 2^24 different beginnings"};
}

std::array<std::int32_t, 256> UnigramTables::no_byte_ids() {
  std::array<std::int32_t, 256> ids;
  ids.fill(-1);
  return ids;
}

Result<std::unique_ptr<TokenModel>> make_unigram(UnigramTables tables) {
  PrefixTrie trie;
  // Of pieces with the same content the last one counts.
  for (std::size_t id = tables.pieces.size(); id-- > 0;) {
    const std::string& content = tables.pieces[id].content;
    COLONNADE_TRY(check_token_size(content));
    if (!content.empty() && !trie.insert(content, static_cast<std::int32_t>(id))) return too_large_vocabulary();
  }
  return std::unique_ptr<TokenModel>(std::make_unique<Unigram>(std::move(tables), std::move(trie)));
}

}  // namespace colonnade::engine
