// All numbers of a stored model, as pack would read them.
#pragma once

#include <filesystem>
#include <vector>

namespace colonnade::tests {

/// The numbers of all paths, in order; the share of zeros among attention and feed-forward. With `bf16_matrices`, what prune
/// may change is rounded to bf16. Fails the test when the model cannot be read.
std::vector<float> all_weights(const std::filesystem::path& model, double* zeros = nullptr, bool bf16_matrices = false);

}  // namespace colonnade::tests
