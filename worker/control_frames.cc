#include "worker/control_frames.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "engine/base/format_text.h"

namespace colonnade::worker {

void append_frame(const control::Frame& frame, std::vector<std::byte>& out) {
  const std::size_t size = frame.ByteSizeLong();
  COLONNADE_CHECK(size <= std::numeric_limits<std::int32_t>::max(), "a frame that Protobuf cannot write");
  const std::size_t start = out.size();
  out.resize(start + 4 + size);
  for (std::size_t i = 0; i < 4; ++i) out[start + i] = static_cast<std::byte>(size >> (8 * i));
  frame.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(out.data() + start + 4));
}

Result<FrameBytes> next_frame(std::span<const std::byte> bytes, std::size_t limit) {
  if (bytes.size() < 4) return FrameBytes{};
  std::size_t size = 0;
  for (std::size_t i = 0; i < 4; ++i) size |= static_cast<std::size_t>(bytes[i]) << (8 * i);
  if (size > limit) return Error{ErrorCode::kCorrupt, text("a frame of ", size, " bytes, at most ", limit, " are taken")};
  if (bytes.size() < 4 + size) return FrameBytes{};
  return FrameBytes{bytes.subspan(4, size), 4 + size};
}

Status step_from_proto(const control::Step& proto, engine::Step& step) {
  step.clear();
  step.id = proto.id();
  std::size_t n_tokens = 0;
  std::size_t n_pages = 0;
  std::size_t n_edits = 0;
  std::size_t mask_bytes = 0;
  for (const control::StepSequence& sequence : proto.sequences()) {
    n_tokens += static_cast<std::size_t>(sequence.tokens_size());
    n_pages += static_cast<std::size_t>(sequence.pages_size()) + static_cast<std::size_t>(sequence.window_pages_size());
  }
  for (const control::StepRow& row : proto.rows()) {
    n_edits += static_cast<std::size_t>(row.edits_size());
    mask_bytes += row.mask().size();
  }
  constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max();
  if (n_tokens > kMost || n_pages > kMost || n_edits > kMost || mask_bytes > kMost)
    return Error{ErrorCode::kInvalidArgument, text("step ", proto.id(), " has ", n_tokens, " tokens, ", n_pages,
                                                   " pages and ", n_edits, " edits, and masks of ", mask_bytes, " bytes, at most ", kMost,
                                                   " are counted")};
  for (const control::StepSequence& sequence : proto.sequences()) {
    step.sequences.push_back({.first_token = static_cast<std::int32_t>(step.tokens.size()),
                              .n_tokens = sequence.tokens_size(),
                              .first_position = sequence.first_position(),
                              .first_page = static_cast<std::int32_t>(step.pages.size()),
                              .n_pages = sequence.pages_size(),
                              .first_window_page = static_cast<std::int32_t>(step.pages.size()) + sequence.pages_size(),
                              .n_window_pages = sequence.window_pages_size(),
                              .window_start = sequence.window_start()});
    if (!sequence.token_types().empty()) {
      if (sequence.token_types_size() != sequence.tokens_size())
        return Error{ErrorCode::kInvalidArgument, text("step ", proto.id(), " has a sequence of ", sequence.tokens_size(), " tokens and types of ",
                                                       sequence.token_types_size())};
      step.token_types.resize(step.tokens.size());  // those before are of type 0
      step.token_types.insert(step.token_types.end(), sequence.token_types().begin(), sequence.token_types().end());
    }
    step.tokens.insert(step.tokens.end(), sequence.tokens().begin(), sequence.tokens().end());
    step.pages.insert(step.pages.end(), sequence.pages().begin(), sequence.pages().end());
    step.pages.insert(step.pages.end(), sequence.window_pages().begin(), sequence.window_pages().end());
  }
  if (!step.token_types.empty()) step.token_types.resize(step.tokens.size());
  for (const control::StepRow& row : proto.rows()) {
    if (row.token_index() < 0 || static_cast<std::size_t>(row.token_index()) >= n_tokens)
      return Error{ErrorCode::kInvalidArgument, text("step ", proto.id(), " wants logits of its token ",
                                                     row.token_index(), ", but has ", n_tokens, " tokens")};
    step.rows.push_back({.token_index = row.token_index(),
                         .flags = row.flags(),
                         .temperature = row.temperature(),
                         .top_p = row.top_p(),
                         .min_p = row.min_p(),
                         .top_k = row.top_k(),
                         .seed = row.seed(),
                         .position = row.position(),
                         .n_top = row.n_top(),
                         .target = row.target(),
                         .first_edit = static_cast<std::int32_t>(step.edits.size()),
                         .n_edits = row.edits_size(),
                         .first_mask = row.mask().empty() ? -1 : static_cast<std::int32_t>(step.masks.size())});
    if (row.mask().size() % sizeof(std::uint32_t) != 0)
      return Error{ErrorCode::kInvalidArgument, text("step ", proto.id(), " has a mask of ", row.mask().size(), " bytes, expected words of 4")};
    step.masks.resize(step.masks.size() + row.mask().size() / sizeof(std::uint32_t));
    if (!row.mask().empty())
      std::memcpy(step.masks.data() + step.rows.back().first_mask, row.mask().data(), row.mask().size());
    for (const control::LogitEdit& edit : row.edits())
      step.edits.push_back({.token = edit.token(), .add = edit.add(), .repetition = edit.repetition()});
  }
  return {};
}

void result_to_proto(const engine::StepResult& result, control::StepResult& proto) {
  proto.set_id(result.id);
  // All rows with full logits have vocab_size of them.
  const auto full_rows = std::count_if(result.rows.begin(), result.rows.end(),
                                       [](const engine::RowResult& row) { return row.first_logit >= 0; });
  const std::size_t vocab = full_rows > 0 ? result.logits.size() / static_cast<std::size_t>(full_rows) : 0;
  for (const engine::RowResult& row : result.rows) {
    control::RowResult& out = *proto.add_rows();
    out.set_token(row.token);
    out.set_logprob(row.logprob);
    out.set_target_logprob(row.target_logprob);
    for (int i = 0; i < row.n_top; ++i) {
      const engine::TopToken& top = result.top[static_cast<std::size_t>(row.first_top + i)];
      control::TopToken& entry = *out.add_top();
      entry.set_token(top.token);
      entry.set_logprob(top.logprob);
    }
    if (row.first_logit >= 0)
      out.set_logits(result.logits.data() + row.first_logit, vocab * sizeof(float));
  }
}

bool equal_secrets(std::string_view given, std::string_view expected) {
  unsigned difference = given.size() == expected.size() ? 0u : 1u;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char other = expected.empty() ? '\0' : expected[i % expected.size()];
    difference |= static_cast<unsigned>(static_cast<unsigned char>(given[i] ^ other));
  }
  return difference == 0;
}

}  // namespace colonnade::worker
