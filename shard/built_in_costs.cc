// The cost table for machines on which nobody has measured one. Per core, in picoseconds, from a shared Zen 5 machine with
// two virtual cores (AVX-512 with VNNI, VBMI and VBMI2): the order of formats is much the same on others.
#include "shard/format_costs.h"

namespace colonnade::shard {
namespace {

// A core of a full server has 5 GB/s, a lone one 20 to 40.
constexpr double kCoreBytesPerSecond = 12e9;

struct Entry {
  const char* isa;
  const char* format;
  double bits_per_weight;
  double one_token, many_tokens;  // picoseconds a weight: with 1 token, and with 64
};
constexpr int kManyTokens = 64;

constexpr Entry kEntries[] = {
    {"avx512", "f32", 32, 21.9, 660}, {"avx512", "bf16", 16, 21.3, 620}, {"avx512", "int8", 8.02, 6.1, 173},
    {"avx512", "int4", 4.25, 5.4, 193}, {"avx512", "bitmask-bf16", 1.8, 38, 800},
    {"avx512", "bitmask-bf16", 17, 39, 800}, {"avx512", "bitmask-int8", 1.4, 12.4, 180},
    {"avx512", "bitmask-int8", 9, 13.2, 186}, {"avx512", "bitmask-int4", 1.3, 12, 196},
    {"avx512", "bitmask-int4", 4.9, 12.5, 196}, {"avx512", "permute-int8", 1.09, 2.1, 37},
    {"avx512", "permute-int8", 1.97, 3.5, 56}, {"avx512", "permute-int8", 4.35, 7.3, 106},
    {"avx512", "permute-int8", 16.2, 16, 336}, {"avx512", "permute-int4", 0.84, 1.8, 36.5},
    {"avx512", "permute-int4", 1.41, 2.8, 53}, {"avx512", "permute-int4", 3.14, 5.4, 100},
    {"avx512", "permute-int4", 11.5, 16.5, 331}, {"avx512", "gap-int4", 0.93, 2.8, 53},
    {"avx512", "gap-int4", 1.27, 3.8, 67}, {"avx512", "gap-int4", 2.2, 6.9, 109},
    {"avx512", "gap-int4", 7.78, 27.1, 366},
    {"avx512", "quad-int8", 0.69, 1.6, 31}, {"avx512", "quad-int8", 1.28, 2.8, 52},
    {"avx512", "quad-int8", 2.8, 5.8, 100}, {"avx512", "quad-int8", 10.06, 22, 365},
    {"avx512", "quad-int4", 0.44, 1.8, 32}, {"avx512", "quad-int4", 0.8, 3, 50},
    {"avx512", "quad-int4", 1.71, 6.2, 100}, {"avx512", "quad-int4", 6.06, 21.4, 345},
    {"avx512-vnni", "f32", 32, 28, 570}, {"avx512-vnni", "bf16", 16, 19, 525},
    {"avx512-vnni", "int8", 8.02, 5.3, 149}, {"avx512-vnni", "int4", 4.25, 4.9, 170},
    {"avx512-vnni", "bitmask-bf16", 1.8, 78, 1600}, {"avx512-vnni", "bitmask-bf16", 17, 78, 1600},
    {"avx512-vnni", "bitmask-int8", 1.4, 51, 220}, {"avx512-vnni", "bitmask-int8", 9, 51, 220},
    {"avx512-vnni", "bitmask-int4", 1.3, 60, 235}, {"avx512-vnni", "bitmask-int4", 4.9, 60, 235},
    {"avx512-vnni", "permute-int8", 1.09, 6, 36}, {"avx512-vnni", "permute-int8", 1.97, 10.9, 62},
    {"avx512-vnni", "permute-int8", 4.35, 24.1, 103}, {"avx512-vnni", "permute-int8", 16.2, 23.1, 335},
    {"avx512-vnni", "permute-int4", 0.84, 6.5, 36}, {"avx512-vnni", "permute-int4", 1.41, 11.3, 52},
    {"avx512-vnni", "permute-int4", 3.14, 19.7, 101}, {"avx512-vnni", "permute-int4", 11.5, 50.6, 332},
    {"avx512-vnni", "gap-int4", 0.93, 7.8, 52}, {"avx512-vnni", "gap-int4", 1.27, 10.5, 64},
    {"avx512-vnni", "gap-int4", 2.2, 18.6, 107}, {"avx512-vnni", "gap-int4", 7.78, 66.6, 350},
    {"avx512-vnni", "quad-int8", 0.69, 1.6, 31}, {"avx512-vnni", "quad-int8", 1.28, 2.8, 50},
    {"avx512-vnni", "quad-int8", 2.8, 5.9, 100}, {"avx512-vnni", "quad-int8", 10.06, 22, 355},
    {"avx512-vnni", "quad-int4", 0.44, 1.8, 32}, {"avx512-vnni", "quad-int4", 0.8, 3, 50},
    {"avx512-vnni", "quad-int4", 1.71, 6.1, 103}, {"avx512-vnni", "quad-int4", 6.06, 21.5, 352},
    {"avx2", "f32", 32, 29.6, 1270}, {"avx2", "bf16", 16, 29.3, 1220}, {"avx2", "int8", 8.02, 20, 1070},
    {"avx2", "int4", 4.25, 24, 1110}, {"avx2", "bitmask-bf16", 1.8, 94, 6000}, {"avx2", "bitmask-bf16", 17, 97, 6100},
    {"avx2", "bitmask-int8", 1.4, 66, 1100}, {"avx2", "bitmask-int8", 9, 68, 1110},
    {"avx2", "bitmask-int4", 1.3, 72, 1140}, {"avx2", "bitmask-int4", 4.9, 75, 1140},
    {"avx2", "permute-int8", 1.09, 14.4, 97}, {"avx2", "permute-int8", 1.97, 25.4, 193},
    {"avx2", "permute-int8", 4.35, 55.4, 361}, {"avx2", "permute-int8", 16.2, 66.6, 1300},
    {"avx2", "permute-int4", 0.84, 14.4, 96}, {"avx2", "permute-int4", 1.41, 25.2, 164},
    {"avx2", "permute-int4", 3.14, 44.1, 356}, {"avx2", "permute-int4", 11.5, 121, 1266},
    {"avx2", "gap-int4", 0.93, 16.8, 159}, {"avx2", "gap-int4", 1.27, 23.1, 204},
    {"avx2", "gap-int4", 2.2, 41.2, 364}, {"avx2", "gap-int4", 7.78, 146, 1300},
    {"avx2", "quad-int8", 0.69, 7.2, 86}, {"avx2", "quad-int8", 1.28, 12.7, 147},
    {"avx2", "quad-int8", 2.8, 26.3, 316}, {"avx2", "quad-int8", 10.06, 93.6, 1120},
    {"avx2", "quad-int4", 0.44, 7.6, 86}, {"avx2", "quad-int4", 0.8, 12.6, 145},
    {"avx2", "quad-int4", 1.71, 25.3, 305}, {"avx2", "quad-int4", 6.06, 87.4, 1080},
    // Plain branches over a mask: worst where half of it is set.
    {"scalar", "f32", 32, 1700, 230e3}, {"scalar", "bf16", 16, 1600, 230e3}, {"scalar", "int8", 8.02, 200, 27e3},
    {"scalar", "int4", 4.25, 300, 31e3}, {"scalar", "bitmask-bf16", 2.6, 3200, 580e3},
    {"scalar", "bitmask-bf16", 9, 6000, 580e3}, {"scalar", "bitmask-bf16", 17, 2500, 390e3},
    {"scalar", "bitmask-int8", 1.8, 1350, 42e3}, {"scalar", "bitmask-int8", 5, 3400, 42e3},
    {"scalar", "bitmask-int8", 9, 730, 33e3}, {"scalar", "bitmask-int4", 1.5, 2100, 50e3},
    {"scalar", "bitmask-int4", 3, 6400, 50e3}, {"scalar", "bitmask-int4", 4.9, 1100, 43e3},
    {"scalar", "permute-int8", 1.9, 275, 29e3}, {"scalar", "permute-int8", 16.2, 2200, 195e3},
    {"scalar", "permute-int4", 1.4, 265, 26e3}, {"scalar", "permute-int4", 11.5, 2100, 235e3},
    {"scalar", "gap-int4", 0.93, 580, 58e3}, {"scalar", "gap-int4", 1.21, 780, 75e3},
    {"scalar", "gap-int4", 7.23, 5100, 700e3},
    {"scalar", "quad-int8", 0.69, 97, 6200}, {"scalar", "quad-int8", 2.8, 386, 24.6e3},
    {"scalar", "quad-int8", 10.06, 1370, 91e3}, {"scalar", "quad-int4", 0.44, 100, 6300},
    {"scalar", "quad-int4", 1.71, 392, 24.6e3}, {"scalar", "quad-int4", 6.06, 1400, 91e3},
};

}  // namespace

const FormatCosts& built_in_costs() {
  static const FormatCosts costs = [] {
    FormatCosts made{.origin = "built-in", .n_cores = 0, .core_bytes_per_second = kCoreBytesPerSecond, .points = {}};
    for (const Entry& e : kEntries) {
      made.points.push_back({.isa = e.isa, .format = e.format, .tokens = 1, .bits_per_weight = e.bits_per_weight,
                             .seconds_per_weight = e.one_token * 1e-12});
      made.points.push_back({.isa = e.isa, .format = e.format, .tokens = kManyTokens, .bits_per_weight = e.bits_per_weight,
                             .seconds_per_weight = e.many_tokens * 1e-12});
    }
    return made;
  }();
  return costs;
}

}  // namespace colonnade::shard
