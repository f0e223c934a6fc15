// tokenizer.model: sentencepiece_model.proto of the SentencePiece library (ModelProto), read field by field.
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/tokenizer/sentencepiece.h"
#include "engine/text/tokenizer/wire_reader.h"

namespace colonnade::engine {
namespace {

bool read_piece(std::string_view message, SentencePiece& piece) {
  WireReader reader(message);
  while (const auto field = reader.next()) {
    switch (field->number) {
      case 1: piece.content = field->bytes; break;
      case 2: piece.score = field->number_32(); break;
      case 3: piece.type = static_cast<PieceType>(field->integer()); break;
      default: break;
    }
  }
  return !reader.failed() && piece.type >= PieceType::kNormal && piece.type <= PieceType::kByte;
}

bool read_trainer(std::string_view message, SentencePieceFile& file) {
  WireReader reader(message);
  while (const auto field = reader.next()) {
    switch (field->number) {
      case 3: file.model = static_cast<SentencePieceFile::Model>(field->integer()); break;
      case 24: file.whitespace_as_suffix = field->flag(); break;
      case 35: file.byte_fallback = field->flag(); break;
      case 41: file.bos = field->integer(); break;
      case 42: file.eos = field->integer(); break;
      case 44: file.unknown_surface = field->bytes; break;
      default: break;
    }
  }
  return !reader.failed();
}

bool read_normalizer(std::string_view message, SentencePieceFile& file) {
  WireReader reader(message);
  while (const auto field = reader.next()) {
    switch (field->number) {
      case 2: file.charsmap = field->bytes; break;
      case 3: file.add_dummy_prefix = field->flag(); break;
      case 4: file.remove_extra_whitespaces = field->flag(); break;
      case 5: file.escape_whitespaces = field->flag(); break;
      default: break;
    }
  }
  return !reader.failed();
}

bool has_charsmap(std::string_view message) {
  SentencePieceFile spec;
  return !read_normalizer(message, spec) || !spec.charsmap.empty();
}

}  // namespace

Result<SentencePieceFile> read_sentencepiece_model(std::string_view bytes, std::string_view name) {
  SentencePieceFile file;
  WireReader reader(bytes);
  while (const auto field = reader.next()) {
    bool good = true;
    const char* place = "";
    switch (field->number) {
      case 1:
        place = "a piece";
        good = field->has_length && read_piece(field->bytes, file.pieces.emplace_back());
        break;
      case 2:
        place = "trainer_spec";
        good = field->has_length && read_trainer(field->bytes, file);
        break;
      case 3:
        place = "normalizer_spec";
        good = field->has_length && read_normalizer(field->bytes, file);
        break;
      case 5:
        if (has_charsmap(field->bytes)) {
          return Error{ErrorCode::kUnsupported, text(name, ": denormalizer_spec is not supported")};
        }
        break;
      default: break;
    }
    if (!good) {
      return Error{ErrorCode::kCorrupt, text(name, ": expected ", place, " of a SentencePiece model, found other bytes (after ",
                                             file.pieces.size(), " pieces)")};
    }
  }
  if (reader.failed() || file.pieces.empty()) {
    return Error{ErrorCode::kCorrupt,
                 text(name, ": expected a SentencePiece model, found ",
                      reader.failed() ? "bytes that are no Protobuf message" : "no pieces", " (", bytes.size(), " bytes)")};
  }
  return file;
}

}  // namespace colonnade::engine
