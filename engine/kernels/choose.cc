// Which tables this machine can run. Compiled with baseline flags, so that asking is safe anywhere.
#include <string>

#include "engine/base/format_text.h"
#include "engine/kernels/instruction_sets.h"

namespace colonnade::engine {

std::span<const KernelTable* const> all_kernels() {
  static const KernelTable* const kTables[] = {
#if defined(__x86_64__)
      &kAvx512Kernels, &kAvx2Kernels,
#endif
      &kScalarKernels};
  return kTables;
}

bool kernels_supported(const KernelTable& table) {
  if (&table == &kScalarKernels) return true;
#if defined(__x86_64__)
  // The builtin looks at cpuid and at what the operating system saves (XCR0).
  __builtin_cpu_init();
  if (&table == &kAvx2Kernels) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (&table == &kAvx512Kernels)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
#endif
  return false;
}

Result<const KernelTable*> choose_kernels(std::string_view name) {
  std::string names;
  for (const KernelTable* table : all_kernels()) {
    names += text(names.empty() ? "" : ", ", table->name);
    if (name != table->name && !name.empty() && name != "auto") continue;
    if (kernels_supported(*table)) return table;
    if (name == table->name)
      return Error{ErrorCode::kUnsupported, text("--isa: this machine does not have \"", name, "\"")};
  }
  return Error{ErrorCode::kInvalidArgument, text("--isa: expected auto, ", names, "; found \"", name, "\"")};
}

}  // namespace colonnade::engine
