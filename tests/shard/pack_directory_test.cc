// Directories of packs: who waits for another's, and what a crash leaves of a new one.
#include "shard/pack_directory.h"

#include <catch2/catch.hpp>

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/base/log.h"
#include "tests/support/shared_data.h"

using namespace colonnade;
using namespace colonnade::tests;
using shard::PackDirectory;

namespace {

/// What this program has flushed to the disk, by path.
struct Flushed {
  std::mutex mutex;
  std::vector<std::filesystem::path> paths;
};
Flushed& flushed() {
  static Flushed all;
  return all;
}

bool was_flushed(const std::filesystem::path& path) {
  const std::lock_guard lock(flushed().mutex);
  return std::find(flushed().paths.begin(), flushed().paths.end(), std::filesystem::canonical(path)) !=
         flushed().paths.end();
}

}  // namespace

/// Stands before the C library's: does the same, and notes what was flushed.
extern "C" int fsync(int descriptor) {
  std::error_code ignored;
  const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor), ignored);
  {
    const std::lock_guard lock(flushed().mutex);
    flushed().paths.push_back(path);
  }
  return static_cast<int>(syscall(SYS_fsync, descriptor));
}

TEST_CASE("A pack that waited for one that gave up and removed the directory makes it anew") {
  set_log_level(LogLevel::kWarning);
  const auto out = scratch_folder() / "packed";
  std::filesystem::create_directories(out);
  auto held = shard::FileLock::acquire(out / ".packing", false);
  REQUIRE(held.ok());
  auto waiting = std::async(std::launch::async, [&] { return PackDirectory::open(out, true); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // too short a sleep passes, too
  std::filesystem::remove_all(out);
  held->remove();
  {
    const auto directory = waiting.get();
    INFO((directory.ok() ? "" : directory.error().message));
    REQUIRE(directory.ok());
    CHECK_FALSE(directory->finished());
    CHECK(std::filesystem::exists(out / ".packing"));
  }
  CHECK_FALSE(std::filesystem::exists(out));  // it gave up as well
  set_log_level(LogLevel::kInfo);
}

TEST_CASE("The names of new directories are flushed to the disk") {
  const auto folder = scratch_folder();
  const auto directory = PackDirectory::open(folder / "cache" / "model", true);
  REQUIRE(directory.ok());
  CHECK(was_flushed(folder));
  CHECK(was_flushed(folder / "cache"));
}

TEST_CASE("A lock in a directory that cannot be is refused, not tried for ever") {
  const auto folder = scratch_folder();
  std::filesystem::create_symlink(folder / "nowhere" / "lock", folder / ".packing");
  const auto directory = PackDirectory::open(folder, true);
  REQUIRE_FALSE(directory.ok());
  CHECK(directory.error().code == ErrorCode::kNotFound);
}
