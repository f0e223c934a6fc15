#include "shard/durable_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

Error system_error(const std::filesystem::path& path, std::string_view what, int error) {
  const auto code = error == ENOSPC || error == EDQUOT ? ErrorCode::kExhausted : ErrorCode::kIo;
  return {code, text(path.string(), ": ", what, ": ", std::strerror(error))};
}

}  // namespace

FileHandle::FileHandle(FileHandle&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}
FileHandle::~FileHandle() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<FileHandle> FileHandle::create(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0) return system_error(path, "cannot be created", errno);
  return FileHandle(descriptor);
}

Status FileHandle::write_at(std::span<const std::byte> bytes, std::uint64_t offset,
                            const std::filesystem::path& path) const {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error(path, "cannot be written", n < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Status FileHandle::flush(const std::filesystem::path& path) const {
  if (::fsync(descriptor_) != 0) return system_error(path, "cannot be flushed to the disk", errno);
  return {};
}

Status flush_directory(const std::filesystem::path& directory) {
  const FileHandle handle(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!handle.is_open()) return system_error(directory, "cannot be opened", errno);
  return handle.flush(directory);
}

Status write_file_durably(const std::filesystem::path& path, std::span<const std::byte> content) {
  std::filesystem::path temporary = path;
  temporary += ".tmp";
  ::unlink(temporary.c_str());
  const auto write = [&]() -> Status {
    COLONNADE_ASSIGN(const FileHandle file, FileHandle::create(temporary));
    COLONNADE_TRY(file.write_at(content, 0, temporary));
    COLONNADE_TRY(file.flush(temporary));
    if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error(path, "cannot be renamed", errno);
    return flush_directory(path.parent_path().empty() ? "." : path.parent_path());
  };
  const Status status = write();
  if (!status.ok()) ::unlink(temporary.c_str());
  return status;
}

Result<FileLock> FileLock::acquire(const std::filesystem::path& path, bool wait) {
  while (true) {
    FileLock lock;
    lock.path_ = path;
    lock.file_ = FileHandle(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!lock.file_.is_open()) {
      const bool no_directory = errno == ENOENT;
      Error error = system_error(path, "cannot be created", errno);
      if (no_directory) error.code = ErrorCode::kNotFound;
      return error;
    }
    while (::flock(lock.file_.descriptor(), wait ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK)
        return Error{ErrorCode::kUnavailable, text(path.string(), ": locked by another process")};
      return system_error(path, "cannot be locked", errno);
    }
    // The holder before us may have removed the file: then this lock protects nothing, and we try again.
    struct stat held {}, named {};
    if (::fstat(lock.file_.descriptor(), &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
        held.st_ino == named.st_ino && held.st_dev == named.st_dev)
      return lock;
  }
}

void FileLock::remove() {
  if (file_.is_open()) ::unlink(path_.c_str());
  file_ = FileHandle();
}

}  // namespace colonnade::shard
