// Where the shared test data lies: COLONNADE_SHARED, or ../shared beside the repository.
#pragma once

#include <filesystem>

namespace colonnade::tests {

/// The repository.
std::filesystem::path source_folder();

/// An empty path when there is none.
std::filesystem::path shared_data();

/// A fresh empty folder for one test, removed at exit.
std::filesystem::path scratch_folder();

}  // namespace colonnade::tests

/// For use at the top of a test case: defines `name` as the path of `relative` or skips the test.
#define COLONNADE_SHARED_PATH(name, relative)                                                           \
  const std::filesystem::path name = ::colonnade::tests::shared_data() / (relative);                    \
  if (::colonnade::tests::shared_data().empty() || !std::filesystem::exists(name))                      \
  COLONNADE_SKIP("needs the shared test data (set COLONNADE_SHARED or put it at ../shared): " + name.string())
