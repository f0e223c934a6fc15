#include "coordinator/cli/quality_directory.h"

#include <cstdio>
#include <span>
#include <string_view>

#include "coordinator/cli/quality_plot.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "shard/blob.h"
#include "shard/mapped_file.h"

namespace colonnade::cli {
namespace {

constexpr const char* kLockName = ".quality.lock";
constexpr const char* kMarkName = ".quality.json";  // only directories that have it are ours to clear
constexpr const char* kMark = "{\"made_by\": \"colonnade quality\"}\n";
constexpr const char* kPoints = "points";
constexpr const char* kWork = "work";
constexpr std::uint64_t kMaxRowBytes = 1u << 20;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

/// A file name that says what it is, and is another one for another key.
std::string file_name(const std::string& name, const std::string& key) {
  std::string out;
  for (const char c : name)
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '+') out += c;
    else if (!out.empty() && out.back() != '-') out += '-';
  char hash[32];
  std::snprintf(hash, sizeof hash, "-%016llx", static_cast<unsigned long long>(shard::blob_checksum(bytes_of(key))));
  return out + hash;
}

/// Whether quality has made the directory. kInvalidArgument when a file of that name is somebody else's.
Result<bool> has_mark(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path / kMarkName, ignored)) return false;
  COLONNADE_ASSIGN(const std::string found, shard::read_small_file(path / kMarkName, kMaxRowBytes));
  if (found != kMark)
    return Error{ErrorCode::kInvalidArgument, text((path / kMarkName).string(), ": expected the mark that quality leaves in its directories, found something else")};
  return true;
}

}  // namespace

Result<QualityDirectory> QualityDirectory::open(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return Error{ErrorCode::kIo, text(path.string(), ": cannot be made: ", error.message())};
  COLONNADE_ASSIGN(const bool ours, has_mark(path));
  if (!ours)
    for (const auto& entry : std::filesystem::directory_iterator(path, error))
      if (const std::string name = entry.path().filename().string(); name != kLockName && name != text(kMarkName, ".tmp"))
        return Error{ErrorCode::kInvalidArgument,
                     text(path.string(), ": expected a new or empty directory, or one that quality has made (with ", kMarkName, "), found ", name)};
  auto lock = shard::FileLock::acquire(path / kLockName, false);
  if (!lock.ok() && lock.error().code == ErrorCode::kUnavailable)
    return Error{ErrorCode::kUnavailable, text(path.string(), ": another process is measuring there")};
  if (!lock.ok()) return lock.error();
  if (!ours) COLONNADE_TRY(shard::write_file_durably(path / kMarkName, bytes_of(kMark)));
  for (const char* const folder : {kPoints, kWork}) {
    std::filesystem::create_directories(path / folder, error);
    if (error) return Error{ErrorCode::kIo, text((path / folder).string(), ": cannot be made: ", error.message())};
  }
  return QualityDirectory(path, std::move(*lock));
}

QualityDirectory::~QualityDirectory() {
  if (!path_.empty() && lock_) lock_->remove();
}

std::optional<QualityRow> QualityDirectory::find_row(const std::string& name, const std::string& key) const {
  const std::filesystem::path file = path_ / kPoints / (file_name(name, key) + ".json");
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return std::nullopt;
  const auto read = [&]() -> Result<QualityRow> {
    COLONNADE_ASSIGN(const std::string content, shard::read_small_file(file, kMaxRowBytes));
    COLONNADE_ASSIGN(const Json json, parse_json(content, file.string()));
    COLONNADE_ASSIGN(QualityRow row, parse_row(json, file.string()));
    if (json.value("key", Json()) != Json(key)) return Error{ErrorCode::kCorrupt, text(file.string(), ": expected the result of another run")};
    return row;
  };
  auto row = read();
  if (row.ok()) return std::move(*row);
  log_warning(text("measured again: ", row.error().message));
  return std::nullopt;
}

Status QualityDirectory::write_row(const QualityRow& row, const std::string& key) const {
  OrderedJson json = row_json(row);
  json["key"] = key;
  return shard::write_file_durably(path_ / kPoints / (file_name(row.name, key) + ".json"),
                                   bytes_of(json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n"));
}

Status QualityDirectory::write_reports(const std::vector<QualityRow>& rows, const QualityFacts& facts) const {
  for (const char* const format : {"md", "csv", "json"})
    COLONNADE_TRY(shard::write_file_durably(path_ / text("table.", format), bytes_of(quality_text(rows, facts, format))));
  return shard::write_file_durably(path_ / "plot.svg", bytes_of(quality_svg(rows)));
}

std::filesystem::path QualityDirectory::work(const std::string& name, const std::string& key) const {
  return path_ / kWork / file_name(name, key);
}

void QualityDirectory::remove_work(const std::string& name, const std::string& key) const {
  std::error_code ignored;
  std::filesystem::remove_all(work(name, key), ignored);
}

void QualityDirectory::remove_all_work() const {
  std::error_code ignored;
  std::filesystem::remove_all(path_ / kWork, ignored);
}

}  // namespace colonnade::cli
