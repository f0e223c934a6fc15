#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include "tests/support/skip.h"

namespace colonnade::tests {

bool& any_skipped() {
  static bool skipped = false;
  return skipped;
}

}  // namespace colonnade::tests

int main(int argc, char** argv) {
  const int status = Catch::Session().run(argc, argv);
  return status == 0 && colonnade::tests::any_skipped() ? 77 : status;
}
