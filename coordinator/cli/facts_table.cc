// The table of `doctor`: facts down, hosts together where they agree.
#include <algorithm>
#include <map>

#include "coordinator/cli/diagnosis.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::cli {
namespace {

std::string padded(std::string word, std::size_t width) {
  word.resize(std::max(word.size(), width), ' ');
  return word;
}

std::string joined(const std::vector<std::string>& words, const char* between = ", ") {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

std::string interface_text(const HostFacts& host) {
  std::vector<std::string> words;
  for (const InterfaceFacts& interface : host.interfaces) {
    words.push_back(text(interface.name, " ", joined(interface.networks, " "),
                         interface.megabits > 0 ? text(" ", interface.megabits, " Mbit/s") : ""));
  }
  return words.empty() ? "none but loopback" : joined(words);
}

std::string limit_text(std::uint64_t value, bool bytes) {
  if (value == UINT64_MAX) return "unlimited";
  return bytes ? format_bytes(value) : std::to_string(value);
}

std::string model_text(const ModelFacts& model) {
  if (!model.error.empty()) return model.error;
  return text(model.path, ": ", model.kind, ", ", format_bytes(model.bytes), ", checksum ", model.checksum);
}

struct Row {
  const char* name;
  std::string (*value)(const HostFacts&);
  bool measured = false;  // differs from host to host by nature: shown, not marked
};

const Row kRows[] = {
    {"version", [](const HostFacts& h) { return h.version + ", build " + h.program_checksum; }},
    {"system", [](const HostFacts& h) { return h.system; }},
    {"CPU", [](const HostFacts& h) { return h.cpu; }},
    {"kernels", [](const HostFacts& h) { return h.kernels; }},
    {"cores", [](const HostFacts& h) { return text(h.cores, " on ", h.numa_nodes, h.numa_nodes == 1 ? " NUMA node" : " NUMA nodes"); }},
    {"limits", [](const HostFacts& h) { return h.limits.empty() ? std::string("none") : joined(h.limits, "; "); }},
    {"memory", [](const HostFacts& h) { return format_bytes(h.memory_bytes); }},
    {"free memory", [](const HostFacts& h) { return format_bytes(h.free_bytes); }, true},
    {"huge pages", [](const HostFacts& h) { return text("transparent: ", h.transparent_pages, ", reserved: ", h.reserved_pages); }},
    {"/dev/shm", [](const HostFacts& h) { return format_bytes(h.shm_bytes); }},
    {"ulimits", [](const HostFacts& h) { return text("memlock ", limit_text(h.memlock_bytes, true), ", open files ", limit_text(h.open_files, false)); }},
    {"MPI", [](const HostFacts& h) { return h.mpi.empty() ? std::string("none") : h.mpi; }},
    {"MPI selection", [](const HostFacts& h) { return h.mpi_selection.empty() ? std::string("OpenMPI's own") : h.mpi_selection; }},
    {"transport", [](const HostFacts& h) { return h.transport; }},
    {"interfaces", interface_text},
    {"fast networks", [](const HostFacts& h) { return h.fast_networks.empty() ? std::string("none") : joined(h.fast_networks); }},
    {"round trip", [](const HostFacts& h) { return h.round_trip_us > 0 ? format_seconds(h.round_trip_us * 1e-6) : std::string(); }, true},
    {"model", [](const HostFacts& h) { return h.model.path.empty() ? std::string() : model_text(h.model); }},
};

}  // namespace

std::string facts_table(std::span<const HostFacts> hosts) {
  constexpr std::size_t kNameWidth = 16, kValueWidth = 44;
  std::vector<std::string> names;
  for (const HostFacts& host : hosts) names.push_back(host.host);
  std::string out = padded(hosts.size() == 1 ? "host" : text(hosts.size(), " hosts"), kNameWidth) + joined(names) + "\n";
  for (const Row& row : kRows) {
    std::vector<std::pair<std::string, std::vector<std::string>>> values;  // value, hosts; in the order of the hosts
    for (const HostFacts& host : hosts) {
      const std::string value = row.value(host);
      if (row.measured && value.empty()) continue;
      auto found = std::find_if(values.begin(), values.end(), [&](const auto& entry) { return entry.first == value; });
      if (found == values.end()) found = values.insert(values.end(), {value, {}});
      found->second.push_back(host.host);
    }
    if (values.empty()) continue;
    if (values.size() == 1 && !(row.measured && values[0].second.size() < hosts.size())) {
      if (!values[0].first.empty()) out += padded(row.name, kNameWidth) + values[0].first + "\n";
      continue;
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::string mark = row.measured ? "" : "≠ ";
      out += padded(i == 0 ? row.name : "", kNameWidth) + mark + padded(values[i].first.empty() ? "-" : values[i].first, kValueWidth) +
             "  " + joined(values[i].second) + "\n";
    }
  }
  return out;
}

}  // namespace colonnade::cli
