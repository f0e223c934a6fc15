#include "engine/model/step.h"

#include <cstring>
#include <type_traits>

#include "engine/base/format_text.h"

namespace colonnade::engine {
namespace {

/// Appends a count and the elements.
template <typename T>
void put(const std::vector<T>& values, std::vector<std::byte>& out) {
  static_assert(std::is_trivially_copyable_v<T>);
  const std::uint64_t count = values.size();
  const std::size_t at = out.size();
  out.resize(at + sizeof count + count * sizeof(T));
  std::memcpy(out.data() + at, &count, sizeof count);
  if (count != 0) std::memcpy(out.data() + at + sizeof count, values.data(), count * sizeof(T));
}

template <typename T>
Status take(std::span<const std::byte>& bytes, const char* what, std::vector<T>& values) {
  std::uint64_t count = 0;
  if (bytes.size() < sizeof count)
    return Error{ErrorCode::kCorrupt, text("step message: ends before the count of ", what)};
  std::memcpy(&count, bytes.data(), sizeof count);
  bytes = bytes.subspan(sizeof count);
  if (count > bytes.size() / sizeof(T))
    return Error{ErrorCode::kCorrupt, text("step message: ", count, " ", what, " announced, room for ",
                                           bytes.size() / sizeof(T))};
  values.resize(count);
  if (count != 0) std::memcpy(values.data(), bytes.data(), count * sizeof(T));
  bytes = bytes.subspan(count * sizeof(T));
  return {};
}

/// first and count describe a part of `size` elements.
Status in_range(const char* what, std::int64_t first, std::int64_t count, std::size_t size) {
  if (first >= 0 && count >= 0 && first + count <= static_cast<std::int64_t>(size)) return {};
  return Error{ErrorCode::kCorrupt,
               text("step message: ", what, " ", first, " + ", count, " is outside of ", size)};
}

Status nothing_left(std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  return Error{ErrorCode::kCorrupt, text("step message: ", bytes.size(), " bytes too long")};
}

}  // namespace

void Step::clear() {
  id = 0;
  tokens.clear();
  token_types.clear();
  sequences.clear();
  pages.clear();
  rows.clear();
  edits.clear();
  masks.clear();
}

void StepResult::clear() {
  id = 0;
  rows.clear();
  top.clear();
  logits.clear();
}

void write_step(const Step& step, std::vector<std::byte>& out) {
  out.resize(sizeof step.id);
  std::memcpy(out.data(), &step.id, sizeof step.id);
  put(step.tokens, out);
  put(step.sequences, out);
  put(step.pages, out);
  put(step.rows, out);
  put(step.edits, out);
  put(step.masks, out);
  put(step.token_types, out);
}

Status read_step(std::span<const std::byte> bytes, Step& out) {
  if (bytes.size() < sizeof out.id) return Error{ErrorCode::kCorrupt, "step message: shorter than its id"};
  std::memcpy(&out.id, bytes.data(), sizeof out.id);
  bytes = bytes.subspan(sizeof out.id);
  COLONNADE_TRY(take(bytes, "tokens", out.tokens));
  COLONNADE_TRY(take(bytes, "sequences", out.sequences));
  COLONNADE_TRY(take(bytes, "pages", out.pages));
  COLONNADE_TRY(take(bytes, "rows", out.rows));
  COLONNADE_TRY(take(bytes, "edits", out.edits));
  COLONNADE_TRY(take(bytes, "words of masks", out.masks));
  COLONNADE_TRY(take(bytes, "types of tokens", out.token_types));
  COLONNADE_TRY(nothing_left(bytes));
  for (const StepSequence& sequence : out.sequences) {
    COLONNADE_TRY(in_range("tokens of a sequence", sequence.first_token, sequence.n_tokens, out.tokens.size()));
    COLONNADE_TRY(in_range("pages of a sequence", sequence.first_page, sequence.n_pages, out.pages.size()));
    COLONNADE_TRY(in_range("window pages of a sequence", sequence.first_window_page, sequence.n_window_pages, out.pages.size()));
  }
  for (const StepRow& row : out.rows) {
    COLONNADE_TRY(in_range("token of a row", row.token_index, 1, out.tokens.size()));
    COLONNADE_TRY(in_range("edits of a row", row.first_edit, row.n_edits, out.edits.size()));
    // How long a mask is depends on the model: check_step() looks at that.
    if (row.first_mask >= 0) COLONNADE_TRY(in_range("mask of a row", row.first_mask, 1, out.masks.size()));
  }
  return {};
}

void write_result(const StepResult& result, std::vector<std::byte>& out) {
  out.resize(sizeof result.id);
  std::memcpy(out.data(), &result.id, sizeof result.id);
  put(result.rows, out);
  put(result.top, out);
  put(result.logits, out);
}

Status read_result(std::span<const std::byte> bytes, StepResult& out) {
  if (bytes.size() < sizeof out.id) return Error{ErrorCode::kCorrupt, "step message: shorter than its id"};
  std::memcpy(&out.id, bytes.data(), sizeof out.id);
  bytes = bytes.subspan(sizeof out.id);
  COLONNADE_TRY(take(bytes, "rows", out.rows));
  COLONNADE_TRY(take(bytes, "most likely tokens", out.top));
  COLONNADE_TRY(take(bytes, "logits", out.logits));
  COLONNADE_TRY(nothing_left(bytes));
  std::size_t n_full = 0;  // rows with logits, all with as many
  for (const RowResult& row : out.rows) n_full += row.first_logit >= 0 ? 1 : 0;
  const std::size_t n_logits = n_full > 0 ? out.logits.size() / n_full : 0;
  for (const RowResult& row : out.rows) {
    COLONNADE_TRY(in_range("most likely tokens of a row", row.first_top, row.n_top, out.top.size()));
    if (row.first_logit >= 0)
      COLONNADE_TRY(in_range("logits of a row", row.first_logit, static_cast<std::int64_t>(n_logits), out.logits.size()));
  }
  return {};
}

}  // namespace colonnade::engine
