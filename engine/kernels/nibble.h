// Which part of a byte holds a packed weight.
#pragma once

namespace colonnade::engine {

enum class Nibble { kBoth, kHigh, kLow };

}  // namespace colonnade::engine
