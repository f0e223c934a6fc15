#include "engine/kernels/measure.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "engine/base/aligned_buffer.h"
#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::engine {
namespace {

/// Strips of one call: 512 rows, about what a core has of a matrix.
constexpr std::uint32_t kStripsOfCall = 32;
/// Different strips that are packed; the rest are copies.
constexpr std::uint32_t kPatternStrips = 8;

/// Packed strips one after another, and where each begins and the last one ends.
struct Pattern {
  std::vector<std::byte> bytes;
  std::vector<std::uint64_t> offsets{0};

  std::span<const std::byte> strip(std::size_t index) const {
    const std::size_t s = index % kPatternStrips;
    return std::span(bytes).subspan(offsets[s], offsets[s + 1] - offsets[s]);
  }
  std::size_t largest() const {
    std::size_t most = 0;
    for (std::size_t s = 0; s < kPatternStrips; ++s) most = std::max(most, strip(s).size());
    return most;
  }
};

Pattern pack_pattern(const StripsCase& what) {
  Pattern pattern;
  std::vector<float> weights(std::size_t{kStripRows} * what.cols);
  for (std::uint32_t s = 0; s < kPatternStrips; ++s) {
    fill_random_weights(what.sparsity, s, 1.0f, kStripRows, what.cols, weights.data());
    find_format(what.format)->encode_strip(weights.data(), what.cols, kStripRows, what.cols, pattern.bytes);
    pattern.offsets.push_back(pattern.bytes.size());
  }
  return pattern;
}

/// One thread's strips, activations and results.
class Walk {
 public:
  Walk(const StripsCase& what, const Pattern& pattern, std::span<std::byte> memory)
      : what_(what),
        memory_(memory),
        stride_(round_up(what.cols, kActivationGroup)),
        groups_(stride_ / kActivationGroup),
        values_(tokens() * stride_),
        q8_(tokens() * stride_),
        scales_(tokens() * groups_),
        sums_(tokens() * groups_),
        wide_(tokens() * div_up(what.cols, kWideGroup)),
        out_(tokens() * kStripsOfCall * kStripRows) {
    for (;;) {
      const std::span<const std::byte> strip = pattern.strip(n_strips_);
      if (strip.size() + kReadSlack > memory_.size() - offsets_.back()) break;
      std::memcpy(memory_.data() + offsets_.back(), strip.data(), strip.size());
      offsets_.push_back(offsets_.back() + strip.size());
      ++n_strips_;
    }
    std::mt19937 random(2);
    std::normal_distribution<float> normal;
    for (std::size_t t = 0; t < tokens(); ++t) {
      for (std::size_t c = 0; c < what.cols; ++c) values_.data()[t * stride_ + c] = normal(random);
      what.kernels->quantize(values_.data() + t * stride_, what.cols, q8_.data() + t * stride_,
                             scales_.data() + t * groups_, sums_.data() + t * groups_);
      what.kernels->quantize_wide(values_.data() + t * stride_, what.cols, wide_.data() + t, tokens());
    }
  }

  /// Multiplies the next strips; returns how many.
  std::uint32_t step() {
    const std::uint32_t count = std::min(kStripsOfCall, n_strips_ - next_);
    MatrixView matrix;
    matrix.format = what_.format;
    matrix.rows = count * kStripRows;
    matrix.cols = what_.cols;
    matrix.base = memory_.data();
    matrix.strip_offsets = offsets_.data() + next_;
    const Activations input = {values_.data(), stride_, q8_.data(),  stride_, scales_.data(), sums_.data(), groups_,
                               wide_.data(),   tokens(), nullptr};
    what_.kernels->strips[static_cast<std::size_t>(what_.format)](matrix, 0, count, input, what_.n_tokens, out_.data(),
                                                                  kStripsOfCall * kStripRows);
    next_ = next_ + count < n_strips_ ? next_ + count : 0;
    return count;
  }

  double bytes_per_strip() const { return static_cast<double>(offsets_.back()) / n_strips_; }

 private:
  std::size_t tokens() const { return static_cast<std::size_t>(what_.n_tokens); }

  const StripsCase& what_;
  std::span<std::byte> memory_;
  std::size_t stride_, groups_;
  AlignedBuffer<float> values_;
  AlignedBuffer<std::int8_t> q8_;
  AlignedBuffer<float> scales_;
  AlignedBuffer<std::int32_t> sums_;
  AlignedBuffer<WideGroup> wide_;
  AlignedBuffer<float> out_;
  std::vector<std::uint64_t> offsets_{0};
  std::uint32_t n_strips_ = 0;
  std::uint32_t next_ = 0;
};

/// Strips a second of one thread.
double strips_per_second(Walk& walk, double seconds) {
  const double start = now_seconds();
  double now = start;
  double done = 0;
  while (now - start < seconds) {
    done += walk.step();  // microseconds at least: long against a look at the clock
    now = now_seconds();
  }
  return done / (now - start);
}

}  // namespace

Result<StripsRate> measure_strips(const StripsCase& what, Parallel& team) {
  COLONNADE_CHECK(what.kernels != nullptr && what.n_tokens >= 1 && what.cols >= 1, "a case to measure");
  const Pattern pattern = pack_pattern(what);
  const auto n_threads = static_cast<std::size_t>(team.size());
  COLONNADE_CHECK(what.memory.size() == n_threads, "memory for each thread");
  for (const std::span<std::byte> memory : what.memory) {
    if (memory.size() < pattern.largest())
      return Error{ErrorCode::kInvalidArgument, text("measuring strips: a strip has ", format_bytes(pattern.largest()),
                                                     ", found memory of ", format_bytes(memory.size()))};
  }
  std::vector<double> strips(n_threads, 0), bytes(n_threads, 0);
  std::atomic<std::size_t> ready{0};
  team.run([&](int thread) {
    const auto me = static_cast<std::size_t>(thread);
    Walk walk(what, pattern, what.memory[me]);
    strips_per_second(walk, what.seconds / 8);  // warms up caches, clock rate and predictors
    ready.fetch_add(1);
    while (ready.load(std::memory_order_relaxed) < n_threads) std::this_thread::yield();
    strips[me] = strips_per_second(walk, what.seconds);
    bytes[me] = strips[me] * walk.bytes_per_strip();
  });
  StripsRate rate;
  for (std::size_t i = 0; i < n_threads; ++i) {
    rate.weights_per_second += strips[i] * kStripRows * what.cols;
    rate.bytes_per_second += bytes[i];
  }
  rate.bits_per_weight = 8 * rate.bytes_per_second / rate.weights_per_second;
  return rate;
}

}  // namespace colonnade::engine
