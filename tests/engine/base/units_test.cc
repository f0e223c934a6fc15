#include "engine/base/units.h"

#include <catch2/catch.hpp>

using namespace colonnade;

TEST_CASE("sizes are read with binary units") {
  CHECK(*parse_bytes("4096") == 4096);
  CHECK(*parse_bytes("8G") == 8ull << 30);
  CHECK(*parse_bytes("1.5GiB") == (3ull << 30) / 2);
  CHECK(*parse_bytes("512mb") == 512ull << 20);
}

TEST_CASE("a malformed size is named in the error") {
  for (const char* bad : {"", "G", "-1", "8X", "8GiBB", "1e30T", "nan"}) {
    CAPTURE(bad);
    const auto result = parse_bytes(bad);
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().code == ErrorCode::kInvalidArgument);
    CHECK(result.error().message.find(bad) != std::string::npos);
  }
}

TEST_CASE("sizes, rates and times are written for people") {
  CHECK(format_bytes(1023) == "1023 B");
  CHECK(format_bytes(1536) == "1.5 KiB");
  CHECK(format_rate(31.44e9) == "31.4 GB/s");
  CHECK(format_seconds(0.0042) == "4.2 ms");
  CHECK(format_seconds(95) == "1 min 35 s");
  CHECK(format_seconds(8639999) == "2399 h 59 min");
  CHECK(format_seconds(8640000) == "100 days");
  CHECK(format_seconds(1e300) == "1.16e+295 days");
  CHECK(format_seconds(std::numeric_limits<double>::infinity()) == "inf days");
}
