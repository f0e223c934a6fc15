#include "shard/manifest.h"

#include "engine/base/format_text.h"
#include "shard/durable_file.h"
#include "shard/manifest_check.h"
#include "shard/manifest_proto.h"
#include "shard/mapped_file.h"

namespace colonnade::shard {

const std::string* Manifest::source_file(std::string_view file_name) const {
  for (const SourceFile& file : source_files)
    if (file.name == file_name) return &file.content;
  return nullptr;
}

Result<Manifest> read_manifest(const std::filesystem::path& directory) {
  const auto path = directory / kManifestName;
  auto file = MappedFile::open(path);
  if (!file.ok()) {
    if (file.error().code != ErrorCode::kNotFound) return file.error();
    return Error{ErrorCode::kNotFound, text(directory.string(), ": expected a packed model with ", kManifestName,
                                            ", found none")};
  }
  auto manifest = parse_manifest(file->bytes());
  if (!manifest.ok()) return Error{manifest.error().code, text(path.string(), ": ", manifest.error().message)};
  for (const BlobFile& blob : manifest->blob_files) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(directory / blob.name, error);
    if (error)
      return Error{ErrorCode::kNotFound, text((directory / blob.name).string(), ": expected ", blob.bytes,
                                              " bytes of path blobs, found: ", error.message())};
    if (bytes != blob.bytes)
      return Error{ErrorCode::kCorrupt, text((directory / blob.name).string(), ": expected ", blob.bytes,
                                             " bytes, found ", bytes, bytes < blob.bytes ? " (truncated?)" : "")};
  }
  return manifest;
}

Status write_manifest(const Manifest& manifest, const std::filesystem::path& directory) {
  const std::string file = frame_manifest(encode_manifest(manifest));
  return write_file_durably(directory / kManifestName, std::as_bytes(std::span(file)));
}

bool is_packed_model(const std::filesystem::path& directory) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(directory / kManifestName, ignored);
}

}  // namespace colonnade::shard
