#include "engine/text/tokenizer/added_tokens.h"

#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/tokenizer/json_fields.h"
#include "engine/text/tokenizer/unicode.h"

namespace colonnade::engine {
namespace {

bool is_at(std::string_view text, std::size_t at, CharSet set) {
  return at < text.size() && CharSets::get().is(next_character(text, at), set);
}
bool is_before(std::string_view text, std::size_t at, CharSet set) {
  return at > 0 && CharSets::get().is(previous_character(text, at), set);
}

std::size_t previous_begin(std::string_view text, std::size_t at) {
  do --at;
  while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

}  // namespace

Result<std::vector<AddedToken>> read_added_tokens(const Json& list) {
  std::vector<AddedToken> tokens;
  if (list.is_null()) return tokens;
  if (!list.is_array()) return wrong_field("added_tokens", "a list", list);
  for (const Json& one : list) {
    const std::string place = text("added_tokens[", tokens.size(), "]");
    AddedToken token;
    COLONNADE_ASSIGN(token.id, index_value(member_or_null(one, "id"), place + ".id"));
    COLONNADE_ASSIGN(token.content, string_member(one, "content", place));
    COLONNADE_ASSIGN(token.special, bool_member(one, "special", place, false));
    COLONNADE_ASSIGN(token.normalized, bool_member(one, "normalized", place, !token.special));
    COLONNADE_ASSIGN(token.single_word, bool_member(one, "single_word", place, false));
    COLONNADE_ASSIGN(token.lstrip, bool_member(one, "lstrip", place, false));
    COLONNADE_ASSIGN(token.rstrip, bool_member(one, "rstrip", place, false));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

AddedTokenFinder::AddedTokenFinder(const std::vector<AddedToken>& tokens) : tokens_(tokens) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    if (!tokens_[i].content.empty()) trie_.insert(tokens_[i].content, static_cast<std::int32_t>(i));
  }
}

std::vector<TextPart> AddedTokenFinder::split(std::string_view text, bool recognise_special,
                                              std::span<const ByteRange> plain) const {
  std::vector<TextPart> parts;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size() && !trie_.empty();) {
    const PrefixTrie::Found found =
        trie_.may_begin(text[at]) ? trie_.longest_prefix(text.substr(at)) : PrefixTrie::Found{};
    if (found.size == 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(found.value)];
    std::size_t begin = at;
    std::size_t end = at + found.size;
    at = end;  // one that does not count hides what begins within it
    if (token.special && (!recognise_special || overlaps(plain, begin, end))) continue;
    if (token.single_word && (is_before(text, begin, kWord) || is_at(text, end, kWord))) continue;
    while (token.lstrip && begin > done && is_before(text, begin, kWhiteSpace)) begin = previous_begin(text, begin);
    while (token.rstrip && is_at(text, end, kWhiteSpace)) next_character(text, end);
    if (begin > done) parts.push_back({text.substr(done, begin - done), nullptr});
    parts.push_back({text.substr(begin, end - begin), &token});
    done = at = end;
  }
  if (done < text.size()) parts.push_back({text.substr(done), nullptr});
  return parts;
}

}  // namespace colonnade::engine
