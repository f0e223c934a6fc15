#include "engine/model/step.h"

#include <catch2/catch.hpp>

#include "engine/model/batch.h"

using namespace colonnade;
using namespace colonnade::engine;

namespace {

Step example_step() {
  Step step;
  step.id = 77;
  step.tokens = {5, 6, 7, 1};
  step.sequences = {{0, 3, 30, 0, 2}, {3, 1, 0, 2, 1}};
  step.pages = {4, 2, 0};
  StepRow row;
  row.token_index = 2;
  row.flags = kRowSample;
  row.temperature = 0.5f;
  row.seed = 0x123456789abcdefull;
  row.n_edits = 1;
  step.rows = {row};
  step.edits = {{3, -1.5f, 1.0f}};
  step.masks = {0x210};
  step.rows[0].first_mask = 0;
  return step;
}

const StepLimits kLimits{.vocab_size = 10, .max_context_tokens = 64, .n_pages = 5, .max_step_tokens = 8};

std::string refusal(const Step& step) {
  const Status status = check_step(step, kLimits);
  return status.ok() ? "" : status.error().message;
}

}  // namespace

TEST_CASE("a step survives the wire") {
  std::vector<std::byte> bytes;
  write_step(example_step(), bytes);
  Step step;
  REQUIRE(read_step(bytes, step).ok());
  CHECK(step.id == 77);
  CHECK(step.tokens == example_step().tokens);
  CHECK(step.pages == example_step().pages);
  REQUIRE(step.sequences.size() == 2);
  CHECK(step.sequences[0].first_position == 30);
  REQUIRE(step.rows.size() == 1);
  CHECK(step.rows[0].seed == 0x123456789abcdefull);
  CHECK(step.edits[0].add == -1.5f);
  CHECK(step.rows[0].first_mask == 0);
  CHECK(step.masks == std::vector<std::uint32_t>{0x210});
}

TEST_CASE("masks must be there and allow a token") {
  CHECK(refusal(example_step()).empty());
  Step step = example_step();
  step.rows[0].first_mask = 1;
  CHECK(refusal(step) == "step: a mask of 1 words at 1 is outside of 1");
  std::vector<std::byte> bytes;
  write_step(step, bytes);
  CHECK(read_step(bytes, step).error().message == "step message: mask of a row 1 + 1 is outside of 1");
  step = example_step();
  step.masks[0] = 0xFFFFFC00u;  // the model has 10 tokens
  CHECK(refusal(step) == "step: a mask allows no token");
  step.masks[0] |= 1u << 9;
  CHECK(refusal(step).empty());
  step.rows[0].first_mask = -1;
  step.masks.clear();
  CHECK(refusal(step).empty());
}

TEST_CASE("a result survives the wire") {
  StepResult result;
  result.id = 3;
  result.rows = {{.token = 4, .logprob = -0.5f, .target_logprob = -2.0f, .first_top = 0, .n_top = 2, .first_logit = 0}};
  result.top = {{4, -0.5f}, {9, -1.0f}};
  result.logits = {0.25f, 1.0f};
  std::vector<std::byte> bytes;
  write_result(result, bytes);
  StepResult read;
  REQUIRE(read_result(bytes, read).ok());
  CHECK(read.id == 3);
  CHECK(read.rows[0].token == 4);
  CHECK(read.top[1].token == 9);
  CHECK(read.logits == result.logits);
}

TEST_CASE("rows whose logits are not all there are refused") {
  StepResult result;
  result.rows = {{.first_logit = 0}, {.first_logit = -1}, {.first_logit = 3}};
  result.logits = {1, 2, 3, 4, 5, 6};
  std::vector<std::byte> bytes;
  StepResult read;
  write_result(result, bytes);
  CHECK(read_result(bytes, read).ok());
  result.rows[2].first_logit = 4;
  write_result(result, bytes);
  CHECK(read_result(bytes, read).error().message == "step message: logits of a row 4 + 3 is outside of 6");
}

TEST_CASE("every truncation of a message is refused") {
  std::vector<std::byte> bytes;
  write_step(example_step(), bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Step step;
    CAPTURE(size);
    CHECK_FALSE(read_step(std::span(bytes).first(size), step).ok());
  }
  bytes.push_back(std::byte{0});
  Step step;
  CHECK_FALSE(read_step(bytes, step).ok());
}

TEST_CASE("a count that lies about the message's size allocates nothing") {
  std::vector<std::byte> bytes;
  write_step(example_step(), bytes);
  for (std::size_t i = 8; i < 16; ++i) bytes[i] = std::byte{0xff};  // the count of tokens
  Step step;
  const Status status = read_step(bytes, step);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message.find("tokens announced") != std::string::npos);
}

TEST_CASE("indices outside of the arrays are refused") {
  Step step = example_step();
  step.sequences[1].n_pages = 2;
  std::vector<std::byte> bytes;
  write_step(step, bytes);
  Step read;
  CHECK_FALSE(read_step(bytes, read).ok());
}

TEST_CASE("a step that does not fit the model is named before it runs") {
  CHECK(refusal(example_step()) == "");
  Step step = example_step();
  step.tokens[1] = 10;
  CHECK(refusal(step) == "step: token 10 is outside of the vocabulary of 10");
  step = example_step();
  step.pages[0] = 5;
  CHECK(refusal(step) == "step: page 5 is outside of the pool of 5");
  step = example_step();
  step.sequences[0].n_pages = 1;
  CHECK(refusal(step) == "step: position 32 needs 2 pages, found 1");
  step = example_step();
  step.sequences[0].first_position = 62;
  CHECK(refusal(step) == "step: positions 62 to 64 are outside of the context of 64");
  step.sequences[0].first_position = 2147483647;
  CHECK(refusal(step) == "step: positions 2147483647 to 2147483649 are outside of the context of 64");
  step = example_step();
  step.sequences.pop_back();
  CHECK(refusal(step) == "step: sequences cover 3 of 4 tokens");
  step = example_step();
  step.edits[0].token = -1;
  CHECK(refusal(step) == "step: edited token -1 is outside of the vocabulary of 10");
  step.clear();
  CHECK(refusal(step) == "step: expected 1 to 8 tokens, found 0");
}
