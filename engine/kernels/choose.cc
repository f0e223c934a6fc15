// Which tables this machine can run. Compiled with baseline flags, so that asking is safe anywhere.
#include <string>

#include "engine/base/format_text.h"
#include "engine/kernels/instruction_sets.h"

namespace colonnade::engine {

std::span<const KernelTable* const> all_kernels() {
  static const KernelTable* const kTables[] = {
#if defined(__x86_64__)
      &kAvx512Kernels, &kAvx512VnniKernels, &kAvx2Kernels,
#endif
      &kScalarKernels};
  return kTables;
}

bool kernels_supported(const KernelTable& table) {
  if (&table == &kScalarKernels) return true;
#if defined(__x86_64__)
  // The builtin looks at cpuid and at what the operating system saves (XCR0).
  __builtin_cpu_init();
  if (&table == &kAvx2Kernels) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                                       __builtin_cpu_supports("popcnt");
  const bool has_vnni = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("popcnt") &&
                        __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
  if (&table == &kAvx512VnniKernels) return has_vnni;
  if (&table == &kAvx512Kernels)
    return has_vnni && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
#endif
  return false;
}

Result<const KernelTable*> choose_among(std::string_view name, bool (*supported)(const KernelTable&)) {
  std::string names, usable;
  bool known = name.empty() || name == "auto";
  for (const KernelTable* table : all_kernels()) {
    names += text(", ", table->name);
    const bool wanted = name.empty() || name == "auto" || name == table->name;
    known = known || wanted;
    if (!supported(*table)) continue;
    if (wanted) return table;
    usable += text(usable.empty() ? "" : ", ", table->name);
  }
  if (!known) return Error{ErrorCode::kInvalidArgument, text("--isa: expected auto", names, "; found \"", name, "\"")};
  return Error{ErrorCode::kUnsupported,
               text("--isa: this machine does not have \"", name, "\"; it has ", usable.empty() ? "none" : usable)};
}

Result<const KernelTable*> choose_kernels(std::string_view name) { return choose_among(name, kernels_supported); }

}  // namespace colonnade::engine
