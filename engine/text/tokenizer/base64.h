// Base64 (RFC 4648): tokenizer files have it, and embeddings may be asked for in it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace colonnade::engine {

/// With or without the padding at the end; nullopt for anything else than base64.
std::optional<std::string> decode_base64(std::string_view text);

/// With padding.
std::string encode_base64(std::string_view bytes);

}  // namespace colonnade::engine
