// Products of fp32 matrices against sums in double, on every instruction set.
#include <catch2/catch.hpp>

#include <cmath>

#include "tests/engine/kernels/fixtures.h"

using namespace colonnade;
using namespace colonnade::engine;
using namespace colonnade::tests;

namespace {

struct Shape {
  std::size_t rows, cols, depth;
};

std::vector<float> product(const KernelTable& table, const Shape& s, const std::vector<float>& a, const std::vector<float>& b,
                           std::vector<float> c) {
  // Strides wider than the matrices: what lies between rows is neither read nor written.
  table.add_product({a.data(), s.rows + 3, b.data(), s.cols + 5, c.data(), s.cols + 2, s.rows, s.cols, s.depth});
  return c;
}

}  // namespace

TEST_CASE("a product has the right values at every size, and the same bits on every instruction set") {
  for (const Shape s : {Shape{1, 1, 1}, Shape{6, 64, 3}, Shape{7, 65, 255}, Shape{13, 17, 256}, Shape{97, 130, 300},
                        Shape{5, 200, 521}, Shape{0, 4, 4}, Shape{4, 0, 4}, Shape{3, 33, 0}, Shape{193, 31, 64}}) {
    CAPTURE(s.rows, s.cols, s.depth);
    const auto a = normal_values((s.rows + 3) * s.depth, 1), b = normal_values((s.cols + 5) * s.depth, 2);
    const auto c = normal_values(s.rows * (s.cols + 2), 3);
    const auto expected = product(scalar_table(), s, a, b, c);
    for (std::size_t i = 0; i < s.rows; ++i) {
      for (std::size_t j = 0; j < s.cols + 2; ++j) {
        double sum = c[i * (s.cols + 2) + j];
        if (j < s.cols)
          for (std::size_t t = 0; t < s.depth; ++t)
            sum += static_cast<double>(a[t * (s.rows + 3) + i]) * b[t * (s.cols + 5) + j];
        REQUIRE(std::fabs(expected[i * (s.cols + 2) + j] - sum) < 1e-5 * (1 + std::sqrt(static_cast<double>(s.depth))));
      }
    }
    for (const KernelTable* table : vector_tables()) {
      CAPTURE(table->name);
      REQUIRE(product(*table, s, a, b, c) == expected);
    }
  }
}

TEST_CASE("parts of a product have the bits of the whole") {
  const Shape s{100, 150, 300};
  const auto a = normal_values((s.rows + 3) * s.depth, 4), b = normal_values((s.cols + 5) * s.depth, 5);
  const std::vector<float> zeros(s.rows * (s.cols + 2));
  for (const KernelTable* table : vector_tables()) {
    const auto whole = product(*table, s, a, b, zeros);
    auto parts = zeros;
    for (const auto& [first, last] : {std::pair{0u, 37u}, {37u, 100u}})
      table->add_product({a.data() + first, s.rows + 3, b.data(), s.cols + 5, parts.data() + first * (s.cols + 2),
                          s.cols + 2, last - first, s.cols, s.depth});
    REQUIRE(parts == whole);
  }
}
