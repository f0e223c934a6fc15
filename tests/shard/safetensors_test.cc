#include <catch2/catch.hpp>

#include "shard/safetensors.h"
#include "tests/shard/checkpoint_files.h"

using namespace colonnade;
using namespace colonnade::tests;
using Catch::Matchers::Contains;

namespace {

Result<std::vector<shard::Tensor>> parse(const std::string& bytes) {
  return shard::parse_safetensors(std::as_bytes(std::span(bytes)), "x.safetensors");
}

std::string refusal(const std::string& bytes) {
  const auto result = parse(bytes);
  REQUIRE_FALSE(result.ok());
  CHECK_THAT(result.error().message, Contains("x.safetensors"));
  CHECK(result.error().message.find('\n') == std::string::npos);
  return result.error().message;
}

std::string one(const std::string& description, const std::string& data) { return with_length("{\"t\":" + description + "}") + data; }

}  // namespace

TEST_CASE("A safetensors file lists its tensors by name") {
  const std::string bytes = safetensors_bytes({{"b", {"F32", {2, 2}, std::string(16, 'b')}},
                                               {"a", {"U8", {3}, "aaa"}},
                                               {"empty", {"BF16", {0, 4}, ""}},
                                               {"scalar", {"I64", {}, std::string(8, 's')}}});
  const auto tensors = parse(bytes);
  REQUIRE(tensors.ok());
  REQUIRE(tensors->size() == 4);
  CHECK((*tensors)[0].name == "a");
  CHECK((*tensors)[1].dtype == shard::Dtype::kF32);
  CHECK((*tensors)[1].shape == std::vector<std::uint64_t>{2, 2});
  CHECK((*tensors)[1].data[0] == std::byte{'b'});
  CHECK((*tensors)[2].data.empty());
  CHECK((*tensors)[3].shape.empty());
}

TEST_CASE("Lengths that lie are refused before anything is allocated") {
  CHECK_THAT(refusal("abc"), Contains("at least 8 bytes, found 3"));
  CHECK_THAT(refusal(std::string(8, '\xff')), Contains("18446744073709551615"));
  CHECK_THAT(refusal(std::string("\x40\0\0\0\0\0\0\0{}", 10)), Contains("64 bytes, the file has 2") && Contains("truncated"));
  const std::string good = safetensors_bytes({{"t", {"F32", {4}, std::string(16, 'x')}}});
  CHECK_THAT(refusal(good.substr(0, good.size() - 1)), Contains("tensor t") && Contains("15 bytes") && Contains("truncated"));
  CHECK_THAT(refusal(good + "y"), Contains("describes 16 bytes") && Contains("17"));
}

TEST_CASE("Every prefix of a file is refused") {
  const std::string good = safetensors_bytes({{"t", {"F32", {4}, std::string(16, 'x')}}, {"u", {"U8", {1}, "u"}}});
  for (std::size_t n = 0; n < good.size(); ++n) CHECK_FALSE(parse(good.substr(0, n)).ok());
}

TEST_CASE("A header that is not as the format wants it is refused by name") {
  CHECK_THAT(refusal(with_length("{\"t\":")), Contains("malformed JSON at byte"));
  CHECK_THAT(refusal(with_length("[]")), Contains("an array"));
  CHECK_THAT(refusal(with_length("{\"t\":5}")), Contains("tensor t") && Contains("a number"));
  CHECK_THAT(refusal(with_length("{\"__metadata__\":{\"a\":1}}")), Contains("__metadata__"));
  CHECK_THAT(refusal(one(R"({"dtype":"F32","shape":[1]})", "")), Contains("tensor t lacks"));
  CHECK_THAT(refusal(one(R"({"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]})", "1234")), Contains("twice"));
  CHECK_THAT(refusal(one(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", "1234")), Contains("negative"));
  CHECK_THAT(refusal(one(R"({"dtype":"F32","shape":[[1]],"data_offsets":[0,4]})", "1234")), Contains("an array"));
  CHECK_THAT(refusal(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,4]})", "1234")), Contains("more than 2"));
  CHECK_THAT(refusal(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})", "1234")), Contains("expected 2"));
  CHECK_THAT(refusal(one(R"({"dtype":"Q4","shape":[1],"data_offsets":[0,4]})", "1234")), Contains("unknown dtype Q4"));
  CHECK_THAT(refusal(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":{"y":1}})", "1234")), Contains("unknown field x"));
  CHECK_FALSE(parse(with_length(std::string(100000, '['))).ok());
  CHECK_FALSE(parse(with_length("{\"t\":" + std::string(100000, '{'))).ok());
}

TEST_CASE("Shapes and offsets must agree") {
  CHECK_THAT(refusal(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", "1234")),
             Contains("tensor t of shape [2] F32 has 4 bytes"));
  // 2^33 * 2^33 * 4 overflows 64 bits to 0.
  CHECK_THAT(refusal(one(R"({"dtype":"F32","shape":[8589934592,8589934592],"data_offsets":[0,0]})", "")),
             Contains("does not fit the shape"));
  CHECK_THAT(refusal(one(R"({"dtype":"U8","shape":[1],"data_offsets":[4,3]})", "1234")), Contains("bytes 4 to 3"));
  const std::string overlap = R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}})";
  CHECK_THAT(refusal(with_length(overlap) + "1234"), Contains("tensor b") && Contains("overlaps"));
  const std::string hole = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})";
  CHECK_THAT(refusal(with_length(hole) + "1234"), Contains("tensor b") && Contains("hole"));
  const std::string twice = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})";
  CHECK_THAT(refusal(with_length(twice) + "12"), Contains("a is described twice"));
}
