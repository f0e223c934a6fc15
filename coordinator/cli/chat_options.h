// The options of `serve` that say how answers of chats are read.
#pragma once

#include <vector>

#include "coordinator/chat_settings.h"
#include "engine/base/options.h"

namespace colonnade::cli {

std::vector<Option> chat_option_list();

/// What the options say overrides what was detected.
void apply_chat_options(const Options& options, coordinator::ChatSettings& settings);

}  // namespace colonnade::cli
