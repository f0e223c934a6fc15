#include "engine/kernels/measure.h"

#include <catch2/catch.hpp>

#include "tests/engine/kernels/fixtures.h"

using namespace colonnade;
using namespace colonnade::engine;

TEST_CASE("measured rates of weights and bytes belong to the same strips") {
  SerialParallel team;
  for (const Format* format : all_formats()) {
    for (const std::size_t bytes : {std::size_t{13'000}, std::size_t{300'000}}) {
      StripsCase what;
      what.kernels = *choose_kernels("auto");
      what.format = format->id();
      what.n_tokens = 3;
      what.cols = 200;
      AlignedBuffer<std::byte> memory(bytes);
      what.memory = {{memory.data(), memory.size()}};
      what.seconds = 0.002;
      const auto rate = measure_strips(what, team);
      REQUIRE(rate.ok());
      CAPTURE(format->name());
      CHECK(rate->weights_per_second > 1e6);
      CHECK(rate->bytes_per_second / rate->weights_per_second ==
            Approx(format->expected_strip_bytes(200, {}) / (16 * 200)).epsilon(0.15));
    }
  }
}

TEST_CASE("memory that does not hold a strip is an error") {
  SerialParallel team;
  AlignedBuffer<std::byte> memory(64);
  StripsCase what;
  what.kernels = *choose_kernels("auto");
  what.memory = {{memory.data(), memory.size()}};
  const auto rate = measure_strips(what, team);
  REQUIRE_FALSE(rate.ok());
  CHECK(rate.error().message == "measuring strips: a strip has 32.1 KiB, found memory of 64 B");
}
