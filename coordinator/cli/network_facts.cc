#include "coordinator/cli/network_facts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

constexpr std::array<const char*, 3> kFrameworks = {"pml", "btl", "mtl"};

/// First line that a command prints; "" when it fails.
std::string first_line_of(const char* command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command, "re"), pclose);
  if (!pipe) return "";
  char line[256] = {};
  if (std::fgets(line, sizeof line, pipe.get()) == nullptr) return "";
  line[std::strcspn(line, "\n")] = '\0';
  while (std::fgetc(pipe.get()) != EOF) {
  }
  return line;
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream out;
  out << file.rdbuf();
  return std::move(out).str();
}

void read_selection(const std::string& configuration, std::map<std::string, std::string>& selection) {
  std::istringstream lines(configuration);
  for (std::string line; std::getline(lines, line);) {
    line = line.substr(0, line.find('#'));
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    std::string name, value;
    std::istringstream(line.substr(0, equals)) >> name;
    std::istringstream(line.substr(equals + 1)) >> value;
    if (std::find(kFrameworks.begin(), kFrameworks.end(), name) != kFrameworks.end()) selection[name] = value;
  }
}

std::string selection_text(const std::map<std::string, std::string>& selection) {
  std::string out;
  for (const auto& [name, value] : selection) out += text(out.empty() ? "" : ", ", name, " ", value);
  return out;
}

/// As OpenMPI reads it: the system's file, the user's file, the environment; the later wins.
std::string mpi_selection() {
  std::map<std::string, std::string> selection;
  for (const char* place : {"/etc/openmpi/openmpi-mca-params.conf", "/etc/openmpi-mca-params.conf"}) {
    read_selection(content_of(place), selection);
  }
  if (const char* home = std::getenv("HOME")) {
    read_selection(content_of(std::filesystem::path(home) / ".openmpi" / "mca-params.conf"), selection);
  }
  for (const char* framework : kFrameworks) {
    const char* value = std::getenv(text("OMPI_MCA_", framework).c_str());
    if (value != nullptr) selection[framework] = value;
  }
  return selection_text(selection);
}

/// "10.0.0.0/24"; "" for what is no network to talk over.
std::string network_of(const sockaddr* address, const sockaddr* mask) {
  if (address == nullptr || mask == nullptr) return "";
  std::array<unsigned char, 16> bytes{}, bits{};
  std::size_t n = 0;
  if (address->sa_family == AF_INET) {
    n = 4;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, n);
    std::memcpy(bits.data(), &reinterpret_cast<const sockaddr_in*>(mask)->sin_addr, n);
  } else if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) return "";
    n = 16;
    std::memcpy(bytes.data(), &v6->sin6_addr, n);
    std::memcpy(bits.data(), &reinterpret_cast<const sockaddr_in6*>(mask)->sin6_addr, n);
  } else {
    return "";
  }
  int length = 0;
  for (std::size_t i = 0; i < n; ++i) {
    bytes[i] = static_cast<unsigned char>(bytes[i] & bits[i]);
    length += std::popcount(bits[i]);
  }
  char name[INET6_ADDRSTRLEN] = {};
  inet_ntop(address->sa_family, bytes.data(), name, sizeof name);
  return text(name, "/", length);
}

std::vector<InterfaceFacts> interfaces() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  std::map<std::string, InterfaceFacts> found;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if ((entry->ifa_flags & IFF_UP) == 0 || (entry->ifa_flags & IFF_LOOPBACK) != 0) continue;
    const std::string network = network_of(entry->ifa_addr, entry->ifa_netmask);
    if (network.empty()) continue;
    InterfaceFacts& facts = found[entry->ifa_name];
    facts.name = entry->ifa_name;
    facts.networks.push_back(network);
    std::ifstream speed(text("/sys/class/net/", facts.name, "/speed"));
    if (!(speed >> facts.megabits) || facts.megabits < 0) facts.megabits = 0;  // -1: the driver does not know
  }
  freeifaddrs(list);
  std::vector<InterfaceFacts> out;
  for (auto& [name, facts] : found) out.push_back(std::move(facts));
  return out;
}

std::vector<std::string> fast_networks() {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/class/infiniband", ignored)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::string mpi_selection_of(const std::string& configuration) {
  std::map<std::string, std::string> selection;
  read_selection(configuration, selection);
  return selection_text(selection);
}

void read_network_facts(HostFacts& facts) {
  facts.mpi = first_line_of("mpirun --version 2>/dev/null </dev/null");
  facts.mpi_selection = mpi_selection();
  facts.interfaces = interfaces();
  facts.fast_networks = fast_networks();
}

}  // namespace colonnade::cli
