#include "engine/model/expert_choice.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <vector>

using namespace colonnade;
using namespace colonnade::engine;

namespace {

struct Choice {
  std::vector<std::int32_t> experts;
  std::vector<float> weights;
};

Choice choose(const RouterConfig& router, std::vector<float> logits, int n_active, const std::vector<float>& bias = {}) {
  Choice choice;
  choice.experts.resize(static_cast<std::size_t>(n_active));
  choice.weights.resize(choice.experts.size());
  std::vector<float> worth(logits.size());
  choose_experts(*choose_kernels("auto").value(), router, logits, bias.empty() ? nullptr : bias.data(), worth, choice.experts,
                 choice.weights);
  return choice;
}

float sigmoid(double x) { return static_cast<float>(1 / (1 + std::exp(-x))); }

using Experts = std::vector<std::int32_t>;

}  // namespace

TEST_CASE("softmax: the best experts, with or without normalisation, scaled") {
  const std::vector<float> logits{1.0f, 3.0f, 2.0f, 3.0f};
  const double sum = std::exp(-2.0) + 1 + std::exp(-1.0) + 1;
  RouterConfig router;
  router.normalize = false;
  router.scaling = 4.0f;
  const Choice plain = choose(router, logits, 3);
  CHECK(plain.experts == Experts{1, 2, 3});
  CHECK(plain.weights[0] == Approx(4 / sum));
  CHECK(plain.weights[1] == Approx(4 * std::exp(-1.0) / sum));
  router = {};
  const Choice normalised = choose(router, logits, 3);
  CHECK(normalised.weights[1] == Approx(std::exp(-1.0) / (2 + std::exp(-1.0))));
  CHECK(choose(router, logits, 1).experts == Experts{1});  // of equal ones the lower
}

TEST_CASE("sigmoid: scores that are all 1 are told apart by their logits") {
  RouterConfig router{.score = RouterScore::kSigmoid, .normalize = false};
  const Choice choice = choose(router, {40.0f, 60.0f, 50.0f, -3.0f}, 2);
  CHECK(choice.experts == Experts{1, 2});
  CHECK(choice.weights == std::vector<float>{1.0f, 1.0f});
  CHECK(choose(router, {-1.0f, 0.5f}, 1).weights[0] == Approx(sigmoid(0.5)));
}

TEST_CASE("sigmoid: the correction bias counts in the choice and not in the weights") {
  RouterConfig router{.score = RouterScore::kSigmoid, .correction_bias = true, .scaling = 2.5f};
  const Choice choice = choose(router, {0.0f, 1.0f, 2.0f, -1.0f}, 2, {0.9f, 0.0f, 0.0f, -0.5f});
  CHECK(choice.experts == Experts{0, 2});
  CHECK(choice.weights[0] == Approx(2.5 * 0.5 / (0.5 + sigmoid(2))));
  CHECK(choice.weights[1] == Approx(2.5 * sigmoid(2) / (0.5 + sigmoid(2))));
  // All weights 0: nothing is divided by 0.
  const Choice none = choose(router, {-200.0f, -200.0f, -200.0f, -200.0f}, 2, {0.0f, 0.0f, 0.0f, 0.0f});
  CHECK(none.weights == std::vector<float>{0.0f, 0.0f});
}

TEST_CASE("groups: only the best ones are chosen from, by their best score or by the sum of their two best") {
  // Group 0 has the best expert, group 1 the two best together, group 2 is in between, group 3 is nothing.
  const std::vector<float> logits{3.0f, -4.0f, 2.0f, 1.9f, 2.2f, 1.0f, -3.0f, -3.0f};
  RouterConfig router{.score = RouterScore::kSigmoid, .n_groups = 4, .n_active_groups = 2};
  CHECK(choose(router, logits, 3).experts == Experts{0, 4, 5});
  router.group_score = GroupScore::kTwoBest;
  CHECK(choose(router, logits, 3).experts == Experts{2, 3, 4});
  router.n_active_groups = 1;
  CHECK(choose(router, logits, 2).experts == Experts{2, 3});
  router = {.n_groups = 4, .n_active_groups = 1};
  CHECK(choose(router, logits, 2).experts == Experts{0, 1});
  router.group_score = GroupScore::kTwoBest;
  CHECK(choose(router, logits, 2).experts == Experts{0, 1});  // exp(3) is more than exp(2) + exp(1.9) … of all
}

TEST_CASE("scores that are not numbers are chosen last, and each expert once") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  RouterConfig router{.score = RouterScore::kSigmoid, .correction_bias = true, .n_groups = 2, .n_active_groups = 1};
  const std::vector<float> bias(6, 0.0f);
  CHECK(choose(router, {nan, nan, nan, nan, nan, nan}, 3, bias).experts == Experts{0, 1, 2});
  CHECK(choose(router, {nan, 1.0f, nan, -1.0f, nan, -2.0f}, 2, bias).experts == Experts{0, 1});
}
