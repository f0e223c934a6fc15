#include "shard/verify.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/progress.h"
#include "shard/checksum.h"
#include "shard/durable_file.h"
#include "shard/pack.h"

namespace colonnade::shard {
namespace {

// Large enough for the disk to stream, small enough for a core's L2.
constexpr std::size_t kPieceBytes = 512 << 10;

struct Reader {
  RunningChecksum checksum;
  std::vector<std::byte> piece = std::vector<std::byte>(kPieceBytes);

  Status check(const PathSpec& path, const FileHandle& file, const std::filesystem::path& name) {
    checksum.begin();
    for (std::uint64_t done = 0; done < path.bytes;) {
      const std::size_t wanted = std::min<std::uint64_t>(piece.size(), path.bytes - done);
      const ssize_t n = ::pread(file.descriptor(), piece.data(), wanted, static_cast<off_t>(path.offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0)
        return Error{ErrorCode::kIo, text(name.string(), ": cannot be read at byte ", path.offset + done, ": ",
                                          n < 0 ? std::strerror(errno) : "it ends there")};
      checksum.add(std::span(piece).first(static_cast<std::size_t>(n)));
      done += static_cast<std::uint64_t>(n);
    }
    if (checksum.value() != path.checksum)
      return Error{ErrorCode::kCorrupt, text(name.string(), ": blob of ", path_title(path), " at offset ", path.offset,
                                             ": expected checksum ", path.checksum, ", found ", checksum.value())};
    return {};
  }
};

}  // namespace

Result<VerifyReport> verify_blobs(const Manifest& manifest, const std::filesystem::path& directory, int threads) {
  std::vector<FileHandle> files;
  for (const BlobFile& blob : manifest.blob_files) {
    files.emplace_back(::open((directory / blob.name).c_str(), O_RDONLY | O_CLOEXEC));
    if (!files.back().is_open())
      return Error{ErrorCode::kIo, text((directory / blob.name).string(), ": cannot be opened: ", std::strerror(errno))};
  }
  VerifyReport report{.threads = work_threads(threads)};
  for (const PathSpec& path : manifest.paths) report.bytes += path.bytes;

  Progress progress("verifying", report.bytes, ProgressUnit::kBytes);
  const double start = now_seconds();
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> first;
  std::size_t first_index = manifest.paths.size();
  const auto work = [&] {
    Reader reader;
    for (std::size_t i = next.fetch_add(1); i < manifest.paths.size(); i = next.fetch_add(1)) {
      const PathSpec& path = manifest.paths[i];
      const Status status = reader.check(path, files[path.file], directory / manifest.blob_files[path.file].name);
      progress.add(path.bytes);
      if (status.ok()) continue;
      const std::lock_guard lock(mutex);
      if (i < first_index) {
        first_index = i;
        first = status.error();
      }
      next = manifest.paths.size();  // paths are taken in order, so all smaller ones are being checked already
    }
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < report.threads; ++t) pool.emplace_back(work);
  work();
  for (std::thread& thread : pool) thread.join();
  report.seconds = now_seconds() - start;
  if (first) return *first;
  progress.finish();
  return report;
}

}  // namespace colonnade::shard
