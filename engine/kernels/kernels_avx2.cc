#include "engine/kernels/instruction_sets.h"
#include "engine/kernels/simd_avx2.h"
#include "engine/kernels/table.inl.h"
#include "engine/kernels/turned_avx2.h"

namespace colonnade::engine {

constinit const KernelTable kAvx2Kernels = make_table<avx2::Simd, avx2::Turned>("avx2");

}  // namespace colonnade::engine
