// A constraint on the answer of a model that reasons first: anything goes up to the token that ends the reasoning.
#pragma once

#include <cstdint>
#include <memory>

#include "coordinator/token_constraint.h"

namespace colonnade::coordinator {

std::shared_ptr<const ConstraintSource> after_reasoning(std::shared_ptr<const ConstraintSource> answer, std::int32_t end_of_reasoning);

}  // namespace colonnade::coordinator
