// The alphabet of byte-level vocabularies (GPT-2): one printable character for every byte, so that vocabularies are text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace colonnade::engine {

/// "Ġthe" for " the". A stand-in (stand_ins.h) counts as its byte.
void append_byte_letters(std::string_view bytes, std::string& letters);

/// The way back; nullopt when a character is not of the alphabet.
std::optional<std::string> bytes_of_letters(std::string_view letters);

}  // namespace colonnade::engine
