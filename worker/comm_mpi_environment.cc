#include "worker/comm_mpi_environment.h"

#include <mpi.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

namespace colonnade::worker::mpi {
namespace {

/// Containers often forbid the system call with which ranks of one host copy from each other's memory. OpenMPI then
/// fails at the first large message, so it is told beforehand to copy through shared memory.
bool may_read_processes() {
  char from = 1;
  char to = 0;
  const iovec local{&to, 1};
  const iovec remote{&from, 1};
  return ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == 1;
}

/// A control variable of the MPI library as text; "" when there is none.
std::string control_variable(const char* name) {
  int index = 0;
  if (MPI_T_cvar_get_index(name, &index) != MPI_SUCCESS) return "";
  MPI_T_cvar_handle handle{};
  int count = 0;
  if (MPI_T_cvar_handle_alloc(index, nullptr, &handle, &count) != MPI_SUCCESS) return "";
  std::string value(static_cast<std::size_t>(count) + 1, '\0');
  if (MPI_T_cvar_read(handle, value.data()) != MPI_SUCCESS) value.clear();
  MPI_T_cvar_handle_free(&handle);
  return value.substr(0, value.find('\0'));
}

}  // namespace

void prepare_environment() {
  constexpr int kKeep = 0;
  // Set-up calls do wait inside MPI; with more ranks than cores they must let the others run.
  setenv("OMPI_MCA_mpi_yield_when_idle", "1", kKeep);
  if (!may_read_processes()) setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", kKeep);
}

std::string network_name() {
  int provided = 0;
  if (MPI_T_init_thread(MPI_THREAD_SINGLE, &provided) != MPI_SUCCESS) return "network";
  const std::string messaging = control_variable("pml");
  MPI_T_finalize();
  if (messaging == "ucx" || messaging == "cm") return messaging;
  return "tcp";
}

}  // namespace colonnade::worker::mpi
