#include "engine/text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/json_fields.h"

namespace colonnade::engine {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Letters beyond ASCII count as part of a word, too: every byte of theirs has its high bit set.
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
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

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.content.size() > b.content.size(); });
  for (const AddedToken& token : tokens_) {
    if (!token.content.empty()) by_first_byte_[static_cast<unsigned char>(token.content[0])].push_back(&token);
  }
}

const AddedToken* AddedTokenFinder::at(std::string_view text, std::size_t position, bool recognise_special) const {
  for (const AddedToken* token : by_first_byte_[static_cast<unsigned char>(text[position])]) {
    if (token->special && !recognise_special) continue;
    if (text.substr(position, token->content.size()) != token->content) continue;
    if (token->single_word) {
      const std::size_t end = position + token->content.size();
      if ((position > 0 && is_word(text[position - 1])) || (end < text.size() && is_word(text[end]))) continue;
    }
    return token;
  }
  return nullptr;
}

std::vector<TextPart> AddedTokenFinder::split(std::string_view text, bool recognise_special) const {
  std::vector<TextPart> parts;
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size();) {
    const AddedToken* token = at(text, i, recognise_special);
    if (token == nullptr) {
      ++i;
      continue;
    }
    std::size_t begin = i;
    std::size_t end = i + token->content.size();
    while (token->lstrip && begin > done && is_space(text[begin - 1])) --begin;
    while (token->rstrip && end < text.size() && is_space(text[end])) ++end;
    if (begin > done) parts.push_back({text.substr(done, begin - done), nullptr});
    parts.push_back({text.substr(i, token->content.size()), token});
    i = done = end;
  }
  if (done < text.size()) parts.push_back({text.substr(done), nullptr});
  return parts;
}

}  // namespace colonnade::engine
