#include <catch2/catch.hpp>

#include <string>

#include "engine/kernels/instruction_sets.h"

using namespace colonnade;
using namespace colonnade::engine;

namespace {

bool everything(const KernelTable&) { return true; }
bool only_scalar(const KernelTable& table) { return &table == &kScalarKernels; }
bool all_but_the_best(const KernelTable& table) { return &table != all_kernels().front(); }

}  // namespace

TEST_CASE("auto chooses the best table that the machine supports") {
  for (const char* name : {"", "auto"}) {
    CHECK(*choose_among(name, everything) == all_kernels().front());
    CHECK(*choose_among(name, only_scalar) == &kScalarKernels);
    CHECK(*choose_among(name, all_but_the_best) == all_kernels()[1]);
  }
  CHECK(*choose_among("scalar", everything) == &kScalarKernels);
  CHECK(kernels_supported(**choose_kernels("auto")));
  CHECK(kernels_supported(kScalarKernels));
}

#if defined(__x86_64__)
TEST_CASE("a forced instruction set that the machine lacks is an error, not a slower one") {
  const auto result = choose_among("avx512", all_but_the_best);
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().code == ErrorCode::kUnsupported);
  CHECK(result.error().message == "--isa: this machine does not have \"avx512\"; it has avx512-vnni, avx2, scalar");
  for (const KernelTable* table : all_kernels()) CHECK(choose_kernels(table->name).ok() == kernels_supported(*table));
}

TEST_CASE("an unknown instruction set is an error that lists the known ones") {
  const auto result = choose_kernels("sse9");
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().code == ErrorCode::kInvalidArgument);
  CHECK(result.error().message == "--isa: expected auto, avx512, avx512-vnni, avx2, scalar; found \"sse9\"");
}
#endif

TEST_CASE("every table has a multiplication for every format") {
  for (const KernelTable* table : all_kernels()) {
    CAPTURE(table->name);
    for (const Format* format : all_formats()) CHECK(table->strips[static_cast<int>(format->id())] != nullptr);
  }
}
