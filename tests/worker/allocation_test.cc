// The step loop allocates nothing: every operator new of this program is counted while steps run.
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>

#include "tests/support/golden.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 0  // sanitizers have an operator new of their own
#else
#define COUNTS_ALLOCATIONS 1
#endif

namespace {

std::atomic<long> allocations{0};

[[maybe_unused]] void* counted(std::size_t bytes, std::size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

#if COUNTS_ALLOCATIONS
void* operator new(std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return counted(bytes, static_cast<std::size_t>(alignment)); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#endif

using namespace colonnade;
using namespace colonnade::tests;

namespace {

engine::Step decode_step(int position) {
  engine::Step step;
  add_sequence(step, std::vector<std::int32_t>(64, 5), position, 1, 0);
  add_sequence(step, std::vector<std::int32_t>(64, 9), position, 1, 2);
  for (engine::StepRow& row : step.rows) {
    row.flags = engine::kRowSample;
    row.temperature = 0.8f;
    row.n_top = 3;
    row.first_mask = 0;
    row.position = position + 1;
  }
  step.masks.assign(1024, 0x12345678u);  // both rows' own; as long as any of the models needs
  return step;
}

long allocations_of_steps(int n_ranks, int n_stages) {
  const auto source = tests::source_folder() / "tests/data/golden/qwen3_moe";
  worker::LocalRanksOptions options;
  options.threads_per_rank = 2;
  TestJob job(packed_model(source, engine::FormatId::kInt8), n_ranks, n_stages, options);
  std::vector<engine::Step> steps;
  for (int position = 0; position < 40; ++position) steps.push_back(decode_step(position));
  engine::StepResult result;
  // In the first two rounds the buffers, which take turns, find their size.
  for (int round = 0; round < 2; ++round)
    for (const engine::Step& step : steps) job.run(step, result);
  const long before = allocations.load();
  for (const engine::Step& step : steps) job.run(step, result);
  return allocations.load() - before;
}

}  // namespace

TEST_CASE("steps allocate nothing once buffers have their size") {
  if (!COUNTS_ALLOCATIONS) COLONNADE_SKIP("allocations cannot be counted under a sanitizer");
  CHECK(allocations_of_steps(1, 1) == 0);
  CHECK(allocations_of_steps(3, 1) == 0);
  CHECK(allocations_of_steps(3, 2) == 0);
}

TEST_CASE("the counter counts") {
  if (!COUNTS_ALLOCATIONS) COLONNADE_SKIP("allocations cannot be counted under a sanitizer");
  const long before = allocations.load();
  const auto memory = std::make_unique<int>(1);
  CHECK(allocations.load() == before + 1);
}
