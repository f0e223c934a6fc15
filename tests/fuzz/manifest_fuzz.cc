// The input is the message inside a manifest: its frame with the right checksum is put around it, so that mutations get
// past the checksum.
#include "shard/manifest_check.h"

#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace colonnade::shard;
  (void)parse_manifest(std::as_bytes(std::span(data, size))).ok();
  const std::string file = frame_manifest({reinterpret_cast<const char*>(data), size});
  const auto manifest = parse_manifest(std::as_bytes(std::span(file)));
  if (!manifest.ok()) return 0;
  for (const PathSpec& path : manifest->paths) {
    const BlobFile& blobs = manifest->blob_files.at(path.file);
    if (path.offset + path.bytes > blobs.bytes || path.offset + path.bytes < path.offset) __builtin_trap();
  }
  return 0;
}
