#include "coordinator/reasoned_constraint.h"

#include <algorithm>
#include <utility>

namespace colonnade::coordinator {
namespace {

class ReasonedConstraint final : public TokenConstraint {
 public:
  ReasonedConstraint(std::unique_ptr<TokenConstraint> answer, std::int32_t end_of_reasoning)
      : answer_(std::move(answer)), end_of_reasoning_(end_of_reasoning) {}

  std::size_t mask(std::span<std::uint32_t> bits) override {
    if (!reasons_) return answer_->mask(bits);
    std::fill(bits.begin(), bits.end(), 0xFFFFFFFFu);
    return bits.size() * 32;
  }

  bool accept(std::int32_t token) override {
    if (!reasons_) return answer_->accept(token);
    reasons_ = token != end_of_reasoning_;
    return true;
  }

  bool may_end() const override { return !reasons_ && answer_->may_end(); }

 private:
  std::unique_ptr<TokenConstraint> answer_;
  const std::int32_t end_of_reasoning_;
  bool reasons_ = true;
};

class ReasonedSource final : public ConstraintSource {
 public:
  ReasonedSource(std::shared_ptr<const ConstraintSource> answer, std::int32_t end_of_reasoning)
      : answer_(std::move(answer)), end_of_reasoning_(end_of_reasoning) {}
  std::unique_ptr<TokenConstraint> start() const override {
    return std::make_unique<ReasonedConstraint>(answer_->start(), end_of_reasoning_);
  }

 private:
  std::shared_ptr<const ConstraintSource> answer_;
  const std::int32_t end_of_reasoning_;
};

}  // namespace

std::shared_ptr<const ConstraintSource> after_reasoning(std::shared_ptr<const ConstraintSource> answer, std::int32_t end_of_reasoning) {
  return std::make_shared<ReasonedSource>(std::move(answer), end_of_reasoning);
}

}  // namespace colonnade::coordinator
