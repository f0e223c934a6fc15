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
    {"avx512", "f32", 32, 21, 630},          {"avx512", "bf16", 16, 20.6, 600},
    {"avx512", "int8", 8, 6.6, 166},         {"avx512", "int4", 4.25, 8, 170},
    {"avx512", "bitmask-bf16", 9, 40, 640},  {"avx512", "bitmask-bf16", 2.6, 36, 640},
    {"avx512", "bitmask-int8", 9, 27, 190},  {"avx512", "bitmask-int8", 1.8, 24, 190},
    {"avx512", "bitmask-int4", 5.1, 24, 190}, {"avx512", "bitmask-int4", 1.4, 20, 190},
    {"avx512", "permute-int8", 16, 27, 600}, {"avx512", "permute-int8", 1, 1.7, 40},
    {"avx512", "permute-int4", 12, 30, 600}, {"avx512", "permute-int4", 0.75, 1.9, 40},
    {"avx2", "f32", 32, 30, 1200},           {"avx2", "bf16", 16, 30, 1200},
    {"avx2", "int8", 8, 14, 600},            {"avx2", "int4", 4.25, 18, 620},
    {"avx2", "bitmask-bf16", 9, 250, 1500},  {"avx2", "bitmask-bf16", 2.6, 220, 1500},
    {"avx2", "bitmask-int8", 9, 200, 900},   {"avx2", "bitmask-int8", 1.8, 180, 900},
    {"avx2", "bitmask-int4", 5.1, 200, 900}, {"avx2", "bitmask-int4", 1.4, 180, 900},
    {"avx2", "permute-int8", 16, 200, 4000}, {"avx2", "permute-int8", 1, 13, 250},
    {"avx2", "permute-int4", 12, 220, 4000}, {"avx2", "permute-int4", 0.75, 14, 250},
    {"scalar", "f32", 32, 400, 12000},          {"scalar", "bf16", 16, 500, 14000},
    {"scalar", "int8", 8, 400, 16000},          {"scalar", "int4", 4.25, 700, 17000},
    {"scalar", "bitmask-bf16", 9, 1200, 15000}, {"scalar", "bitmask-bf16", 2.6, 1000, 15000},
    {"scalar", "bitmask-int8", 9, 1200, 17000}, {"scalar", "bitmask-int8", 1.8, 1000, 17000},
    {"scalar", "bitmask-int4", 5.1, 1200, 17000}, {"scalar", "bitmask-int4", 1.4, 1000, 17000},
    {"scalar", "permute-int8", 16, 900, 30000}, {"scalar", "permute-int8", 1, 60, 2000},
    {"scalar", "permute-int4", 12, 1000, 30000}, {"scalar", "permute-int4", 0.75, 65, 2000},
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
