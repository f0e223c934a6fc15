// The small files of a Hugging Face directory made of a GGUF header's metadata, so that a family reads its configuration, and
// a server its chat templates and end tokens, as from a directory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "shard/gguf_file.h"
#include "shard/manifest.h"

namespace colonnade::shard {

/// config.json. kCorrupt and kUnsupported name the key, the expected and the found value.
Result<std::string> gguf_config(const GgufFiles& files, std::string_view where);

/// tokenizer.gguf, and where the header has them tokenizer_config.json with the special tokens, chat_template.jinja and
/// additional_chat_templates/<name>.jinja.
Result<std::vector<SourceFile>> gguf_text_files(const GgufHeader& header);

}  // namespace colonnade::shard
