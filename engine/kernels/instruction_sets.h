// The tables that this build has. Internal to engine/kernels.
#pragma once

#include "engine/kernels/kernels.h"

namespace colonnade::engine {

extern const KernelTable kScalarKernels;
#if defined(__x86_64__)
extern const KernelTable kAvx2Kernels;
extern const KernelTable kAvx512VnniKernels;
extern const KernelTable kAvx512Kernels;
#endif

/// choose_kernels() on a machine of which `supported` tells what it has.
Result<const KernelTable*> choose_among(std::string_view name, bool (*supported)(const KernelTable&));

}  // namespace colonnade::engine
