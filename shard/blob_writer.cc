#include "shard/blob_writer.h"

#include <array>

#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::shard {
namespace {

std::string file_name(std::size_t index) {
  std::string digits = std::to_string(index);
  if (digits.size() < 5) digits.insert(0, 5 - digits.size(), '0');
  return text("model-", digits, ".paths");
}

}  // namespace

BlobWriter::BlobWriter(std::filesystem::path directory, std::uint64_t file_bytes)
    : directory_(std::move(directory)), file_bytes_(file_bytes) {
  // Handles are used outside of the lock, so they must not move: far more files than descriptors allow.
  files_.reserve(1 << 16);
}

Status BlobWriter::place(PathSpec& path) {
  const bool fits = !files_.empty() && files_.back().bytes + path.bytes <= file_bytes_;
  if (!fits && (files_.empty() || files_.back().bytes > 0)) {
    COLONNADE_CHECK(files_.size() < files_.capacity(), "more files of blobs than were thought possible");
    const auto name = directory_ / file_name(files_.size());
    COLONNADE_ASSIGN(FileHandle handle, FileHandle::create(name));
    files_.push_back({name, std::move(handle)});
  }
  OpenFile& file = files_.back();
  path.file = static_cast<std::uint32_t>(files_.size() - 1);
  path.offset = file.bytes;
  file.bytes += round_up(path.bytes, kBlobAlignment);
  return {};
}

Status BlobWriter::write(std::size_t index, PathSpec& path, std::span<const std::byte> blob) {
  const OpenFile* file = nullptr;
  {
    std::unique_lock lock(mutex_);
    turn_.wait(lock, [&] { return abandoned_ || next_ == index; });
    if (abandoned_) return Error{ErrorCode::kCancelled, "packing was abandoned"};
    COLONNADE_TRY(place(path));
    file = &files_[path.file];
    ++next_;
  }
  turn_.notify_all();
  return file->handle.write_at(blob, path.offset, file->path);
}

void BlobWriter::abandon() {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
  }
  turn_.notify_all();
}

Result<std::vector<BlobFile>> BlobWriter::finish() {
  static constexpr std::array<std::byte, kBlobAlignment> kZeros{};
  std::vector<BlobFile> list;
  for (const OpenFile& file : files_) {
    // The last blob may end within a block; readers read whole blocks.
    std::error_code error;
    const std::uint64_t written = std::filesystem::file_size(file.path, error);
    if (error || written > file.bytes || file.bytes - written > kZeros.size())
      return Error{ErrorCode::kIo, text(file.path.string(), ": expected about ", file.bytes, " bytes, found ", written)};
    COLONNADE_TRY(file.handle.write_at(std::span(kZeros).first(file.bytes - written), written, file.path));
    COLONNADE_TRY(file.handle.flush(file.path));
    list.push_back({file.path.filename().string(), file.bytes});
  }
  COLONNADE_TRY(flush_directory(directory_));
  return list;
}

}  // namespace colonnade::shard
