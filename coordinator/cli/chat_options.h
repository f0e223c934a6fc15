// The options that say how conversations are rendered and how answers of chats are read.
#pragma once

#include <vector>

#include "coordinator/chat_settings.h"
#include "engine/base/options.h"

namespace colonnade::cli {

/// --chat-template FILE: a template in place of the model's own. Also of `run`.
Option chat_template_option();
std::vector<Option> chat_option_list();

/// What the options say overrides what was detected.
void apply_chat_options(const Options& options, coordinator::ChatSettings& settings);

}  // namespace colonnade::cli
