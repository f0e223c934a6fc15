// What OpenMPI reads from the environment before MPI_Init, and what it chose afterwards.
#pragma once

#include <string>

namespace colonnade::worker::mpi {

/// Sets the variables that suit us, where the user did not set them.
void prepare_environment();

/// What carries messages between hosts: "tcp", "ucx", …. After MPI_Init.
std::string network_name();

}  // namespace colonnade::worker::mpi
