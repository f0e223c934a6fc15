#include "engine/kernels/instruction_sets.h"
#include "engine/kernels/simd_avx512.h"
#include "engine/kernels/table.inl.h"
#include "engine/kernels/turned_avx512.h"

namespace colonnade::engine {

constinit const KernelTable kAvx512Kernels = make_table<avx512::Simd, avx512::Turned>("avx512");

}  // namespace colonnade::engine
