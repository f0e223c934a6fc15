// The output head, split by vocabulary over the ranks of the last stage: each rank computes the logits of its tokens
// and reduces them to a small packet; packets are exchanged and the token is chosen. Where a choice or a request
// needs more than the packets hold, all logits of the row are gathered: the result is always exact.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/aligned_buffer.h"
#include "engine/base/comm.h"
#include "engine/base/result.h"
#include "engine/model/activation_rows.h"
#include "engine/model/rank_context.h"
#include "engine/model/step.h"
#include "engine/model/weights.h"
#include "engine/text/sampler.h"

namespace colonnade::engine {

/// What a rank knows of one row: enough for the log-probabilities of its tokens and, usually, for the choice.
struct RowPacket {
  double raw_sum;        // sum of exp(logit - raw_max) over this rank's tokens
  double edited_sum;     // sum of exp((edited logit - edited_max) / temperature)
  float raw_max;
  float edited_max;       // of the tokens that may be chosen; edits are applied
  float target_logit;    // of StepRow::target, if it is this rank's
  std::int32_t has_target;
  std::int32_t n_top;
  std::int32_t n_candidates;
  std::int32_t n_allowed;               // of this rank's tokens
  Candidate top[kMaxTop];               // before edits, best first
  Candidate candidates[kCandidates];    // after edits and mask, best first
  float candidate_logits[kCandidates];  // of the same tokens, before edits
};

/// Driven by the step thread of a rank of the last stage. Allocates only on construction, except for the logits
/// that a result carries.
class OutputHead {
 public:
  /// Collective over the join's members.
  static Result<std::unique_ptr<OutputHead>> make(const RankContext& context, const RankWeights& weights, Join& join);

  /// Computes the step's rows from the residual stream x (n_tokens, dim) and, on every member, the same result.
  Status run(const Step& step, const float* x, StepResult& result);

 private:
  OutputHead(const RankContext& context, const RankWeights& weights, Join& join);

  Status run_rows(const Step& step, std::span<const StepRow> rows, const float* x, StepResult& result);
  /// Closes the gaps that padding leaves at the end of each path, so that logit i is token first_token + i.
  void squeeze_padding(float* logits) const;
  /// The model's own factor and soft cap.
  void scale_logits(float* logits) const;
  void fill_packet(const Step& step, const StepRow& row, const float* logits, int thread, RowPacket& packet);
  /// Appends the row's result from all members' packets; false when they do not suffice to choose.
  bool finish_row(const StepRow& row, std::size_t index, std::size_t n_rows, StepResult& result);
  Status gather_logits(const float* mine);
  void choose_from_all(const Step& step, const StepRow& row, RowResult& result);

  struct Slice { std::int32_t first_token, n_tokens; };

  const RankContext& context_;
  const RankWeights& weights_;
  Join& join_;
  Slice slice_{};
  std::vector<Slice> slices_;          // by member
  std::size_t largest_slice_ = 0;
  std::size_t logits_stride_ = 0;
  ActivationRows normed_;              // (kHeadRows, dim)
  ActivationKinds input_;              // what the rows of the vocabulary read
  AlignedBuffer<float> logits_;        // (kHeadRows, logits_stride)
  AlignedBuffer<float> edited_;        // (thread, logits_stride)
  std::vector<RowPacket> mine_;        // kHeadRows
  std::vector<RowPacket> all_;         // (member, row)
  std::vector<Candidate> merged_top_;
  std::vector<Candidate> merged_candidates_;
  double log_sum_ = 0;                 // of the row in hand: log of the sum of exp(logit) before edits
  float edited_max_ = 0;
  double edited_sum_ = 0;
  AlignedBuffer<float> gathered_;      // (member, largest_slice)
  std::vector<float> all_logits_;      // vocab_size
  std::vector<Candidate> sorted_;
};

}  // namespace colonnade::engine
