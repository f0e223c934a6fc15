#include <array>

#include "engine/formats/builtin_formats.h"

namespace colonnade::engine {

void Format::decode_strip(const std::byte* strip, int n_rows, std::size_t cols, float* out, std::size_t stride) const {
  for (int row = 0; row < n_rows; ++row) decode_row(strip, row, cols, out + static_cast<std::size_t>(row) * stride);
}

std::span<const Format* const> all_formats() {
  static const std::array<const Format*, 12> formats = {
      &f32_format(),          &bf16_format(),         &int8_format(),         &int4_format(),         &bitmask_bf16_format(),
      &bitmask_int8_format(), &bitmask_int4_format(), &permute_int8_format(), &permute_int4_format(), &gap_int4_format(),
      &quad_int8_format(),    &quad_int4_format()};
  return formats;
}

const Format* find_format(FormatId id) {
  for (const Format* format : all_formats()) {
    if (format->id() == id) return format;
  }
  return nullptr;
}

const Format* find_format(std::string_view name) {
  for (const Format* format : all_formats()) {
    if (format->name() == name) return format;
  }
  return nullptr;
}

}  // namespace colonnade::engine
