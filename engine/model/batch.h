// A step as the blocks see it: for each token its position, its sequence's page table and its angles in each rope.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/aligned_buffer.h"
#include "engine/base/result.h"
#include "engine/kernels/kv_block.h"
#include "engine/model/config.h"
#include "engine/model/rope.h"
#include "engine/model/step.h"

namespace colonnade::engine {

/// What a step may contain; checked before anything is computed.
struct StepLimits {
  int vocab_size = 0;
  int max_context_tokens = 0;
  int n_pages = 0;
  int n_window_pages = 0;  // of layers with windows; 0: they have no tables of their own
  int window_tokens = 0;   // of the widest of them
  int max_step_tokens = 0;
  bool encoder = false;  // whole sequences, no tokens to choose
  int n_token_types = 1;
};

/// kInvalidArgument names the first thing that does not fit. Cheap: a pass over the step.
Status check_step(const Step& step, const StepLimits& limits);

/// Whose pages: of all layers but those with windows, which may have their own.
enum class PageGroup { kAll, kWindow };

/// Pages of a sequence from page number first_page on.
struct PageTable {
  const std::int32_t* pages = nullptr;
  int first_page = 0;

  std::int32_t page_of(int position) const { return pages[position / kPageTokens - first_page]; }
};

/// Filled once per step; allocates only on construction.
class Batch {
 public:
  Batch(const ModelConfig& config, int max_tokens);

  /// `step` has passed check_step and must outlive the use of the batch.
  void set(const Step& step);

  int n_tokens() const { return n_tokens_; }
  int position(int token) const { return positions_[static_cast<std::size_t>(token)]; }
  int token_type(int token) const { return token_types_ == nullptr ? 0 : token_types_[token]; }
  const PageTable& pages(int token, PageGroup group) const {
    return (group == PageGroup::kAll ? pages_ : window_pages_)[static_cast<std::size_t>(token)];
  }
  /// The token after the last one of the same sequence in this step.
  int sequence_end(int token) const { return sequence_ends_[static_cast<std::size_t>(token)]; }
  /// `rope` is LayerConfig::rope.
  int n_pairs(int rope) const { return angles(rope).table.n_pairs(); }
  const float* cosine(int rope, int token) const { return angles(rope).cosine.data() + angles(rope).offset(token); }
  const float* sine(int rope, int token) const { return angles(rope).sine.data() + angles(rope).offset(token); }

 private:
  struct Angles {
    Angles(const RopeConfig& rope, int max_tokens)
        : table(rope),
          cosine(static_cast<std::size_t>(max_tokens * table.n_pairs())),
          sine(static_cast<std::size_t>(max_tokens * table.n_pairs())) {}
    std::size_t offset(int token) const {
      return static_cast<std::size_t>(token) * static_cast<std::size_t>(table.n_pairs());
    }
    RopeTable table;
    AlignedBuffer<float> cosine;  // (max_tokens, n_pairs)
    AlignedBuffer<float> sine;
  };
  const Angles& angles(int rope) const { return angles_[static_cast<std::size_t>(rope)]; }

  std::vector<Angles> angles_;  // ModelConfig::rope, then more_ropes
  int n_tokens_ = 0;
  const std::int32_t* token_types_ = nullptr;  // of the step, where it has them
  std::vector<std::int32_t> positions_;
  std::vector<int> sequence_ends_;
  std::vector<PageTable> pages_, window_pages_;
};

}  // namespace colonnade::engine
