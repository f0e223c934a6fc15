#include "shard/prune/safetensors_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <system_error>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/formats/bf16.h"
#include "shard/durable_file.h"

namespace colonnade::shard {
namespace {

constexpr std::size_t kAlignment = 8;
/// Numbers that are read at a time.
constexpr std::uint64_t kChunk = 1u << 20;

/// Calls use(values) for all numbers of a tensor, some rows at a time.
template <typename Use>
Status for_chunks(const TensorRows& rows, const Use& use) {
  const std::uint64_t count = std::max<std::uint64_t>(1, kChunk / std::max<std::uint64_t>(1, rows.cols()));
  std::vector<float> values;
  for (std::uint64_t r = 0; r < rows.rows(); r += count) {
    const std::uint64_t n = std::min(count, rows.rows() - r);
    values.resize(n * rows.cols());
    COLONNADE_TRY(rows.read({r, n, 0, rows.cols()}, values.data(), rows.cols()));
    COLONNADE_TRY(use(std::span<const float>(values)));
  }
  return {};
}

}  // namespace

void SafetensorsFile::add_owned(std::string name, Dtype dtype, std::vector<std::uint64_t> shape, std::vector<std::byte> data) {
  owned_.push_back(std::move(data));
  Entry& entry = tensors_.emplace_back();
  entry.tensor.name = std::move(name);
  entry.tensor.dtype = dtype;
  entry.tensor.shape = std::move(shape);
  entry.tensor.data = owned_.back();
  entry.bytes = owned_.back().size();
}

Status SafetensorsFile::add_rows(const TensorRows& rows) {
  bool bf16 = true;
  COLONNADE_TRY(for_chunks(rows, [&](std::span<const float> values) -> Status {
    for (const float value : values) bf16 = bf16 && (std::bit_cast<std::uint32_t>(value) & 0xffffu) == 0;
    return {};
  }));
  const Dtype dtype = bf16 ? Dtype::kBf16 : Dtype::kF32;
  Entry& entry = tensors_.emplace_back();
  entry.tensor.name = rows.name();
  entry.tensor.dtype = dtype;
  entry.tensor.shape = rows.shape();
  entry.rows = rows;
  entry.bytes = rows.rows() * rows.cols() * dtype_bytes(dtype);
  return {};
}

Status SafetensorsFile::write(const std::filesystem::path& path) const {
  Json header = Json::object();
  header["__metadata__"] = {{"format", "pt"}};
  std::uint64_t place = 0;
  for (const auto& [tensor, rows, size] : tensors_) {
    header[tensor.name] = {{"dtype", dtype_name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {place, place + size}}};
    place += size;
  }
  std::string start = dump_json(header);
  start.append((kAlignment - start.size() % kAlignment) % kAlignment, ' ');
  const auto length = static_cast<std::uint64_t>(start.size());
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  bytes += start;

  std::filesystem::path temporary = path;
  temporary += ".tmp";
  std::error_code error;
  std::filesystem::remove(temporary, error);
  const auto write_all = [&]() -> Status {
    COLONNADE_ASSIGN(const FileHandle file, FileHandle::create(temporary));
    COLONNADE_TRY(file.write_at(std::as_bytes(std::span(bytes)), 0, temporary));
    std::uint64_t offset = bytes.size();
    for (const auto& [tensor, rows, size] : tensors_) {
      std::uint64_t at = offset;
      const auto write = [&](std::span<const std::byte> data) -> Status {
        COLONNADE_TRY(file.write_at(data, at, temporary));
        at += data.size();
        return {};
      };
      if (!rows) {
        COLONNADE_TRY(write(tensor.data));
      } else {
        std::vector<std::uint16_t> halves;
        COLONNADE_TRY(for_chunks(*rows, [&](std::span<const float> values) -> Status {
          if (tensor.dtype == Dtype::kF32) return write(std::as_bytes(values));
          halves.clear();
          for (const float value : values) halves.push_back(engine::f32_to_bf16(value));
          return write(std::as_bytes(std::span(halves)));
        }));
      }
      offset += size;
    }
    return file.flush(temporary);
  };
  if (const Status written = write_all(); !written.ok()) {
    std::filesystem::remove(temporary, error);  // on a full disk it would be in the way of everything else
    return written;
  }
  std::filesystem::rename(temporary, path, error);
  if (error) return Error{ErrorCode::kIo, text(path.string(), ": cannot be renamed: ", error.message())};
  return flush_directory(path.parent_path());
}

}  // namespace colonnade::shard
