// COLONNADE_SKIP("why"): ends a test case that cannot run here; ctest then reports it as skipped (exit status 77).
#pragma once

#include <cstdio>
#include <string>

namespace colonnade::tests {
bool& any_skipped();
}

#define COLONNADE_SKIP(reason)                                              \
  do {                                                                      \
    std::printf("skipped: %s\n", std::string(reason).c_str());              \
    ::colonnade::tests::any_skipped() = true;                               \
    return;                                                                 \
  } while (false)
