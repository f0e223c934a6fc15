#include "coordinator/cli/host_file.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <sstream>

#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

/// Of all hosts together: as many as --ranks takes.
constexpr int kMostSlots = 65536;

/// -1 for what is no number above 0.
int read_count(std::string_view word) {
  int count = 0;
  const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), count);
  return failure == std::errc{} && end == word.data() + word.size() && count > 0 && count <= kMostSlots ? count : -1;
}

}  // namespace

Result<std::vector<Host>> read_host_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) return Error{ErrorCode::kNotFound, text("host file ", path.string(), ": cannot be read")};
  std::vector<Host> hosts;
  int line_number = 0, slots = 0;
  for (std::string line; std::getline(file, line);) {
    ++line_number;
    std::istringstream words(line.substr(0, line.find('#')));
    Host host;
    if (!(words >> host.name)) continue;
    const auto wrong = [&](const std::string& word) {
      return Error{ErrorCode::kInvalidArgument, text("host file ", path.string(), ", line ", line_number,
                                                     ": expected 1 to ", kMostSlots, " slots, found \"", word, "\"")};
    };
    if (const std::size_t colon = host.name.find(':'); colon != std::string::npos) {
      host.slots = read_count(std::string_view(host.name).substr(colon + 1));
      if (host.slots < 0) return wrong(host.name);
      host.name.resize(colon);
    }
    for (std::string word; words >> word;) {
      if (word.rfind("slots=", 0) != 0) continue;
      host.slots = read_count(std::string_view(word).substr(6));
      if (host.slots < 0) return wrong(word);
    }
    hosts.push_back(host);
    if ((slots += std::max(host.slots, 1)) > kMostSlots)
      return Error{ErrorCode::kInvalidArgument, text("host file ", path.string(), ", line ", line_number, ": expected at most ", kMostSlots,
                                                     " slots on all hosts, found ", slots)};
  }
  if (hosts.empty()) return Error{ErrorCode::kInvalidArgument, text("host file ", path.string(), ": expected at least one host, found none")};
  return hosts;
}

bool is_this_host(const std::string& name) {
  std::array<char, 256> own{};
  ::gethostname(own.data(), own.size() - 1);
  const std::string full = own.data();
  return name == "localhost" || name == "127.0.0.1" || name == "::1" || name == full ||
         name == full.substr(0, full.find('.')) || name.substr(0, name.find('.')) == full;
}

}  // namespace colonnade::cli
