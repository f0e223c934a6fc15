#include "engine/kernels/instruction_sets.h"
#include "engine/kernels/simd_avx512.h"
#include "engine/kernels/table.inl.h"
#include "engine/kernels/turned_avx512.h"

namespace colonnade::engine {

constinit const KernelTable kAvx512VnniKernels = make_table<avx512_vnni::Simd, avx512_vnni::Turned>("avx512-vnni");

}  // namespace colonnade::engine
