#include "engine/kernels/sparsity.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/base/format_text.h"

namespace colonnade::engine {
namespace {

/// splitmix64: fast enough to make gigabytes, and reproducible everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u) {}
  /// Uniform in [0, 1), multiples of 2^-24.
  float next() {
    state_ += 0x9E3779B97F4A7C15u;
    std::uint64_t x = state_;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return static_cast<float>((x ^ (x >> 31)) >> 40) * 0x1p-24f;
  }

 private:
  std::uint64_t state_;
};

constexpr const char* kBlockStructure = "1x4";
static_assert(kBlockWeights == 4);

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

}  // namespace

int Sparsity::kept() const {
  if (block == 0 || density <= 0) return 0;
  return std::clamp(static_cast<int>(std::lround(density * block)), 1, block);
}

Zeros Sparsity::zeros() const {
  if (in_blocks) return Zeros::in_blocks(density);
  if (block == 0) return Zeros::anywhere(density);
  // That a row keeps none of four columns of a block, one after the other; shorter blocks than four always keep one of them.
  double none = 1;
  for (int i = 0; i < static_cast<int>(kBlockWeights) && none > 0; ++i)
    none *= block > i ? std::max(0.0, static_cast<double>(block - kept() - i) / (block - i)) : 0.0;
  return {density, 1 - none};
}

Result<Sparsity> parse_sparsity(double sparsity, std::string_view structure) {
  if (!(sparsity >= 0.0 && sparsity <= 1.0))
    return invalid(text("--sparsity: expected the fraction of zeros, 0 to 1, found ", sparsity));
  Sparsity result{.density = 1.0 - sparsity, .block = 0};
  if (structure == "unstructured" || structure.empty()) return result;
  if (structure == kBlockStructure) {
    result.in_blocks = result.density < 1;
    return result;
  }
  const std::size_t colon = structure.find(':');
  const std::string_view count = structure.substr(0, colon);
  const std::string_view block = colon == std::string_view::npos ? "" : structure.substr(colon + 1);
  int kept = 0;
  const bool any = count == "n";
  const auto count_read = std::from_chars(count.data(), count.data() + count.size(), kept);
  const auto block_read = std::from_chars(block.data(), block.data() + block.size(), result.block);
  const bool valid_count = any || (count_read.ec == std::errc{} && count_read.ptr == count.data() + count.size() && kept > 0);
  const bool valid_block = block_read.ec == std::errc{} && block_read.ptr == block.data() + block.size() &&
                           result.block >= 2 && result.block <= kMaxSparsityBlock && kept <= result.block;
  if (!valid_count || !valid_block)
    return invalid(text("--structure: expected unstructured, 1x4, n:64 or numbers such as 4:64, found \"", structure, "\""));
  const double asked = result.density;
  result.density = static_cast<double>(any ? result.kept() : kept) / result.block;
  if (!any && sparsity > 0 && std::lround(asked * result.block) != kept)
    return invalid(text("--structure ", structure, ": expected --sparsity ", 1.0 - result.density, ", found ", sparsity));
  return result;
}

std::string structure_name(const Sparsity& sparsity) {
  if (sparsity.density >= 1.0) return "dense";
  if (sparsity.in_blocks) return kBlockStructure;
  return sparsity.block == 0 ? "unstructured" : text(sparsity.kept(), ":", sparsity.block);
}

void fill_random_weights(const Sparsity& sparsity, std::uint64_t seed, float bound, std::size_t n_rows, std::size_t cols,
                         float* out) {
  Random random(seed);
  const auto density = static_cast<float>(sparsity.density);
  // What is decided together: a place, a block, or as many columns as have their share.
  const std::size_t block = sparsity.in_blocks ? kBlockWeights : sparsity.block == 0 ? 1 : static_cast<std::size_t>(sparsity.block);
  // Half a step beside zero on either side.
  const auto weight = [&] { return bound * (2.0f * random.next() - 1.0f + 0x1p-25f); };
  for (std::size_t row = 0; row < n_rows; ++row, out += cols) {
    for (std::size_t begin = 0; begin < cols; begin += block) {
      const std::size_t end = std::min(cols, begin + block);
      // Of the columns that are left of a block, those that are still to be kept (a shorter last block: its share).
      auto wanted = static_cast<float>(sparsity.kept()) * static_cast<float>(end - begin) / static_cast<float>(block);
      bool keep = false;
      for (std::size_t col = begin; col < end; ++col) {
        const float chance = sparsity.block == 0 ? density : wanted / static_cast<float>(end - col);
        if (!sparsity.in_blocks || col == begin) keep = random.next() < chance;
        out[col] = keep ? weight() : 0.0f;
        if (keep) wanted -= 1.0f;
      }
    }
  }
}

}  // namespace colonnade::engine
