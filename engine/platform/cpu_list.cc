#include "engine/platform/cpu_list.h"

#include <algorithm>
#include <charconv>

#include "engine/base/format_text.h"

namespace colonnade::engine {
namespace {

constexpr int kMaxCpu = 1 << 20;  // a guard against "0-4294967295"

/// Takes a number off the front of `rest`; -1 when there is none.
int take_number(std::string_view& rest) {
  int value = -1;
  const auto [end, failure] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (failure != std::errc{} || value < 0 || value >= kMaxCpu) return -1;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  return value;
}

}  // namespace

Result<std::vector<int>> parse_cpu_list(std::string_view list) {
  while (!list.empty() && (list.back() == '\n' || list.back() == ' ')) list.remove_suffix(1);
  const Error malformed{ErrorCode::kInvalidArgument,
                        text("list of CPUs '", list, "': expected numbers and ranges such as 0-3,8")};
  std::vector<int> cpus;
  std::string_view rest = list;
  while (!rest.empty()) {
    const int first = take_number(rest);
    int last = first;
    if (!rest.empty() && rest.front() == '-') {
      rest.remove_prefix(1);
      last = take_number(rest);
    }
    if (first < 0 || last < first) return malformed;
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    if (rest.empty()) break;
    if (rest.front() != ',' || rest.size() == 1) return malformed;
    rest.remove_prefix(1);
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

std::string format_cpu_list(std::vector<int> cpus) {
  std::sort(cpus.begin(), cpus.end());
  std::string out;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t end = i + 1;
    while (end < cpus.size() && cpus[end] <= cpus[end - 1] + 1) ++end;
    if (!out.empty()) out += ',';
    out += std::to_string(cpus[i]);
    if (cpus[end - 1] > cpus[i]) out += '-' + std::to_string(cpus[end - 1]);
    i = end;
  }
  return out;
}

}  // namespace colonnade::engine
