// A step: one pass of a batch through the model. Small, flat and complete: ranks keep no state of a sequence but
// the KV pages that the step names. Filled by the scheduler, broadcast by rank 0, answered with a StepResult.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::engine {

/// New tokens of one sequence at consecutive positions.
struct StepSequence {
  std::int32_t first_token = 0;     // index into Step::tokens
  std::int32_t n_tokens = 0;
  std::int32_t first_position = 0;  // position of the first of them
  std::int32_t first_page = 0;      // index into Step::pages: the sequence's whole page table
  std::int32_t n_pages = 0;         // covers position first_position + n_tokens - 1
  // Where layers with windows have pages of their own (window_pages.h): their table, without the pages before the window.
  std::int32_t first_window_page = 0;  // index into Step::pages
  std::int32_t n_window_pages = 0;
  std::int32_t window_start = 0;       // what page of the sequence the first of them is
};

enum RowFlags : std::uint32_t {
  kRowSample = 1,      // choose a token
  kRowFullLogits = 2,  // return all logits; of an encoder, the token's vector
  kRowPooled = 4,      // of an encoder: return the vector of the token's sequence
};

/// A token whose logits are wanted.
struct StepRow {
  std::int32_t token_index = 0;   // into Step::tokens
  std::uint32_t flags = 0;        // RowFlags
  float temperature = 0.0f;       // 0: the largest logit
  float top_p = 1.0f;
  float min_p = 0.0f;
  std::int32_t top_k = 0;         // 0: all
  std::uint64_t seed = 0;         // random numbers are a function of (seed, position)
  std::int32_t position = 0;      // of the token that is chosen
  std::int32_t n_top = 0;         // how many most likely tokens to report, at most kMaxTop
  std::int32_t target = -1;       // a token whose log-probability is wanted; -1: none
  std::int32_t first_edit = 0;    // into Step::edits
  std::int32_t n_edits = 0;
  std::int32_t first_mask = -1;   // into Step::masks: the tokens that may be chosen; -1: all
};
static_assert(sizeof(StepRow) == 56);

/// Changes one logit before a token is chosen: repetition (l > 0 ? l / r : l * r), then l + add.
struct LogitEdit {
  std::int32_t token = 0;
  float add = 0.0f;
  float repetition = 1.0f;
};

/// Candidates that every rank sends to where tokens are chosen; sampling that needs more falls back to all logits.
inline constexpr int kCandidates = 64;
/// Most likely tokens that a row may ask for.
inline constexpr int kMaxTop = 20;

/// Words of a mask: one bit for each token, bit i % 32 of word i / 32.
constexpr std::size_t mask_words(std::int32_t vocab_size) { return (static_cast<std::size_t>(vocab_size) + 31) / 32; }

struct Step {
  std::uint64_t id = 0;
  std::vector<std::int32_t> tokens;
  std::vector<StepSequence> sequences;  // in token order, covering all tokens
  std::vector<std::int32_t> pages;
  std::vector<StepRow> rows;            // ascending token_index
  std::vector<LogitEdit> edits;
  std::vector<std::int32_t> token_types;  // of an encoder: of each token; empty: all 0
  std::vector<std::uint32_t> masks;     // mask_words(vocab_size) for each row that has one

  void clear();
};

struct TopToken {
  std::int32_t token = 0;
  float logprob = 0.0f;
};

/// Log-probabilities are those of the model: before edits, masks and temperature.
struct RowResult {
  std::int32_t token = -1;        // chosen, with kRowSample
  float logprob = 0.0f;           // of the chosen token
  float target_logprob = 0.0f;    // of StepRow::target
  std::int32_t first_top = 0;     // into StepResult::top
  std::int32_t n_top = 0;
  std::int32_t first_logit = -1;  // into StepResult::logits (vocab_size values), with kRowFullLogits
};

struct StepResult {
  std::uint64_t id = 0;
  std::vector<RowResult> rows;    // as Step::rows
  std::vector<TopToken> top;      // descending
  std::vector<float> logits;

  void clear();
};

/// Flat bytes of a step or result for the wire between ranks of one job (same build, same machine type): counts,
/// then the arrays. write replaces `out`, reusing its capacity. read checks every count and index range against the
/// size: kCorrupt.
void write_step(const Step& step, std::vector<std::byte>& out);
Status read_step(std::span<const std::byte> bytes, Step& out);
void write_result(const StepResult& result, std::vector<std::byte>& out);
Status read_result(std::span<const std::byte> bytes, StepResult& out);

}  // namespace colonnade::engine
