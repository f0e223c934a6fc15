#include "tests/coordinator/fake_model.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "engine/base/check.h"

namespace colonnade::tests {
namespace {

constexpr std::size_t kFakeMaskWords = (kFakeVocab + 31) / 32;

std::uint64_t next_hash(std::uint64_t hash, std::int64_t token) {
  hash = (hash ^ static_cast<std::uint64_t>(token + 1)) * 0x9e3779b97f4a7c15u;
  return hash ^ (hash >> 29);
}

std::uint64_t hash_of(const std::vector<std::int32_t>& tokens) {
  std::uint64_t hash = 7;
  for (const std::int32_t token : tokens) hash = next_hash(hash, token);
  return hash;
}

/// Depends on everything that a row says about choosing.
std::int32_t choose(std::uint64_t hash, std::uint64_t seed, int position, float temperature, int top_k,
                    const std::map<std::int32_t, std::pair<float, float>>& edits) {
  hash = next_hash(hash, position);
  if (temperature > 0) hash = next_hash(hash, static_cast<std::int64_t>(seed) + top_k);
  for (const auto& [token, edit] : edits) {
    hash = next_hash(hash, token);
    hash = next_hash(hash, static_cast<std::int64_t>(edit.first * 64));
    hash = next_hash(hash, static_cast<std::int64_t>(edit.second * 64));
  }
  return static_cast<std::int32_t>(hash % kFakeVocab);
}

/// The first allowed token from `token` on, in a circle.
std::int32_t fake_choice(std::int32_t token, const std::vector<std::uint32_t>& mask) {
  for (int tries = 0; tries < kFakeVocab; ++tries, token = (token + 1) % kFakeVocab)
    if ((mask[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1) != 0) return token;
  COLONNADE_CHECK(false, "a mask that allows nothing");
}

}  // namespace

float fake_logprob(const std::vector<std::int32_t>& tokens, std::int32_t target) {
  return static_cast<float>(next_hash(hash_of(tokens), target) % 1000);
}

FakeModel::FakeModel(int n_pages, int page_tokens, int max_step_tokens, int max_step_rows)
    : page_tokens_(page_tokens),
      max_step_tokens_(max_step_tokens),
      max_step_rows_(max_step_rows),
      slots_(static_cast<std::size_t>(n_pages) * static_cast<std::size_t>(page_tokens), -1) {}

std::int32_t& FakeModel::slot(const control::StepSequence& sequence, int position) {
  const int page = sequence.pages(position / page_tokens_);
  const auto index = static_cast<std::size_t>(page) * static_cast<std::size_t>(page_tokens_) +
                     static_cast<std::size_t>(position % page_tokens_);
  return slots_.at(index);
}

void FakeModel::add_windows(int n_window_pages, int window_tokens) {
  window_tokens_ = window_tokens;
  window_slots_.assign(static_cast<std::size_t>(n_window_pages) * static_cast<std::size_t>(page_tokens_), 0);
}

/// After the step's tokens are in `slots_`: writes theirs, or looks at all that they see.
void FakeModel::write_window(const control::StepSequence& sequence, bool check) {
  if (window_tokens_ == 0) {
    COLONNADE_CHECK(sequence.window_pages_size() == 0, "window pages without windows");
    return;
  }
  const int begin = sequence.first_position(), end = begin + sequence.tokens_size();
  COLONNADE_CHECK(sequence.window_start() + sequence.window_pages_size() == (end + page_tokens_ - 1) / page_tokens_,
                  "window pages that end elsewhere");
  std::uint64_t hash = 7;
  for (int position = 0; position < end; ++position) {
    hash = next_hash(hash, slot(sequence, position));
    if (position < begin - window_tokens_ + 1) continue;
    const int page = sequence.window_pages(position / page_tokens_ - sequence.window_start());
    std::uint64_t& found = window_slots_.at(static_cast<std::size_t>(page) * static_cast<std::size_t>(page_tokens_) +
                                            static_cast<std::size_t>(position % page_tokens_));
    if (!check && position >= begin) found = hash;
    COLONNADE_CHECK(!check || found == hash, "a window shows what others wrote");
  }
}

control::StepResult FakeModel::run(const control::Step& step) {
  COLONNADE_CHECK(last_id_ == 0 || step.id() == last_id_ + 1, "steps out of order");
  last_id_ = step.id();
  int n_tokens = 0;
  for (const auto& sequence : step.sequences()) n_tokens += sequence.tokens_size();
  COLONNADE_CHECK(n_tokens > 0, "a step that no job would take");
  COLONNADE_CHECK(n_tokens <= max_step_tokens_, "a step that no job would take");
  COLONNADE_CHECK(step.rows_size() <= max_step_rows_, "a step that no job would take");

  std::map<std::pair<int, int>, int> written;  // (page, slot) -> writer: nobody writes where another does
  for (int s = 0; s < step.sequences_size(); ++s) {
    const auto& sequence = step.sequences(s);
    const int end = sequence.first_position() + sequence.tokens_size();
    COLONNADE_CHECK(sequence.pages_size() == (end + page_tokens_ - 1) / page_tokens_, "a step that no job would take");
    for (int i = 0; i < sequence.tokens_size(); ++i) {
      const int position = sequence.first_position() + i;
      COLONNADE_CHECK(written.emplace(std::pair{sequence.pages(position / page_tokens_), position % page_tokens_}, s).second, "a step that no job would take");
      slot(sequence, position) = sequence.tokens(i);
    }
  }
  for (const bool check : {false, true})
    for (const auto& sequence : step.sequences()) write_window(sequence, check);
  std::map<int, int> window_writer;  // page -> sequence of this step
  for (int s = 0; s < step.sequences_size(); ++s) {
    const auto& sequence = step.sequences(s);
    for (int p = 0; p < sequence.window_pages_size(); ++p) {
      if ((sequence.window_start() + p + 1) * page_tokens_ <= sequence.first_position()) continue;  // only read
      COLONNADE_CHECK(window_writer.emplace(sequence.window_pages(p), s).second, "two sequences write one page of a window");
    }
  }
  control::StepResult result;
  result.set_id(step.id());
  int last_index = -1;
  for (const auto& row : step.rows()) {
    COLONNADE_CHECK(row.token_index() > last_index, "a step that no job would take");
    last_index = row.token_index();
    int first = 0;
    int s = 0;
    while (row.token_index() >= first + step.sequences(s).tokens_size()) first += step.sequences(s++).tokens_size();
    const auto& sequence = step.sequences(s);
    const int position = sequence.first_position() + row.token_index() - first;
    COLONNADE_CHECK(row.position() == position + 1, "a step that no job would take");
    std::vector<std::int32_t> tokens;
    for (int p = 0; p <= position; ++p) tokens.push_back(slot(sequence, p));
    control::RowResult& out = *result.add_rows();
    out.set_token(-1);
    if ((row.flags() & 1) != 0) {
      std::map<std::int32_t, std::pair<float, float>> edits;
      for (const auto& edit : row.edits())
        COLONNADE_CHECK(edits.emplace(edit.token(), std::pair{edit.add(), edit.repetition()}).second, "a step that no job would take");
      out.set_token(choose(hash_of(tokens), row.seed(), row.position(), row.temperature(), row.top_k(), edits));
      if (!row.mask().empty()) {
        COLONNADE_CHECK(row.mask().size() == kFakeMaskWords * sizeof(std::uint32_t), "a mask that no job would take");
        std::vector<std::uint32_t> mask(kFakeMaskWords);
        std::memcpy(mask.data(), row.mask().data(), row.mask().size());
        out.set_token(fake_choice(out.token(), mask));
      }
      out.set_logprob(fake_logprob(tokens, out.token()));
    }
    if (row.target() >= 0) out.set_target_logprob(fake_logprob(tokens, row.target()));
    if ((row.flags() & 2) != 0) {
      std::vector<float> logits;
      for (int v = 0; v < kFakeVocab; ++v) logits.push_back(fake_logprob(tokens, v));
      out.set_logits(logits.data(), logits.size() * sizeof(float));
    }
    for (int i = 0; i < row.n_top(); ++i) out.add_top()->set_token(i);
  }
  return result;
}

std::vector<std::int32_t> fake_output(const coordinator::GenerationRequest& request, int context_tokens) {
  std::vector<std::int32_t> tokens = request.prompt;
  std::vector<std::int32_t> output;
  std::map<std::int32_t, int> counts;
  const auto constraint = request.constraint ? request.constraint->start() : nullptr;
  std::vector<std::uint32_t> mask(kFakeMaskWords);
  while (static_cast<int>(output.size()) < request.max_tokens && static_cast<int>(tokens.size()) < context_tokens) {
    std::map<std::int32_t, std::pair<float, float>> edits;
    for (const auto& [token, bias] : request.logit_bias) edits.try_emplace(token, 0.0f, 1.0f).first->second.first += bias;
    const bool repetition = request.repetition_penalty != 1.0f;
    if (repetition || request.presence_penalty != 0 || request.frequency_penalty != 0) {
      for (const auto& [token, count] : counts) {
        auto& edit = edits.try_emplace(token, 0.0f, 1.0f).first->second;
        edit.first -= request.presence_penalty + request.frequency_penalty * static_cast<float>(count);
      }
    }
    if (repetition)
      for (const std::int32_t token : tokens) edits.try_emplace(token, 0.0f, 1.0f).first->second.second = request.repetition_penalty;
    auto token = choose(hash_of(tokens), request.seed, static_cast<int>(tokens.size()), request.temperature, request.top_k, edits);
    if (constraint) {
      if (constraint->mask(mask) == 0) break;
      for (const std::int32_t stop : request.stop_tokens) {
        std::uint32_t& word = mask[static_cast<std::size_t>(stop) / 32];
        word = constraint->may_end() ? word | 1u << (stop % 32) : word & ~(1u << (stop % 32));
      }
      if (std::all_of(mask.begin(), mask.end(), [](std::uint32_t word) { return word == 0; })) break;
      token = fake_choice(token, mask);
    }
    tokens.push_back(token);
    output.push_back(token);
    ++counts[token];
    if (std::find(request.stop_tokens.begin(), request.stop_tokens.end(), token) != request.stop_tokens.end()) break;
    if (constraint) COLONNADE_CHECK(constraint->accept(token), "a token that the mask allowed");
  }
  return output;
}

}  // namespace colonnade::tests
