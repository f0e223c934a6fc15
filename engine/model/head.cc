#include "engine/model/head.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::engine {
namespace {

/// Rows whose logits are held at a time: 32 × 128 k tokens × 4 bytes = 16 MiB.
constexpr std::size_t kHeadRows = 32;

float apply(const LogitEdit& edit, float logit) {
  const float scaled = logit > 0.0f ? logit / edit.repetition : logit * edit.repetition;
  return scaled + edit.add;
}

/// The best `limit` of values as candidates, best first; returns how many.
std::int32_t best(const KernelTable& kernels, const float* values, std::size_t count, std::int32_t first_token,
                  int limit, Candidate* out) {
  // Few blocks hold one of the best, so a block's maximum usually decides.
  constexpr std::size_t kBlock = 256;
  std::int32_t n = 0;
  if (limit == 0) return 0;
  for (std::size_t block = 0; block < count; block += kBlock) {
    const std::size_t end = std::min(block + kBlock, count);
    if (n == limit && kernels.max_value(values + block, end - block) <= out[n - 1].logit) continue;
    for (std::size_t i = block; i < end; ++i) {
      const Candidate candidate{first_token + static_cast<std::int32_t>(i), values[i]};
      if (n == limit && !candidate_before(candidate, out[n - 1])) continue;
      std::int32_t at = n < limit ? n++ : n - 1;
      for (; at > 0 && candidate_before(candidate, out[at - 1]); --at) out[at] = out[at - 1];
      out[at] = candidate;
    }
  }
  return n;
}

/// Which tokens of a row may be chosen.
class TokenMask {
 public:
  TokenMask(const Step& step, const StepRow& row, std::int32_t vocab_size) {
    if (row.first_mask >= 0)
      words_ = std::span(step.masks).subspan(static_cast<std::size_t>(row.first_mask), mask_words(vocab_size));
  }

  bool allows_all() const { return words_.empty(); }
  bool allows(std::int32_t token) const {
    const auto t = static_cast<std::size_t>(token);
    return allows_all() || (words_[t / 32] >> (t % 32) & 1) != 0;
  }

  /// Sets the logits of the others among `count` tokens from first_token on to -infinity; returns how many are left.
  std::int32_t apply(std::size_t first_token, std::size_t count, float* logits) const {
    std::int32_t left = 0;
    // 32 at a time, because most words are all or nothing.
    for (std::size_t i = 0; i < count; i += 32) {
      const std::size_t n = std::min<std::size_t>(32, count - i);
      const std::uint32_t bits = word_at(first_token + i) & (0xFFFFFFFFu >> (32 - n));
      left += std::popcount(bits);
      if (bits == 0xFFFFFFFFu) continue;
      for (std::size_t k = 0; k < n; ++k)
        if ((bits >> k & 1) == 0) logits[i + k] = -INFINITY;
    }
    return left;
  }

 private:
  /// The bits of 32 tokens from any token on.
  std::uint32_t word_at(std::size_t token) const {
    const std::size_t word = token / 32, shift = token % 32;
    std::uint32_t bits = words_[word] >> shift;
    if (shift != 0 && word + 1 < words_.size()) bits |= words_[word + 1] << (32 - shift);
    return bits;
  }
  std::span<const std::uint32_t> words_;
};

SamplerParams sampler_params(const StepRow& row) {
  return {row.temperature, row.top_p, row.min_p, row.top_k, row.seed, row.position};
}

float inverse_temperature(const StepRow& row) { return is_greedy(row.temperature) ? 1.0f : 1.0f / row.temperature; }

}  // namespace

OutputHead::OutputHead(const RankContext& context, const RankWeights& weights, Join& join)
    : context_(context), weights_(weights), join_(join), normed_(kHeadRows, context.dim()), mine_(kHeadRows),
      all_(kHeadRows * static_cast<std::size_t>(join.size())),
      merged_top_(static_cast<std::size_t>(kMaxTop * join.size())),
      merged_candidates_(static_cast<std::size_t>(kCandidates * join.size())) {
  for (const VocabularyPath& path : weights.head) {
    logits_stride_ += path.rows.n_strips() * kStripRows;
    input_.add(path.rows.format);
    slice_.n_tokens += static_cast<std::int32_t>(path.rows.rows);
  }
  if (!weights.head.empty()) slice_.first_token = weights.head.front().first_token;
  edited_ = AlignedBuffer<float>(static_cast<std::size_t>(context.team.size()) * logits_stride_);
  const auto vocab = static_cast<std::size_t>(context.config.vocab_size);
  all_logits_.resize(vocab);
  sorted_.resize(vocab);
}

Result<std::unique_ptr<OutputHead>> OutputHead::make(const RankContext& context, const RankWeights& weights,
                                                     Join& join) {
  std::unique_ptr<OutputHead> head(new OutputHead(context, weights, join));
  head->slices_.resize(static_cast<std::size_t>(join.size()));
  COLONNADE_TRY(join.all_gather(&head->slice_, sizeof(Slice), head->slices_.data()));
  std::int32_t next = 0;
  for (const Slice& slice : head->slices_) {
    if (slice.n_tokens == 0) continue;
    COLONNADE_CHECK(slice.first_token == next, "the plan's vocabulary slices are not contiguous");
    next += slice.n_tokens;
    head->largest_slice_ = std::max(head->largest_slice_, static_cast<std::size_t>(slice.n_tokens));
  }
  COLONNADE_CHECK(next == context.config.vocab_size, "the plan's vocabulary slices do not cover the vocabulary");
  // At least the largest slice, which a member passes to all_gather whatever its own size.
  head->logits_ = AlignedBuffer<float>(kHeadRows * head->logits_stride_ + head->largest_slice_);
  head->gathered_ = AlignedBuffer<float>(head->largest_slice_ * static_cast<std::size_t>(join.size()));
  return head;
}

Status OutputHead::run(const Step& step, const float* x, StepResult& result) {
  result.clear();
  result.id = step.id;
  for (std::size_t first = 0; first < step.rows.size(); first += kHeadRows) {
    const std::size_t count = std::min(kHeadRows, step.rows.size() - first);
    COLONNADE_TRY(run_rows(step, std::span(step.rows).subspan(first, count), x, result));
  }
  return {};
}

Status OutputHead::run_rows(const Step& step, std::span<const StepRow> rows, const float* x, StepResult& result) {
  const auto n_rows = static_cast<int>(rows.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    context_.kernels.rms_norm(x + static_cast<std::size_t>(rows[r].token_index) * context_.dim(), weights_.final_norm,
                              context_.config.norm_eps, context_.dim(), normed_.row(r));
    normed_.quantize(context_.kernels, r, 0, context_.dim(), input_);
  }
  context_.team.run([&](int thread) {
    const Range share = part_of(logits_stride_ / kStripRows, thread, context_.team.size());
    std::size_t strip = 0;
    for (const VocabularyPath& path : weights_.head) {
      const std::size_t first = std::max(share.begin, strip);
      const std::size_t last = std::min(share.end, strip + path.rows.n_strips());
      if (first < last)
        multiply(context_.kernels, path.rows, static_cast<std::uint32_t>(first - strip),
                 static_cast<std::uint32_t>(last - strip), normed_.view(0), n_rows,
                 logits_.data() + strip * kStripRows, logits_stride_);
      strip += path.rows.n_strips();
    }
    context_.team.barrier();
    const Range my_rows = part_of(rows.size(), thread, context_.team.size());
    for (std::size_t r = my_rows.begin; r < my_rows.end; ++r) {
      squeeze_padding(logits_.data() + r * logits_stride_);
      scale_logits(logits_.data() + r * logits_stride_);
      fill_packet(step, rows[r], logits_.data() + r * logits_stride_, thread, mine_[r]);
    }
  });
  COLONNADE_TRY(join_.all_gather(mine_.data(), rows.size() * sizeof(RowPacket), all_.data()));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const bool chosen = finish_row(rows[r], r, rows.size(), result);
    if (chosen && (rows[r].flags & kRowFullLogits) == 0) continue;
    COLONNADE_TRY(gather_logits(logits_.data() + r * logits_stride_));
    if ((rows[r].flags & kRowFullLogits) != 0) {
      result.rows.back().first_logit = static_cast<std::int32_t>(result.logits.size());
      result.logits.insert(result.logits.end(), all_logits_.begin(), all_logits_.end());
    }
    if (!chosen) choose_from_all(step, rows[r], result.rows.back());
  }
  return {};
}

void OutputHead::squeeze_padding(float* logits) const {
  std::size_t from = 0, to = 0;
  for (const VocabularyPath& path : weights_.head) {
    if (from != to) std::memmove(logits + to, logits + from, path.rows.rows * sizeof(float));
    from += path.rows.n_strips() * kStripRows;
    to += path.rows.rows;
  }
}

void OutputHead::scale_logits(float* logits) const {
  const ModelConfig& config = context_.config;
  const auto count = static_cast<std::size_t>(slice_.n_tokens);
  if (config.logit_scale != 1.0f) context_.kernels.scale(logits, config.logit_scale, count);
  if (config.logit_soft_cap != 0.0f) context_.kernels.soft_cap(logits, config.logit_soft_cap, count);
}

void OutputHead::fill_packet(const Step& step, const StepRow& row, const float* logits, int thread,
                             RowPacket& packet) {
  const KernelTable& kernels = context_.kernels;
  const auto count = static_cast<std::size_t>(slice_.n_tokens);
  packet = RowPacket{};
  packet.raw_max = packet.edited_max = -INFINITY;
  if (count == 0) return;
  packet.raw_max = kernels.max_value(logits, count);
  packet.raw_sum = kernels.sum_exp(logits, packet.raw_max, 1.0f, count);
  packet.n_top = best(kernels, logits, count, slice_.first_token, row.n_top, packet.top);
  const auto local = [&](std::int32_t token) { return static_cast<std::size_t>(token - slice_.first_token); };
  if (row.target >= slice_.first_token && local(row.target) < count) {
    packet.has_target = 1;
    packet.target_logit = logits[local(row.target)];
  }
  if ((row.flags & kRowSample) == 0) return;
  const float* edited = logits;
  const TokenMask mask(step, row, context_.config.vocab_size);
  packet.n_allowed = slice_.n_tokens;
  if (row.n_edits > 0 || !mask.allows_all()) {
    float* const copy = edited_.data() + static_cast<std::size_t>(thread) * logits_stride_;
    std::memcpy(copy, logits, count * sizeof(float));
    for (const LogitEdit& edit : std::span(step.edits).subspan(static_cast<std::size_t>(row.first_edit),
                                                               static_cast<std::size_t>(row.n_edits)))
      if (edit.token >= slice_.first_token && local(edit.token) < count)
        copy[local(edit.token)] = apply(edit, copy[local(edit.token)]);
    if (!mask.allows_all()) packet.n_allowed = mask.apply(static_cast<std::size_t>(slice_.first_token), count, copy);
    if (packet.n_allowed == 0) return;
    edited = copy;
  }
  packet.edited_max = kernels.max_value(edited, count);
  // The largest logit needs one candidate; sampling gets a list and the sum.
  const int limit = is_greedy(row.temperature) ? 1 : kCandidates;
  if (!is_greedy(row.temperature))
    packet.edited_sum = kernels.sum_exp(edited, packet.edited_max, inverse_temperature(row), count);
  // -infinity is among the best where few are allowed.
  const std::int32_t n_best = best(kernels, edited, count, slice_.first_token, limit, packet.candidates);
  for (std::int32_t i = 0; i < n_best; ++i)
    if (mask.allows(packet.candidates[i].token)) packet.candidates[packet.n_candidates++] = packet.candidates[i];
  for (std::int32_t i = 0; i < packet.n_candidates; ++i)
    packet.candidate_logits[i] = logits[local(packet.candidates[i].token)];
}

bool OutputHead::finish_row(const StepRow& row, std::size_t index, std::size_t n_rows, StepResult& result) {
  const auto members = static_cast<std::size_t>(join_.size());
  const auto packet = [&](std::size_t member) -> const RowPacket& { return all_[member * n_rows + index]; };
  float raw_max = -INFINITY, edited_max = -INFINITY;
  for (std::size_t m = 0; m < members; ++m) {
    raw_max = std::max(raw_max, packet(m).raw_max);
    edited_max = std::max(edited_max, packet(m).edited_max);
  }
  double raw_sum = 0, edited_sum = 0;
  RowResult out;
  Candidate* const top = merged_top_.data();
  Candidate* const candidates = merged_candidates_.data();
  std::size_t n_top = 0, n_candidates = 0, n_allowed = 0;
  float target_logit = 0;
  for (std::size_t m = 0; m < members; ++m) {
    const RowPacket& part = packet(m);
    if (slices_[m].n_tokens == 0) continue;
    raw_sum += part.raw_sum * std::exp(static_cast<double>(part.raw_max) - raw_max);
    n_allowed += static_cast<std::size_t>(part.n_allowed);
    if ((row.flags & kRowSample) != 0 && part.n_allowed > 0)
      edited_sum += part.edited_sum *
                    std::exp((static_cast<double>(part.edited_max) - edited_max) * inverse_temperature(row));
    if (part.has_target != 0) target_logit = part.target_logit;
    n_top = static_cast<std::size_t>(std::copy_n(part.top, part.n_top, top + n_top) - top);
    n_candidates =
        static_cast<std::size_t>(std::copy_n(part.candidates, part.n_candidates, candidates + n_candidates) - candidates);
  }
  log_sum_ = raw_max + std::log(raw_sum);
  if (row.target >= 0) out.target_logprob = static_cast<float>(target_logit - log_sum_);
  std::sort(top, top + n_top, candidate_before);
  out.first_top = static_cast<std::int32_t>(result.top.size());
  out.n_top = std::min(row.n_top, static_cast<std::int32_t>(n_top));
  for (std::int32_t i = 0; i < out.n_top; ++i)
    result.top.push_back({top[i].token, static_cast<float>(top[i].logit - log_sum_)});
  edited_max_ = edited_max;
  edited_sum_ = edited_sum;
  bool chosen = true;
  if ((row.flags & kRowSample) != 0) {
    std::sort(candidates, candidates + n_candidates, candidate_before);
    const bool complete = n_candidates == n_allowed;
    // Beyond the length of one member's list a merged list has gaps.
    if (!complete) n_candidates = std::min<std::size_t>(n_candidates, is_greedy(row.temperature) ? 1 : kCandidates);
    const auto token = choose_token({candidates, n_candidates}, complete, edited_max, edited_sum, sampler_params(row));
    chosen = token.has_value();
    if (chosen) {
      out.token = *token;
      for (std::size_t m = 0; m < members; ++m)
        for (std::int32_t i = 0; i < packet(m).n_candidates; ++i)
          if (packet(m).candidates[i].token == *token)
            out.logprob = static_cast<float>(packet(m).candidate_logits[i] - log_sum_);
    }
  }
  result.rows.push_back(out);
  return chosen;
}

Status OutputHead::gather_logits(const float* mine) {
  COLONNADE_TRY(join_.all_gather(mine, largest_slice_ * sizeof(float), gathered_.data()));
  for (std::size_t m = 0; m < slices_.size(); ++m)
    std::copy_n(gathered_.data() + m * largest_slice_, slices_[m].n_tokens,
                all_logits_.begin() + slices_[m].first_token);
  return {};
}

void OutputHead::choose_from_all(const Step& step, const StepRow& row, RowResult& result) {
  for (std::size_t i = 0; i < all_logits_.size(); ++i) sorted_[i] = {static_cast<std::int32_t>(i), all_logits_[i]};
  for (const LogitEdit& edit : std::span(step.edits).subspan(static_cast<std::size_t>(row.first_edit),
                                                             static_cast<std::size_t>(row.n_edits)))
    sorted_[static_cast<std::size_t>(edit.token)].logit =
        apply(edit, sorted_[static_cast<std::size_t>(edit.token)].logit);
  const TokenMask mask(step, row, context_.config.vocab_size);
  const auto end = std::partition(sorted_.begin(), sorted_.end(), [&](const Candidate& c) { return mask.allows(c.token); });
  std::sort(sorted_.begin(), end, candidate_before);
  const auto token = choose_token(std::span(sorted_.begin(), end), true, edited_max_, edited_sum_, sampler_params(row));
  COLONNADE_CHECK(token.has_value(), "a choice among all tokens must succeed");
  result.token = *token;
  result.logprob = static_cast<float>(all_logits_[static_cast<std::size_t>(*token)] - log_sum_);
}

}  // namespace colonnade::engine
