#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include "engine/formats/bf16.h"
#include "tests/engine/kernels/fixtures.h"

using namespace colonnade;
using namespace colonnade::engine;
using namespace colonnade::tests;

namespace {

constexpr int kPositions = 600;  // three runs
constexpr int kTablePages = 19;
constexpr int kPoolPages = 40;
static_assert(kTablePages * kPageTokens >= kPositions && kPositions > 2 * kRunTokens);

/// In no order; the pool has others between them.
std::vector<std::int32_t> page_table() {
  std::vector<std::int32_t> pages;
  for (int i = 0; i < kTablePages; ++i) pages.push_back((i * 17 + 6) % kPoolPages);
  return pages;
}

/// What an int8 KV cache keeps of one position, computed on its own.
void round_to_int8(float* x, std::size_t count) {
  float largest = 0;
  for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(x[i]));
  const float scale = largest / 127.0f;
  for (std::size_t i = 0; i < count && scale > 0; ++i) x[i] = scale * std::nearbyint(x[i] / scale);
}

/// One KV head's cache of kPositions positions, everything else in it NaN.
struct Cache {
  KvType type;
  int head_dim;
  std::size_t block_bytes;
  std::vector<std::int32_t> pages = page_table();
  float soft_cap = 0;  // of the scores
  std::vector<float> keys, values;  // (kPositions, head_dim), as they are stored
  AlignedBuffer<std::byte> pool;

  Cache(KvType kv, int dim)
      : type(kv), head_dim(dim), block_bytes(kv_block_bytes(dim, kv)),
        keys(normal_values(kPositions * static_cast<std::size_t>(dim), 1)),
        values(normal_values(kPositions * static_cast<std::size_t>(dim), 2)), pool(kPoolPages * block_bytes) {
    std::memset(pool.data(), 0xff, pool.size());  // NaN; in int8 its scales are
    const auto width = static_cast<std::size_t>(dim);
    for (int p = 0; p < kPositions; ++p) {
      const std::size_t at = static_cast<std::size_t>(p) * width;
      scalar_table().store_kv[static_cast<int>(kv)](&keys[at], &values[at], dim, p % kPageTokens, block(p));
    }
    for (auto* stored : {&keys, &values}) {
      if (kv == KvType::kBf16)
        for (float& x : *stored) x = bf16_to_f32(f32_to_bf16(x));
      if (kv == KvType::kInt8)
        for (std::size_t p = 0; p < kPositions; ++p) round_to_int8(stored->data() + p * width, width);
    }
  }

  std::byte* block(int position) {
    return pool.data() + static_cast<std::size_t>(pages[static_cast<std::size_t>(position / kPageTokens)]) * block_bytes;
  }
};

struct Window {
  int first, last;
};

struct Queries {
  int count;
  std::vector<float> values;
  std::size_t stride;
  Queries(int n, int head_dim)
      : count(n), values(normal_values(static_cast<std::size_t>(n * (head_dim + 3)), 3)),
        stride(static_cast<std::size_t>(head_dim) + 3) {}
};

/// Queries may see different windows: query q the one of windows[q], or all the only one.
std::vector<float> attend(const KernelTable& table, Cache& cache, const Queries& queries, const std::vector<Window>& windows) {
  const std::size_t row = kv_value_stride(cache.head_dim);
  const auto count = static_cast<std::size_t>(queries.count);
  AlignedBuffer<float> sums(count * row), next_sums(count * row);
  std::vector<RunQuery> found(count), next(count);
  for (std::size_t q = 0; q < count; ++q) found[q].sum = sums.data() + q * row;
  int first_run = 1 << 30, last_run = 0;
  for (const Window& window : windows) {
    first_run = std::min(first_run, window.first / kRunTokens);
    last_run = std::max(last_run, window.last / kRunTokens);
  }
  AttendArgs args;
  args.head_dim = cache.head_dim;
  args.scale = 0.4f;
  args.soft_cap = cache.soft_cap;
  args.pages = cache.pages.data();
  args.blocks = cache.pool.data();
  args.page_stride_bytes = cache.block_bytes;
  for (int run = first_run; run <= last_run; ++run) {
    std::vector<std::size_t> who;
    for (std::size_t q = 0; q < count; ++q) {
      const Window& window = windows[windows.size() == 1 ? 0 : q];
      if (window.last < run * kRunTokens || window.first >= (run + 1) * kRunTokens) continue;
      RunQuery& query = next[who.size()];
      query.query = queries.values.data() + q * queries.stride;
      query.sum = next_sums.data() + who.size() * row;
      query.first = std::max(window.first, run * kRunTokens);
      query.last = std::min(window.last, (run + 1) * kRunTokens - 1);
      who.push_back(q);
    }
    args.queries = next.data();
    args.n_queries = static_cast<int>(who.size());
    table.attend[static_cast<int>(cache.type)](args);
    for (std::size_t i = 0; i < who.size(); ++i) {
      RunQuery& before = found[who[i]];
      if (before.total != 0.0f) {
        table.combine_runs(before, next[i], row);
        continue;
      }
      std::copy_n(next[i].sum, row, before.sum);
      before.largest = next[i].largest;
      before.total = next[i].total;
    }
  }
  for (RunQuery& query : found) table.scale(query.sum, 1.0f / query.total, row);
  return {sums.data(), sums.data() + sums.size()};
}

/// Largest difference from a plain softmax in double precision.
double worst_error(const Cache& cache, const Queries& queries, Window window, const std::vector<float>& out) {
  const auto dim = static_cast<std::size_t>(cache.head_dim);
  const std::size_t out_stride = out.size() / static_cast<std::size_t>(queries.count);
  double worst = 0;
  for (std::size_t q = 0; q < static_cast<std::size_t>(queries.count); ++q) {
    std::vector<double> sums(dim, 0.0);
    std::vector<double> scores;
    double largest = -1e300, total = 0;
    for (int p = window.first; p <= window.last; ++p) {
      double score = 0;
      for (std::size_t d = 0; d < dim; ++d) {
        score += static_cast<double>(queries.values[q * queries.stride + d]) *
                 static_cast<double>(cache.keys[static_cast<std::size_t>(p) * dim + d]);
      }
      const auto cap = static_cast<double>(cache.soft_cap);
      score *= static_cast<double>(0.4f);
      scores.push_back(cap == 0 ? score : cap * std::tanh(score / cap));
      largest = std::max(largest, scores.back());
    }
    for (int p = window.first; p <= window.last; ++p) {
      const double weight = std::exp(scores[static_cast<std::size_t>(p - window.first)] - largest);
      total += weight;
      for (std::size_t d = 0; d < dim; ++d) {
        sums[d] += weight * static_cast<double>(cache.values[static_cast<std::size_t>(p) * dim + d]);
      }
    }
    for (std::size_t d = 0; d < dim; ++d) {
      const double error = std::fabs(static_cast<double>(out[q * out_stride + d]) - sums[d] / total);
      worst = std::isnan(error) ? 1e300 : std::max(worst, error);
    }
  }
  return worst;
}

constexpr Window kWindows[] = {{0, 0},    {0, 1},     {0, 15},   {0, 16},    {0, 31},    {0, 32},   {0, 149},
                               {5, 5},    {31, 32},   {33, 95},  {63, 64},   {64, 127},  {100, 149}, {149, 149},
                               {0, 255},  {0, 256},   {0, 599},  {250, 260}, {255, 512}, {300, 599}, {599, 599}};
constexpr KvType kTypes[] = {KvType::kF32, KvType::kBf16, KvType::kInt8};

}  // namespace

TEST_CASE("attention is a softmax over the window, whatever lies outside of it") {
  for (const KvType type : kTypes) {
    for (const int head_dim : {1, 8, 12, 15, 24, 64, 80, 96, 128}) {
      Cache cache(type, head_dim);
      const Queries queries(3, head_dim);
      for (const Window window : kWindows) {
        CAPTURE(static_cast<int>(type), head_dim, window.first, window.last);
        const auto out = attend(scalar_table(), cache, queries, {window});
        // The reference rounds int8 numbers times their scale to float, the kernels do not.
        CHECK(worst_error(cache, queries, window, out) < (type == KvType::kInt8 ? 2e-5 : 4e-6));
        // Zeros up to a multiple of 16.
        const std::size_t stride = out.size() / 3;
        for (std::size_t d = static_cast<std::size_t>(head_dim); d < stride; ++d) CHECK(out[stride + d] == 0.0f);
      }
    }
  }
}

TEST_CASE("scores with a soft cap") {
  for (const KvType type : kTypes) {
    Cache cache(type, 24);
    cache.soft_cap = 1.5f;
    const Queries queries(3, 24);
    for (const Window window : {Window{0, 0}, Window{5, 70}, Window{100, 599}}) {
      const auto out = attend(scalar_table(), cache, queries, {window});
      CHECK(worst_error(cache, queries, window, out) < (type == KvType::kInt8 ? 2e-5 : 4e-6));
      for (const KernelTable* table : vector_tables()) CHECK(same_bits(attend(*table, cache, queries, {window}), out));
    }
  }
}

TEST_CASE("every instruction set attends to the same bits, for any number of query heads") {
  for (const KernelTable* table : vector_tables()) {
    for (const KvType type : kTypes) {
      for (const int head_dim : {1, 8, 12, 24, 64, 80, 96, 128}) {
        Cache cache(type, head_dim);
        for (const int n_queries : {1, 2, 3, 4, 5, 8, 16, 35}) {
          const Queries queries(n_queries, head_dim);
          for (const Window window : kWindows) {
            if (n_queries > 5 && window.last != 599) continue;
            CAPTURE(table->name, static_cast<int>(type), head_dim, n_queries, window.first, window.last);
            if (!same_bits(attend(*table, cache, queries, {window}), attend(scalar_table(), cache, queries, {window})))
              FAIL_CHECK("different bits");
          }
        }
      }
    }
  }
}

TEST_CASE("a query's result does not depend on the queries beside it, nor on what they see") {
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  for (const KernelTable* table : tables) {
    for (const KvType type : kTypes) {
      Cache cache(type, 80);
      const Queries together(23, 80);
      std::vector<Window> windows;
      for (int q = 0; q < together.count; ++q) windows.push_back({q % 3 == 0 ? 0 : q * 13, 299 + q / 2 * (q % 5)});
      const auto out = attend(*table, cache, together, windows);
      for (std::size_t q = 0; q < windows.size(); ++q) {
        Queries alone(1, 80);
        std::copy_n(&together.values[q * together.stride], together.stride, alone.values.begin());
        const auto single = attend(*table, cache, alone, {windows[q]});
        CAPTURE(table->name, static_cast<int>(type), q);
        CHECK(std::memcmp(single.data(), &out[q * single.size()], single.size() * sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("tokens of a prompt that each see one position more, and a sliding window, give what each alone gives") {
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  for (const KernelTable* table : tables) {
    for (const KvType type : kTypes) {
      for (const int head_dim : {32, 64, 128}) {
        Cache cache(type, head_dim);
        const Queries together(16, head_dim);
        for (const int begin : {0, 3, 77, 116, 250, 500}) {
          for (const int seen : {1000, 90, 7}) {
            std::vector<Window> windows;
            for (int q = 0; q < together.count; ++q) windows.push_back({std::max(0, begin + q - seen), begin + q});
            const auto out = attend(*table, cache, together, windows);
            for (std::size_t q = 0; q < windows.size(); q += 5) {
              Queries alone(1, head_dim);
              std::copy_n(&together.values[q * together.stride], together.stride, alone.values.begin());
              const auto single = attend(scalar_table(), cache, alone, {windows[q]});
              CAPTURE(table->name, static_cast<int>(type), head_dim, begin, seen, q);
              CHECK(std::memcmp(single.data(), &out[q * single.size()], single.size() * sizeof(float)) == 0);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("attention with scores far apart neither overflows nor gives NaN") {
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  Cache cache(KvType::kF32, 16);
  Queries queries(2, 16);
  for (float& q : queries.values) q *= 1000.0f;
  for (const KernelTable* table : tables) {
    CAPTURE(table->name);
    CHECK(worst_error(cache, queries, {0, 599}, attend(*table, cache, queries, {{0, 599}})) < 2e-3);
  }
}

TEST_CASE("an int8 KV cache keeps positions of zeros, of one value and of tiny values") {
  const int head_dim = 20;
  AlignedBuffer<std::byte> block(kv_block_bytes(head_dim, KvType::kInt8));
  const std::vector<float> zeros(20, 0.0f), ones(20, -3.0f), tiny(20, 1e-44f);
  const auto store = scalar_table().store_kv[static_cast<int>(KvType::kInt8)];
  store(zeros.data(), ones.data(), head_dim, 0, block.data());
  store(tiny.data(), zeros.data(), head_dim, 31, block.data());
  const auto* elements = reinterpret_cast<const std::int8_t*>(block.data());
  const auto* scales = reinterpret_cast<const float*>(elements + kv_block_elements(head_dim));
  CHECK(scales[0] == 0.0f);
  CHECK(scales[kPageTokens] == 3.0f / 127.0f);
  CHECK(elements[kPageTokens * 20] == -127);
  CHECK(elements[kPageTokens * 20 + 20] == 0);  // padding
  CHECK(scales[kPageTokens + 31] == 0.0f);
  CHECK(elements[(head_dim + 19) * 16 + 15] == (scales[31] == 0.0f ? 0 : 127));
}
