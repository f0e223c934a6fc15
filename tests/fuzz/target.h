// A fuzz target: takes any bytes and must neither crash, nor run long, nor use more memory than in proportion to them.
// Linked either with libFuzzer (clang, -DCOLONNADE_FUZZ=ON) or with mutate.cc (any compiler).
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
