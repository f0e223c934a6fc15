#include "coordinator/cli/mpirun.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/format_text.h"

namespace colonnade::cli {

JobFolders::~JobFolders() {
  std::error_code ignored;
  for (const auto& folder : folders_) std::filesystem::remove_all(folder, ignored);
}

std::string JobFolders::make(const std::string& parent) {
  std::string folder = parent + "/colonnade-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return "";
  folders_.emplace_back(folder);
  return folder;
}

Result<std::string> own_program() {
  std::error_code failure;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (failure) return Error{ErrorCode::kIo, text("/proc/self/exe: ", failure.message())};
  return program.string();
}

Status begin_mpirun(const MpirunJob& job, JobFolders& folders, coordinator::ChildCommand& command) {
  if (coordinator::find_program("mpirun").empty())
    return Error{ErrorCode::kNotFound, text("mpirun: not found in PATH, and ", job.n_ranks,
                                            " ranks need it (Debian: apt install openmpi-bin)")};
  // Ranks share the cores out themselves; mpirun's own binding puts two small jobs on the same core.
  command.arguments = {"mpirun", "-n", text(job.n_ranks), "--bind-to", "none"};
  if (job.oversubscribe) command.arguments.push_back("--oversubscribe");
  if (!job.hosts_file.empty()) command.arguments.insert(command.arguments.end(), {"--hostfile", job.hosts_file});
  command.death_signal = SIGTERM;  // mpirun then ends its ranks
  if (::geteuid() == 0) {
    command.environment.emplace_back("OMPI_ALLOW_RUN_AS_ROOT", "1");
    command.environment.emplace_back("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
  }
  // A killed mpirun cannot clean up. On one machine everything of it lies in folders that we remove; on several, a
  // folder of ours would be missing on the others.
  if (!job.hosts_file.empty()) return {};
  std::error_code failure;
  const std::string sessions = folders.make(std::filesystem::temp_directory_path(failure).string());
  if (!sessions.empty()) command.environment.emplace_back("OMPI_MCA_orte_tmpdir_base", sessions);
  const std::string shared_memory = folders.make("/dev/shm");
  if (!shared_memory.empty()) command.environment.emplace_back("OMPI_MCA_btl_vader_backing_directory", shared_memory);
  return {};
}

}  // namespace colonnade::cli
