// The text that pruning learns from: windows of tokens, evenly spread over a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/tokenizer.h"

namespace colonnade::cli {

/// A few pages of stories, explanations, letters, lists, code and numbers, for those who name no text of their own.
std::string_view built_in_calibration_text();

/// Up to `count` windows of `length` tokens each, with the model's beginning-of-text token where it has one; they do not overlap,
/// so a short text gives fewer, the last one shorter.
std::vector<std::vector<std::int32_t>> calibration_windows(const engine::Tokenizer& tokenizer, std::string_view text,
                                                           std::size_t count, std::size_t length);

}  // namespace colonnade::cli
