// A host's MPI installation and networks.
#pragma once

#include <string>

#include "coordinator/cli/host_facts.h"

namespace colonnade::cli {

/// Fills in mpi, mpi_selection, interfaces and fast_networks.
void read_network_facts(HostFacts& facts);

/// The values of pml, btl and mtl in the text of an openmpi-mca-params.conf: "pml = ^ucx" -> "pml ^ucx".
std::string mpi_selection_of(const std::string& configuration);

}  // namespace colonnade::cli
