// Command lines of mpirun, and what it leaves behind when it is killed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "coordinator/child_process.h"
#include "engine/base/result.h"

namespace colonnade::cli {

/// Folders that exist as long as a job.
class JobFolders {
 public:
  JobFolders() = default;
  ~JobFolders();
  JobFolders(const JobFolders&) = delete;
  JobFolders& operator=(const JobFolders&) = delete;

  /// A new folder in `parent`; "" when that cannot be.
  std::string make(const std::string& parent);

 private:
  std::vector<std::filesystem::path> folders_;
};

struct MpirunJob {
  int n_ranks = 1;
  std::string hosts_file;     // "" : this machine
  bool oversubscribe = false;  // more ranks than mpirun would allow by itself
};

/// Our own program's path.
Result<std::string> own_program();

/// Begins `command` with mpirun and its options; the program and its arguments are to be appended. kNotFound when there is no mpirun. `folders`
/// must live as long as the job.
Status begin_mpirun(const MpirunJob& job, JobFolders& folders, coordinator::ChildCommand& command);

}  // namespace colonnade::cli
