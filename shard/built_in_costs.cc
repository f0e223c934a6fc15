// The cost table for machines on which nobody has measured one. Per core, in picoseconds, from a shared Zen 4 machine with
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
    {"avx512", "f32", 32, 21, 630},            {"avx512", "bf16", 16, 20.6, 600},
    {"avx512", "int8", 8.02, 6.6, 166},        {"avx512", "int4", 4.25, 8.5, 200},
    {"avx512", "bitmask-bf16", 1.8, 370, 4600}, {"avx512", "bitmask-bf16", 9, 370, 4600},
    {"avx512", "bitmask-int8", 1.4, 22, 220},  {"avx512", "bitmask-int8", 9, 22, 220},
    {"avx512", "bitmask-int4", 1.3, 18, 220},  {"avx512", "bitmask-int4", 4.9, 20, 220},
    {"avx512", "permute-int8", 0.83, 3.6, 100}, {"avx512", "permute-int8", 1.88, 7, 170},
    {"avx512", "permute-int8", 8.4, 22, 480},  {"avx512", "permute-int8", 16.2, 42, 900},
    {"avx512", "permute-int4", 0.64, 3.7, 110}, {"avx512", "permute-int4", 1.37, 8, 180},
    {"avx512", "permute-int4", 6, 29, 520},    {"avx512", "permute-int4", 11.5, 55, 900},
    {"avx2", "f32", 32, 40, 1300},             {"avx2", "bf16", 16, 33, 1500},
    {"avx2", "int8", 8.02, 21, 1100},          {"avx2", "int4", 4.25, 24, 1250},
    {"avx2", "bitmask-bf16", 1.8, 130, 8500},  {"avx2", "bitmask-bf16", 17, 130, 8500},
    {"avx2", "bitmask-int8", 1.4, 250, 1600},  {"avx2", "bitmask-int8", 9, 250, 1600},
    {"avx2", "bitmask-int4", 1.3, 160, 1300},  {"avx2", "bitmask-int4", 4.9, 240, 1500},
    {"avx2", "permute-int8", 1.09, 17, 1100},  {"avx2", "permute-int8", 1.88, 27, 2000},
    {"avx2", "permute-int8", 16.2, 75, 3900},  {"avx2", "permute-int4", 0.81, 15, 1100},
    {"avx2", "permute-int4", 1.37, 28, 2000},  {"avx2", "permute-int4", 11.5, 112, 7000},
    {"scalar", "f32", 32, 1700, 120000},       {"scalar", "bf16", 16, 1700, 120000},
    {"scalar", "int8", 8.02, 250, 15000},      {"scalar", "int4", 4.25, 320, 15000},
    {"scalar", "bitmask-bf16", 2.6, 2600, 160000}, {"scalar", "bitmask-bf16", 17, 2300, 140000},
    {"scalar", "bitmask-int8", 1.8, 1100, 15500}, {"scalar", "bitmask-int8", 9, 1000, 15500},
    {"scalar", "bitmask-int4", 1.5, 1400, 15500}, {"scalar", "bitmask-int4", 4.9, 1050, 15000},
    {"scalar", "permute-int8", 1.88, 175, 11000}, {"scalar", "permute-int8", 16.2, 1300, 85000},
    {"scalar", "permute-int4", 1.37, 180, 9800}, {"scalar", "permute-int4", 11.5, 1350, 140000},
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
