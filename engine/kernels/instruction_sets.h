// The tables that this build has. Internal to engine/kernels.
#pragma once

#include "engine/kernels/kernels.h"

namespace colonnade::engine {

extern const KernelTable kScalarKernels;
#if defined(__x86_64__)
extern const KernelTable kAvx2Kernels;
extern const KernelTable kAvx512Kernels;
#endif

}  // namespace colonnade::engine
