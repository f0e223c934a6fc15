// Sixteen positions at once leave in a page what they leave one by one.
#include <catch2/catch.hpp>

#include <limits>

#include "tests/engine/kernels/fixtures.h"

using colonnade::AlignedBuffer;
using namespace colonnade::engine;
using namespace colonnade::tests;

TEST_CASE("positions that are stored together have the bytes of those that are stored alone") {
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  for (const KernelTable* table : tables) {
    for (int type = 0; type < kKvTypes; ++type) {
      for (const int head_dim : {1, 16, 20, 64, 80, 100, 128}) {
        const auto dim = static_cast<std::size_t>(head_dim), stride = dim + 7;
        std::vector<float> keys = normal_values(16 * stride, 1), values = normal_values(16 * stride, 2);
        for (std::size_t d = 0; d < dim; ++d) keys[3 * stride + d] = values[4 * stride + d] = 0.0f;
        for (std::size_t d = 0; d < dim; ++d) keys[5 * stride + d] = values[6 * stride + d] = 1e-44f;
        for (std::size_t d = 0; d < dim; ++d) values[7 * stride + d] = 1e38f;
        keys[8 * stride] = values[9 * stride + dim / 2] = std::numeric_limits<float>::quiet_NaN();
        keys[10 * stride + dim / 2] = values[11 * stride] = std::numeric_limits<float>::infinity();
        // What is behind the last row is not theirs.
        keys.resize(15 * stride + dim);
        values.resize(15 * stride + dim);
        const std::size_t bytes = kv_block_bytes(head_dim, static_cast<KvType>(type));
        AlignedBuffer<std::byte> together(bytes), alone(bytes);
        std::memset(together.data(), 0x55, bytes);
        std::memset(alone.data(), 0x55, bytes);
        for (const int slot : {16, 0}) {
          table->store_kv_positions[type](keys.data(), values.data(), stride, head_dim, slot, together.data());
          for (std::size_t i = 0; i < 16; ++i)
            scalar_table().store_kv[type](&keys[i * stride], &values[i * stride], head_dim, slot + static_cast<int>(i), alone.data());
          CAPTURE(table->name, type, head_dim, slot);
          CHECK(std::memcmp(together.data(), alone.data(), bytes) == 0);
        }
      }
    }
  }
}
