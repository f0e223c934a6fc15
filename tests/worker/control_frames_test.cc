#include "worker/control_frames.h"

#include <catch2/catch.hpp>

#include <cstring>

using namespace colonnade;

namespace {

std::span<const std::byte> part(const std::vector<std::byte>& bytes, std::size_t count) {
  return std::span(bytes).first(count);
}

}  // namespace

TEST_CASE("a frame is taken when it is whole, wherever the bytes are cut") {
  control::Frame frame;
  frame.mutable_refused()->set_reason("some words");
  std::vector<std::byte> bytes;
  worker::append_frame(frame, bytes);
  const std::size_t one = bytes.size();
  worker::append_frame(frame, bytes);
  for (std::size_t count = 0; count < one; ++count) {
    const auto none = worker::next_frame(part(bytes, count), 100);
    REQUIRE(none.ok());
    CHECK(none->used == 0);
  }
  for (std::size_t count = one; count <= bytes.size(); ++count) {
    const auto found = worker::next_frame(part(bytes, count), 100);
    REQUIRE(found.ok());
    REQUIRE(found->used == one);
    control::Frame read;
    REQUIRE(read.ParseFromArray(found->body.data(), static_cast<int>(found->body.size())));
    CHECK(read.refused().reason() == "some words");
  }
  const auto too_long = worker::next_frame(bytes, one - 5);
  REQUIRE_FALSE(too_long.ok());
  CHECK(too_long.error().code == ErrorCode::kCorrupt);
}

TEST_CASE("a step keeps everything on its way from Protobuf") {
  control::Step proto;
  proto.set_id(77);
  for (int s = 0; s < 2; ++s) {
    control::StepSequence& sequence = *proto.add_sequences();
    for (int t = 0; t <= s; ++t) sequence.add_tokens(10 * s + t);
    sequence.set_first_position(5 + s);
    for (int p = 0; p < 3 - s; ++p) sequence.add_pages(100 * s + p);
    for (int p = 0; p <= s; ++p) sequence.add_window_pages(200 + 10 * s + p);
    sequence.set_window_start(1 - s);
    if (s == 1) {
      sequence.add_token_types(1);
      sequence.add_token_types(0);
    }
  }
  control::StepRow& row = *proto.add_rows();
  row.set_token_index(2);
  row.set_flags(3);
  row.set_temperature(0.5f);
  row.set_top_p(0.75f);
  row.set_min_p(0.125f);
  row.set_top_k(9);
  row.set_seed(0xfedcba9876543210u);
  row.set_position(8);
  row.set_n_top(4);
  row.set_target(-1);
  control::LogitEdit& edit = *row.add_edits();
  edit.set_token(3);
  edit.set_add(-2.0f);
  edit.set_repetition(1.5f);
  const std::uint32_t mask[2] = {5, 0x80000001u};
  row.set_mask(mask, sizeof mask);

  engine::Step step;
  REQUIRE(worker::step_from_proto(proto, step).ok());
  CHECK(step.id == 77);
  CHECK(step.tokens == std::vector<std::int32_t>{0, 10, 11});
  CHECK(step.pages == std::vector<std::int32_t>{0, 1, 2, 200, 100, 101, 210, 211});
  CHECK(step.token_types == std::vector<std::int32_t>{0, 1, 0});
  REQUIRE(step.sequences.size() == 2);
  CHECK(step.sequences[1].first_token == 1);
  CHECK(step.sequences[1].n_tokens == 2);
  CHECK(step.sequences[1].first_position == 6);
  CHECK(step.sequences[1].first_page == 4);
  CHECK(step.sequences[1].n_pages == 2);
  CHECK(step.sequences[1].first_window_page == 6);
  CHECK(step.sequences[1].n_window_pages == 2);
  CHECK(step.sequences[0].window_start == 1);
  CHECK(step.sequences[1].window_start == 0);
  REQUIRE(step.rows.size() == 1);
  const engine::StepRow& got = step.rows[0];
  CHECK(got.token_index == 2);
  CHECK(got.flags == 3);
  CHECK(got.temperature == 0.5f);
  CHECK(got.top_p == 0.75f);
  CHECK(got.min_p == 0.125f);
  CHECK(got.top_k == 9);
  CHECK(got.seed == 0xfedcba9876543210u);
  CHECK(got.position == 8);
  CHECK(got.n_top == 4);
  CHECK(got.target == -1);
  CHECK(got.first_edit == 0);
  CHECK(got.n_edits == 1);
  CHECK(step.edits[0].token == 3);
  CHECK(step.edits[0].add == -2.0f);
  CHECK(step.edits[0].repetition == 1.5f);
  CHECK(got.first_mask == 0);
  CHECK(step.masks == std::vector<std::uint32_t>{5, 0x80000001u});
  proto.mutable_rows(0)->set_mask("12345");
  CHECK(worker::step_from_proto(proto, step).error().message == "step 77 has a mask of 5 bytes, expected words of 4");
  proto.mutable_rows(0)->clear_mask();
  REQUIRE(worker::step_from_proto(proto, step).ok());
  CHECK(step.rows[0].first_mask == -1);
  CHECK(step.masks.empty());

  for (const int token_index : {-1, 3, 1'000'000}) {
    proto.mutable_rows(0)->set_token_index(token_index);
    const Status refused = worker::step_from_proto(proto, step);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("a result keeps everything on its way to Protobuf") {
  engine::StepResult result;
  result.id = 5;
  result.rows.resize(3);
  result.rows[0] = {.token = 4, .logprob = -0.5f, .target_logprob = -1.5f, .first_top = 0, .n_top = 1, .first_logit = 3};
  result.rows[1] = {.token = -1, .logprob = 0, .target_logprob = 0, .first_top = 1, .n_top = 2, .first_logit = -1};
  result.rows[2] = {.token = 2, .logprob = 0, .target_logprob = 0, .first_top = 3, .n_top = 0, .first_logit = 0};
  result.top = {{7, -1.0f}, {8, -2.0f}, {9, -3.0f}};
  result.logits = {1, 2, 3, 4, 5, 6};
  control::StepResult proto;
  worker::result_to_proto(result, proto);
  CHECK(proto.id() == 5);
  REQUIRE(proto.rows_size() == 3);
  CHECK(proto.rows(0).token() == 4);
  CHECK(proto.rows(0).logprob() == -0.5f);
  CHECK(proto.rows(0).target_logprob() == -1.5f);
  REQUIRE(proto.rows(1).top_size() == 2);
  CHECK(proto.rows(1).top(1).token() == 9);
  CHECK(proto.rows(1).top(1).logprob() == -3.0f);
  CHECK(proto.rows(1).logits().empty());
  REQUIRE(proto.rows(0).logits().size() == 3 * sizeof(float));
  float logits[3];
  std::memcpy(logits, proto.rows(0).logits().data(), sizeof logits);
  CHECK(logits[0] == 4.0f);
  CHECK(logits[2] == 6.0f);
}

TEST_CASE("secrets are equal only when all of them is") {
  CHECK(worker::equal_secrets("abc", "abc"));
  CHECK_FALSE(worker::equal_secrets("abd", "abc"));
  CHECK_FALSE(worker::equal_secrets("ab", "abc"));
  CHECK_FALSE(worker::equal_secrets("abcabc", "abc"));
  CHECK_FALSE(worker::equal_secrets("", "abc"));
}
