// Base64 as tokenizer files have it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace colonnade::engine {

/// With or without the padding at the end; nullopt for anything else than base64.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace colonnade::engine
