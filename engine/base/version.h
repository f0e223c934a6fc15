// The program's version, from CMakeLists.txt.
#pragma once

namespace colonnade {

inline constexpr const char* kVersion = COLONNADE_VERSION;

}  // namespace colonnade
