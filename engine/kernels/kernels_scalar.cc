#include "engine/kernels/instruction_sets.h"
#include "engine/kernels/simd_scalar.h"
#include "engine/kernels/table.inl.h"
#include "engine/kernels/turned_scalar.h"

namespace colonnade::engine {

constinit const KernelTable kScalarKernels = make_table<scalar::Simd, scalar::Turned>("scalar");

}  // namespace colonnade::engine
