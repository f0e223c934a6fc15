// Some steps through an untrusted grammar: it is compiled, and what masks allow is taken.
#pragma once

#include "engine/text/grammar/grammar.h"

namespace colonnade::tests {

/// Ends the process when a mask allows what is then refused.
void take_steps(const engine::Grammar& grammar);

}  // namespace colonnade::tests
