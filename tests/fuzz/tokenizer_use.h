// What the fuzz targets of tokenizer files do with a tokenizer that could be loaded.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/tokenizer.h"
#include "engine/text/utf8.h"
#include "tests/fuzz/target.h"

namespace colonnade::tests {

/// Encodes and decodes; aborts where streaming and decoding at once differ or a piece is not UTF-8.
inline void use_tokenizer(const Result<std::unique_ptr<engine::Tokenizer>>& tokenizer) {
  if (!tokenizer.ok()) return;
  const engine::Tokenizer& loaded = **tokenizer;
  const std::string text =
      "Once upon\xff a <s> \u00e9e\u0301 \u4e2d\u6587 \U0001F642 it's 1234 \r\n\t<tag>  \u2581x" + std::string(300, 'a') + "\xF4\x8F\xBF\xBF";
  for (const auto special : {engine::SpecialTokens::kPlain, engine::SpecialTokens::kRecognise}) {
    std::vector<std::int32_t> ids = loaded.encode(text, special, true);
    for (std::int32_t id = -2; id < 300; id += 7) ids.push_back(id);
    for (const bool skip : {false, true}) {
      engine::StreamDecoder stream(loaded, {}, skip);
      std::string pieces;
      for (const std::int32_t id : ids) {
        const std::string piece = stream.push(id);
        if (!engine::is_valid_utf8(piece)) std::abort();
        pieces += piece;
      }
      pieces += stream.finish();
      if (pieces != engine::replace_invalid_utf8(loaded.decode(ids, skip))) std::abort();
    }
    if (!ids.empty()) (void)loaded.token_bytes(ids[0]);
  }
}

}  // namespace colonnade::tests
