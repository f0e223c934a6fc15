#include "shard/cluster.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <string>

#include "engine/base/check.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::shard {
namespace {

/// Of what channels could carry, what a plain read gets on servers.
constexpr double kReadEfficiency = 0.75;
constexpr double kBytesPerTransfer = 8;
/// TCP between hosts, both ends included; with InfiniBand or RoCE it is about 3 us.
constexpr double kNetworkSeconds = 15e-6;

enum class Unit { kCount, kNumber, kBytes };
struct Key {
  std::string_view name;
  Unit unit;
  double least, most;  // beyond them it is a slip, and no prediction would mean anything
};
constexpr std::array kKeys{Key{"hosts", Unit::kCount, 1, 4096},
                           Key{"sockets", Unit::kCount, 1, 4096},
                           Key{"nodes", Unit::kCount, 1, 4096},
                           Key{"cores", Unit::kCount, 1, 4096},
                           Key{"channels", Unit::kCount, 1, 4096},
                           Key{"rate", Unit::kNumber, 1, 1e6},          // million transfers a second
                           Key{"bandwidth", Unit::kNumber, 1e6, 1e15},  // bytes a second
                           Key{"memory", Unit::kBytes, 1 << 20, 1e18},  // each of kMostRanks has some
                           Key{"l3", Unit::kBytes, 1, 1e15},
                           Key{"network", Unit::kNumber, 1e6, 1e15},    // bits a second
                           Key{"speed", Unit::kNumber, 1e-3, 1e3},
                           Key{"latency", Unit::kNumber, 1e-3, 1e6}};   // microseconds

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// "200G": decimal units, as networks and memories are sold. Nothing where that is no number.
std::optional<double> parse_number(std::string_view digits) {
  double factor = 1;
  if (!digits.empty()) {
    const char unit = digits.back();
    factor = unit == 'M' ? 1e6 : unit == 'G' ? 1e9 : unit == 'T' ? 1e12 : 1;
    if (factor != 1) digits.remove_suffix(1);
  }
  double number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number * factor;
}

Result<double> parse_value(const Key& key, std::string_view value) {
  const bool whole = key.unit == Unit::kCount, bytes = key.unit == Unit::kBytes;
  std::optional<double> number;
  if (!bytes) number = parse_number(value);
  else if (const Result<std::uint64_t> parsed = parse_bytes(value); parsed.ok()) number = static_cast<double>(*parsed);
  if (!number || !(*number >= key.least && *number <= key.most) || (whole && *number != std::floor(*number))) {
    const auto limit = [&](double at) { return bytes ? format_bytes(static_cast<std::uint64_t>(at)) : text(at); };
    return invalid(text("--topology: ", key.name, ": expected ", whole ? "a whole number" : bytes ? "a size" : "a number", " from ", limit(key.least),
                        " to ", limit(key.most), ", found \"", value, "\""));
  }
  return *number;
}

const Key* find_key(std::string_view name) {
  const auto* const found = std::find_if(kKeys.begin(), kKeys.end(), [&](const Key& key) { return key.name == name; });
  return found == kKeys.end() ? nullptr : found;
}

std::string key_names() {
  std::string names;
  for (const Key& key : kKeys) names += text(names.empty() ? "" : ", ", key.name);
  return names;
}

/// Ranks [first, last) of host `host`.
int first_rank_of(int host, int n_hosts, int n_ranks) {
  return static_cast<int>(static_cast<std::int64_t>(host) * n_ranks / n_hosts);
}

/// Calls visit(host, ranks of this host, host's index among its ranks) for every rank in order.
template <typename Visit>
void for_ranks(const MachineDescription& description, int n_ranks, const Visit& visit) {
  const int n_hosts = std::min(description.n_hosts, n_ranks);
  for (int host = 0; host < n_hosts; ++host) {
    const int first = first_rank_of(host, n_hosts, n_ranks), last = first_rank_of(host + 1, n_hosts, n_ranks);
    for (int r = first; r < last; ++r) visit(host, last - first);
  }
}

}  // namespace

bool describes_machines(std::string_view description) {
  return find_key(description.substr(0, description.find_first_of("=,"))) != nullptr;
}

Result<MachineDescription> parse_machines(std::string_view description) {
  std::array<double, kKeys.size()> values{};  // 0: not given
  for (std::size_t begin = 0; begin <= description.size();) {
    const std::size_t end = std::min(description.find(',', begin), description.size());
    const std::string_view word = description.substr(begin, end - begin);
    const std::size_t equals = std::min(word.find('='), word.size());
    const Key* const key = find_key(word.substr(0, equals));
    if (key == nullptr || equals == word.size())
      return invalid(text("--topology: expected words such as cores=64 of ", key_names(), ", found \"", word, "\""));
    double& value = values[static_cast<std::size_t>(key - kKeys.data())];
    if (value != 0) return invalid(text("--topology: ", key->name, " is given twice"));
    COLONNADE_ASSIGN(value, parse_value(*key, word.substr(equals + 1)));
    begin = end + 1;
  }
  const auto value = [&](std::string_view name) { return values[static_cast<std::size_t>(find_key(name) - kKeys.data())]; };
  const auto count = [&](std::string_view name) { return value(name) == 0 ? 1 : static_cast<int>(value(name)); };
  for (const std::string_view required : {"cores", "memory"})
    if (value(required) == 0) return invalid(text("--topology: ", required, " is missing in \"", description, "\""));
  const bool by_channels = value("channels") != 0 && value("rate") != 0;
  if (by_channels == (value("bandwidth") != 0) || (value("channels") != 0) != (value("rate") != 0))
    return invalid(text("--topology: expected channels and rate, or bandwidth, found \"", description, "\""));
  if (value("hosts") > 1 && value("network") == 0)
    return invalid(text("--topology: network is missing: ", value("hosts"), " hosts are joined by one"));
  const double n_ranks = std::max(1.0, value("hosts")) * std::max(1.0, value("sockets")) * std::max(1.0, value("nodes"));
  if (n_ranks > kMostRanks)
    return invalid(text("--topology: expected at most ", kMostRanks, " NUMA nodes (hosts, times sockets, times nodes), found ",
                        static_cast<std::int64_t>(n_ranks)));
  return MachineDescription{
      .n_hosts = count("hosts"),
      .n_sockets = count("sockets"),
      .nodes_per_socket = count("nodes"),
      .n_cores = count("cores"),
      .socket_bytes_per_second =
          by_channels ? value("channels") * value("rate") * 1e6 * kBytesPerTransfer * kReadEfficiency : value("bandwidth"),
      .memory_bytes = static_cast<std::uint64_t>(value("memory")),
      .l3_bytes = static_cast<std::uint64_t>(value("l3")),
      .speed = value("speed") == 0 ? 1.0 : value("speed"),
      .network_bytes_per_second = value("network") / 8,
      .network_seconds = value("latency") == 0 ? kNetworkSeconds : value("latency") * 1e-6,
  };
}

std::vector<RankMachine> machines_of(const MachineDescription& description, int n_ranks) {
  std::vector<RankMachine> machines;
  for_ranks(description, n_ranks, [&](int, int ranks_here) {
    const auto n = static_cast<std::uint64_t>(ranks_here), sockets = static_cast<std::uint64_t>(description.n_sockets);
    machines.push_back({.memory_bytes = description.memory_bytes / n, .l3_bytes = description.l3_bytes * sockets / n});
  });
  // Shares are relative to the cores and the memory that a rank has.
  for (RankMachine& machine : machines)
    machine.speed = static_cast<double>(machine.memory_bytes) / static_cast<double>(machines.front().memory_bytes);
  return machines;
}

Cluster cluster_of(const MachineDescription& description, int n_ranks) {
  Cluster cluster{.network_seconds = description.network_seconds, .network_bytes_per_second = description.network_bytes_per_second};
  for_ranks(description, n_ranks, [&](int host, int ranks_here) {
    const int cores = description.n_cores * description.n_sockets;
    const double turns = std::min(1.0, static_cast<double>(cores) / ranks_here);  // of a core, where ranks share them
    cluster.ranks.push_back({.host = host,
                             .n_cores = std::max(1, cores / ranks_here),
                             .bytes_per_second = description.socket_bytes_per_second * description.n_sockets / ranks_here,
                             .core_bytes_per_second = kCoreBytesPerSecond,
                             .l3_bytes_per_second = kCoreL3BytesPerSecond * cores / ranks_here,
                             .speed = description.speed * turns});
  });
  return cluster;
}

Cluster local_cluster(const std::vector<std::vector<int>>& cpus, double bytes_per_second) {
  std::set<int> distinct;
  double all = 0;
  for (const std::vector<int>& of_rank : cpus) {
    distinct.insert(of_rank.begin(), of_rank.end());
    all += static_cast<double>(of_rank.size());
  }
  const double turns = static_cast<double>(distinct.size()) / all;
  Cluster cluster;
  for (const std::vector<int>& of_rank : cpus) {
    const auto cores = static_cast<double>(of_rank.size());
    cluster.ranks.push_back({.n_cores = static_cast<int>(of_rank.size()),
                             .bytes_per_second = bytes_per_second * cores / all,
                             .l3_bytes_per_second = kCoreL3BytesPerSecond * cores * turns,
                             .speed = turns});
  }
  return cluster;
}

void scale_speeds(Cluster& cluster, std::span<const double> factors) {
  COLONNADE_CHECK(factors.size() == cluster.ranks.size(), "a factor for each rank");
  for (std::size_t r = 0; r < factors.size(); ++r) {
    RankRates& rates = cluster.ranks[r];
    for (double* const rate : {&rates.bytes_per_second, &rates.core_bytes_per_second, &rates.l3_bytes_per_second, &rates.speed}) *rate *= factors[r];
  }
}

}  // namespace colonnade::shard
