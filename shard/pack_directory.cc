#include "shard/pack_directory.h"

#include <utility>
#include <vector>

#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "shard/manifest.h"

namespace colonnade::shard {
namespace {

constexpr const char* kLockName = ".packing";

/// Files that only a pack makes.
bool is_ours(const std::filesystem::path& name) {
  return name == kLockName || name == std::string(kManifestName) + ".tmp" || name.extension() == ".paths";
}

struct Contents {
  bool locked = false;                      // an unfinished pack was or is here
  std::string foreign;                      // some file that is not ours
  std::vector<std::filesystem::path> ours;  // without the lock
};

Result<Contents> list(const std::filesystem::path& path) {
  Contents contents;
  std::error_code error;
  for (auto at = std::filesystem::directory_iterator(path, error); !error && at != std::filesystem::directory_iterator();
       at.increment(error)) {
    const auto name = at->path().filename();
    if (name == kLockName) contents.locked = true;
    else if (is_ours(name)) contents.ours.push_back(at->path());
    else contents.foreign = name.string();
  }
  if (error) {
    const bool gone = error == std::errc::no_such_file_or_directory;
    return Error{gone ? ErrorCode::kNotFound : ErrorCode::kIo,
                 text(path.string(), ": cannot be listed: ", error.message())};
  }
  return contents;
}

void remove_ours(const std::filesystem::path& path) {
  std::error_code ignored;
  if (const auto contents = list(path); contents.ok())
    for (const auto& file : contents->ours) std::filesystem::remove(file, ignored);
}

/// Makes `path` and what leads to it, so that a crash does not undo it. False when it was there.
Result<bool> make_durably(const std::filesystem::path& path) {
  std::error_code error;
  std::vector<std::filesystem::path> parents;  // directories that get a new name
  for (auto at = std::filesystem::absolute(path, error); at.has_relative_path() && !std::filesystem::exists(at, error);
       at = at.parent_path())
    parents.push_back(at.parent_path());
  const bool made = std::filesystem::create_directories(path, error);
  if (error) return Error{ErrorCode::kIo, text(path.string(), ": cannot be made: ", error.message())};
  if (made) {
    for (const auto& parent : parents) COLONNADE_TRY(flush_directory(parent));
  }
  return made;
}

}  // namespace

Result<PackDirectory> PackDirectory::open(const std::filesystem::path& path, bool wait) {
  // A packer that gives up removes the directory under those who wait for it: then theirs is a new one.
  constexpr int kAttempts = 100;
  auto directory = try_open(path, wait);
  for (int i = 1; i < kAttempts && !directory.ok() && directory.error().code == ErrorCode::kNotFound; ++i)
    directory = try_open(path, wait);
  return directory;
}

Result<PackDirectory> PackDirectory::try_open(const std::filesystem::path& path, bool wait) {
  COLONNADE_ASSIGN(const bool made, make_durably(path));
  if (!made) {
    COLONNADE_ASSIGN(const Contents before, list(path));
    if (!before.locked && !(wait && is_packed_model(path)) && (!before.foreign.empty() || !before.ours.empty()))
      return Error{ErrorCode::kInvalidArgument,
                   text(path.string(), ": expected a new or empty directory, found ",
                        before.foreign.empty() ? before.ours.front().filename().string() : before.foreign)};
  }
  auto lock = FileLock::acquire(path / kLockName, false);
  if (!lock.ok() && lock.error().code == ErrorCode::kUnavailable) {
    if (!wait)
      return Error{ErrorCode::kUnavailable, text(path.string(), ": another process is packing a model there")};
    log_info(text("waiting for another process that packs ", path.string()));
    lock = FileLock::acquire(path / kLockName, true);
  }
  if (!lock.ok()) return lock.error();

  PackDirectory directory(path, std::move(lock).value());
  directory.made_ = made;
  if (is_packed_model(path)) {
    directory.finished_ = true;
    directory.lock_.remove();
    return directory;
  }
  COLONNADE_ASSIGN(const Contents contents, list(path));
  if (!contents.ours.empty()) {
    log_info(text(path.string(), ": removing ", contents.ours.size(), " files of a pack that was not finished"));
    remove_ours(path);
  }
  return directory;
}

PackDirectory::~PackDirectory() {
  if (path_.empty() || finished_) return;
  remove_ours(path_);
  lock_.remove();
  std::error_code ignored;
  if (made_) std::filesystem::remove(path_, ignored);  // only when empty
}

void PackDirectory::commit() {
  lock_.remove();
  path_.clear();
}

}  // namespace colonnade::shard
