#include "shard/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::shard {
namespace {

struct OpenFile {
  int descriptor;
  std::uint64_t bytes;
};

Result<OpenFile> open_regular(const std::filesystem::path& path) {
  // O_NONBLOCK: a named pipe that nobody writes to is refused below, not waited for.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    const auto code = errno == ENOENT || errno == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo;
    return Error{code, text(path.string(), ": cannot be opened: ", std::strerror(errno))};
  }
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return Error{ErrorCode::kInvalidArgument, text(path.string(), ": expected a regular file")};
  }
  return OpenFile{descriptor, static_cast<std::uint64_t>(status.st_size)};
}

}  // namespace

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), bytes_);
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  COLONNADE_ASSIGN(const OpenFile file, open_regular(path));
  MappedFile mapped;
  if (file.bytes > 0) {
    void* address = ::mmap(nullptr, file.bytes, PROT_READ, MAP_SHARED, file.descriptor, 0);
    if (address == MAP_FAILED) {
      const int error = errno;
      ::close(file.descriptor);
      return Error{ErrorCode::kIo,
                   text(path.string(), ": cannot map ", format_bytes(file.bytes), ": ", std::strerror(error))};
    }
    mapped.data_ = static_cast<const std::byte*>(address);
    mapped.bytes_ = file.bytes;
  }
  ::close(file.descriptor);
  return mapped;
}

Result<std::string> read_small_file(const std::filesystem::path& path, std::uint64_t limit_bytes) {
  COLONNADE_ASSIGN(const OpenFile file, open_regular(path));
  if (file.bytes > limit_bytes) {
    ::close(file.descriptor);
    return Error{ErrorCode::kExhausted, text(path.string(), ": expected at most ", format_bytes(limit_bytes),
                                             ", found ", format_bytes(file.bytes))};
  }
  std::string content(file.bytes, '\0');
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::read(file.descriptor, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  ::close(file.descriptor);
  if (done != content.size())
    return Error{ErrorCode::kIo,
                 text(path.string(), ": expected ", content.size(), " bytes, could read ", done)};
  return content;
}

}  // namespace colonnade::shard
