#include "shard/manifest_check.h"

#include <cstring>

#include <xxhash.h>

#include "engine/base/format_text.h"
#include "shard/hf_config.h"
#include "shard/manifest_proto.h"

namespace colonnade::shard {
namespace {

constexpr char kMagic[8] = {'C', 'L', 'N', 'D', 'P', 'A', 'C', 'K'};
constexpr std::size_t kFrameBytes = sizeof kMagic + 8 + 8;  // magic, length, checksum

Error corrupt(std::string message) { return Error{ErrorCode::kCorrupt, std::move(message)}; }

Status check_shape(const PathSpec& path, const PathSpec& expected) {
  const bool same = path.kind == expected.kind && path.layer == expected.layer && path.index == expected.index &&
                    path.expert == expected.expert && path.first == expected.first && path.count == expected.count;
  if (!same) return corrupt(text("expected ", path_title(expected), ", found ", path_title(path)));
  if (path.matrices.size() != expected.matrices.size() || path.vectors.size() != expected.vectors.size())
    return corrupt(text(path_title(path), ": expected ", expected.matrices.size(), " matrices and ",
                        expected.vectors.size(), " vectors, found ", path.matrices.size(), " and ",
                        path.vectors.size()));
  for (std::size_t i = 0; i < path.matrices.size(); ++i) {
    const MatrixSpec& found = path.matrices[i];
    const MatrixSpec& wanted = expected.matrices[i];
    if (found.role != wanted.role || found.part != wanted.part || found.rows != wanted.rows || found.cols != wanted.cols)
      return corrupt(text(path_title(path), ": matrix ", i, ": expected role ", static_cast<std::uint32_t>(wanted.role),
                          " of ", wanted.rows, " x ", wanted.cols, ", found role ",
                          static_cast<std::uint32_t>(found.role), " of ", found.rows, " x ", found.cols));
    if (engine::find_format(found.format) == nullptr)
      return Error{ErrorCode::kUnsupported, text(path_title(path), ": matrix ", i, " is stored in format ",
                                                 static_cast<std::uint32_t>(found.format), ", which is not known here")};
    for (const double density : {found.zeros.density, found.zeros.block_density})
      if (!(density >= 0.0 && density <= 1.0))
        return corrupt(text(path_title(path), ": matrix ", i, ": expected a density from 0 to 1, found ", density));
  }
  for (std::size_t i = 0; i < path.vectors.size(); ++i) {
    const VectorSpec& found = path.vectors[i];
    const VectorSpec& wanted = expected.vectors[i];
    if (found.role != wanted.role || found.part != wanted.part || found.count != wanted.count)
      return corrupt(text(path_title(path), ": vector ", i, ": expected role ", static_cast<std::uint32_t>(wanted.role),
                          " of ", wanted.count, ", found role ", static_cast<std::uint32_t>(found.role), " of ",
                          found.count));
  }
  return {};
}

Status check_place(const PathSpec& path, const Manifest& manifest) {
  if (path.file >= manifest.blob_files.size())
    return corrupt(text(path_title(path), ": expected a file below ", manifest.blob_files.size(), ", found ", path.file));
  const BlobFile& file = manifest.blob_files[path.file];
  if (path.offset % kBlobAlignment != 0 || path.bytes > file.bytes || path.offset > file.bytes - path.bytes)
    return corrupt(text(path_title(path), ": ", path.bytes, " bytes at offset ", path.offset, " do not fit ",
                        file.name, " of ", file.bytes, " bytes"));
  std::uint64_t bytes = blob_header_bytes(path);
  for (const MatrixSpec& matrix : path.matrices)
    if (__builtin_add_overflow(bytes, matrix.bytes, &bytes)) bytes = UINT64_MAX;
  if (bytes != path.bytes)
    return corrupt(text(path_title(path), ": expected ", bytes, " bytes by its matrices and vectors, found ",
                        path.bytes));
  const std::size_t n_parts = blob_parts(path).size();
  if (path.part_checksums.size() != n_parts)
    return corrupt(text(path_title(path), ": expected checksums of ", n_parts, " parts, found ",
                        path.part_checksums.size()));
  return {};
}

/// Values that a later version may have added.
Status check_known(const engine::ModelConfig& config) {
  const auto known = [](const char* what, auto value, auto last) -> Status {
    if (static_cast<std::uint32_t>(value) <= static_cast<std::uint32_t>(last)) return {};
    return Error{ErrorCode::kUnsupported, text(what, " ", static_cast<std::uint32_t>(value), " is not known here")};
  };
  COLONNADE_TRY(known("rope scaling", config.rope.scaling, engine::RopeScaling::kYarn));
  for (const engine::RopeConfig& rope : config.more_ropes)
    COLONNADE_TRY(known("rope scaling", rope.scaling, engine::RopeScaling::kYarn));
  COLONNADE_TRY(known("activation", config.activation, engine::Activation::kGeluErf));
  return known("pooling", config.pooling, engine::Pooling::kFirst);
}

Status check_manifest(const Manifest& manifest) {
  if (const Status status = check_model_config(manifest.config); !status.ok())
    return corrupt("configuration: " + status.error().message);
  COLONNADE_TRY(check_known(manifest.config));
  for (const BlobFile& file : manifest.blob_files)
    if (file.name.empty() || file.name == "." || file.name == ".." ||
        file.name.find_first_of(std::string_view("/\0", 2)) != std::string::npos)
      return corrupt(text("blob file: expected the name of a file beside the manifest, found \"", file.name, "\""));
  const std::uint64_t count = count_paths(manifest.config);
  if (manifest.paths.size() != count)
    return corrupt(text("expected ", count, " paths for the configuration, found ", manifest.paths.size()));
  const std::vector<PathSpec> expected = enumerate_paths(manifest.config, {});
  COLONNADE_CHECK(expected.size() == count, "count_paths and enumerate_paths disagree");
  for (std::size_t i = 0; i < expected.size(); ++i) {
    COLONNADE_TRY(check_shape(manifest.paths[i], expected[i]));
    COLONNADE_TRY(check_place(manifest.paths[i], manifest));
  }
  return {};
}

}  // namespace

std::string frame_manifest(std::string_view message) {
  const std::uint64_t length = message.size();
  std::string file(kMagic, sizeof kMagic);
  file.append(reinterpret_cast<const char*>(&length), sizeof length);
  file.append(message);
  const std::uint64_t checksum = XXH3_64bits(file.data(), file.size());
  file.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
  return file;
}

Result<Manifest> parse_manifest(std::span<const std::byte> file) {
  if (file.size() < kFrameBytes || std::memcmp(file.data(), kMagic, sizeof kMagic) != 0)
    return corrupt(text("expected a manifest that begins with CLNDPACK, found ", file.size(), " other bytes"));
  std::uint64_t length = 0;
  std::memcpy(&length, file.data() + sizeof kMagic, sizeof length);
  if (length != file.size() - kFrameBytes)
    return corrupt(text("expected ", length, " bytes of content, found ", file.size() - kFrameBytes));
  std::uint64_t stored = 0;
  std::memcpy(&stored, file.data() + file.size() - sizeof stored, sizeof stored);
  const std::uint64_t computed = XXH3_64bits(file.data(), file.size() - sizeof stored);
  if (stored != computed)
    return corrupt(text("expected checksum ", std::hex, stored, ", found ", computed));
  COLONNADE_ASSIGN(Manifest manifest, decode_manifest(file.subspan(sizeof kMagic + 8, length)));
  COLONNADE_TRY(check_manifest(manifest));
  return manifest;
}

}  // namespace colonnade::shard
