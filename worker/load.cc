#include "worker/load.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "shard/checksum.h"

namespace colonnade::worker {
namespace {

// Large enough that a read costs little against its data, small enough that the bytes are still in L2 when they are
// hashed.
constexpr std::uint64_t kChunkBytes = std::uint64_t{512} << 10;

class File {
 public:
  static Result<File> open(const std::filesystem::path& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
      return Error{errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, text(path.string(), ": ", std::strerror(errno))};
    return File(descriptor);
  }
  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int descriptor() const { return descriptor_; }

 private:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// What the loading threads share.
struct Loading {
  const shard::Manifest& manifest;
  const std::filesystem::path& directory;
  const shard::SliceLayout& layout;
  std::span<std::byte> memory;
  const LoadOptions& options;
  LoadState& state;
  std::vector<std::optional<File>> files;  // by the manifest's number; only those that the slice needs
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> error;

  bool stopped() const { return state.cancelled.load(std::memory_order_relaxed); }

  void fail(Error found) {
    const std::lock_guard lock(mutex);
    if (!error) error = std::move(found);
    next.store(layout.reads.size(), std::memory_order_relaxed);  // the others stop at their next read
  }
};

std::string path_name(const Loading& loading, const shard::SliceRead& read) {
  return text((loading.directory / loading.manifest.blob_files[read.file].name).string(), ": ",
              shard::path_title(loading.manifest.paths[read.path]));
}

Status read_one(Loading& loading, const shard::SliceRead& read, shard::RunningChecksum& checksum) {
  const bool verify = loading.options.verify;
  if (verify) checksum.begin();
  const int descriptor = loading.files[read.file]->descriptor();
  std::byte* to = loading.memory.data() + read.destination;
  for (std::uint64_t done = 0; done < read.bytes;) {
    if (loading.stopped()) return Error{ErrorCode::kCancelled, "loading was cancelled"};
    const std::uint64_t wanted = std::min(kChunkBytes, read.bytes - done);
    const ssize_t got = ::pread(descriptor, to + done, wanted, static_cast<off_t>(read.offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error{ErrorCode::kIo, text(path_name(loading, read), ": ", std::strerror(errno))};
    if (got == 0)
      return Error{ErrorCode::kCorrupt, text(path_name(loading, read), ": the file ends at byte ", read.offset + done,
                                             ", the path at byte ", read.offset + read.bytes)};
    const auto count = static_cast<std::uint64_t>(got);
    if (verify) checksum.add({to + done, count});
    done += count;
    loading.state.loaded_bytes.fetch_add(count, std::memory_order_relaxed);
  }
  if (!verify) return {};
  const std::uint64_t expected = read.checksum;
  const std::uint64_t found = checksum.value();
  if (found != expected)
    return Error{ErrorCode::kCorrupt, text(path_name(loading, read), ": checksum is ", std::hex, found, ", the manifest says ",
                                           expected)};
  return {};
}

void run_thread(Loading& loading, int cpu) {
  if (cpu >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    // Pages are bound to their node already; pinning only keeps threads from crowding on one core.
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
  }
  shard::RunningChecksum checksum;
  for (;;) {
    const std::size_t index = loading.next.fetch_add(1, std::memory_order_relaxed);
    if (index >= loading.layout.reads.size()) return;
    if (Status done = read_one(loading, loading.layout.reads[index], checksum); !done.ok()) {
      loading.fail(done.error());
      return;
    }
  }
}

}  // namespace

std::uint64_t slice_read_bytes(const shard::SliceLayout& layout) {
  std::uint64_t bytes = 0;
  for (const shard::SliceRead& read : layout.reads) bytes += read.bytes;
  return bytes;
}

Status load_slice(const shard::Manifest& manifest, const std::filesystem::path& directory,
                  const shard::SliceLayout& layout, std::span<std::byte> memory, const LoadOptions& options,
                  LoadState& state) {
  COLONNADE_CHECK(memory.size() >= layout.bytes, "the memory is smaller than the slice");
  state.loaded_bytes.store(0);
  state.total_bytes.store(slice_read_bytes(layout));
  Loading loading{.manifest = manifest, .directory = directory, .layout = layout, .memory = memory,
                  .options = options, .state = state, .files = {}, .next = {}, .mutex = {}, .error = {}};
  loading.files.resize(manifest.blob_files.size());
  for (const shard::SliceRead& read : layout.reads) {
    COLONNADE_CHECK(read.file < manifest.blob_files.size(), "a read from a file that the manifest lacks");
    COLONNADE_CHECK(read.destination + read.bytes <= layout.bytes, "a read past the end of the slice");
    if (loading.files[read.file]) continue;
    COLONNADE_ASSIGN(File file, File::open(directory / manifest.blob_files[read.file].name));
    loading.files[read.file].emplace(std::move(file));
  }
  std::vector<std::thread> threads;
  const std::size_t n_threads = std::max<std::size_t>(1, options.cpus.size());
  for (std::size_t i = 0; i < n_threads; ++i)
    threads.emplace_back([&, i] { run_thread(loading, options.cpus.empty() ? -1 : options.cpus[i]); });
  for (std::thread& thread : threads) thread.join();
  if (loading.error) return *loading.error;
  return {};
}

BackgroundLoad::BackgroundLoad(const shard::Manifest& manifest, const std::filesystem::path& directory,
                               const shard::SliceLayout& layout, std::span<std::byte> memory, LoadOptions options,
                               std::function<void()> done)
    : options_(std::move(options)) {
  state_.total_bytes.store(slice_read_bytes(layout));
  thread_ = std::thread([this, &manifest, &directory, &layout, memory, done = std::move(done)] {
    const double start = now_seconds();
    status_ = load_slice(manifest, directory, layout, memory, options_, state_);
    seconds_ = now_seconds() - start;
    finished_.store(true, std::memory_order_release);
    done();
  });
}

BackgroundLoad::~BackgroundLoad() {
  state_.cancelled.store(true, std::memory_order_relaxed);
  thread_.join();
}

}  // namespace colonnade::worker
