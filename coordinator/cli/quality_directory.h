// The directory of colonnade quality: results of finished points, work in the making, table and plot. Locked while it is used.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/cli/quality_rows.h"
#include "engine/base/result.h"
#include "shard/durable_file.h"

namespace colonnade::cli {

class QualityDirectory {
 public:
  /// Makes `path` or takes over what an earlier run left, which a mark shows (.quality.json). kInvalidArgument when it holds anything and no
  /// mark; kUnavailable when another process is at it.
  static Result<QualityDirectory> open(const std::filesystem::path& path);
  ~QualityDirectory();
  QualityDirectory(QualityDirectory&&) noexcept = default;
  QualityDirectory& operator=(QualityDirectory&&) noexcept = default;

  /// The row of a point that was finished with the same key. What cannot be read counts as not there.
  std::optional<QualityRow> find_row(const std::string& name, const std::string& key) const;
  Status write_row(const QualityRow& row, const std::string& key) const;

  /// table.md, table.csv, table.json, plot.svg.
  Status write_reports(const std::vector<QualityRow>& rows, const QualityFacts& facts) const;

  /// A place for a model in the making; what it depends on is `key`.
  std::filesystem::path work(const std::string& name, const std::string& key) const;
  void remove_work(const std::string& name, const std::string& key) const;
  void remove_all_work() const;

 private:
  QualityDirectory(std::filesystem::path path, shard::FileLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  std::optional<shard::FileLock> lock_;
};

}  // namespace colonnade::cli
