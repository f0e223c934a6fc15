#include "coordinator/cli/bench_kernels.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "coordinator/cli/bandwidth_table.h"
#include "coordinator/cli/bench_rows.h"
#include "coordinator/cli/output_file.h"
#include "coordinator/cli/value_list.h"
#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/base/log.h"
#include "engine/base/progress.h"
#include "engine/base/units.h"
#include "engine/kernels/measure.h"
#include "engine/platform/memory.h"
#include "engine/platform/team.h"
#include "engine/platform/topology.h"
#include "shard/format_costs.h"

namespace colonnade::cli {
namespace {

constexpr double kSecondsOfCase = 0.06;
constexpr double kSecondsOfRead = 0.03;

/// Where the strips lie.
struct Place {
  const char* name;
  bool in_cache;
  std::uint64_t bytes_each;
  std::vector<std::span<std::byte>> memory;  // of each core
};

struct Line {
  const engine::KernelTable* kernels;
  const engine::Format* format;
  engine::Sparsity sparsity;
  int n_tokens;
  const Place* place;
  double bits_per_weight;
  std::vector<double> weights, bytes, fractions;  // a second; bytes over those of a plain read
  std::vector<double> reads;                      // bytes a second of that read
};

Result<std::vector<const engine::KernelTable*>> chosen_kernels(const std::string& isa) {
  if (!isa.empty()) {
    COLONNADE_ASSIGN(const engine::KernelTable* table, engine::choose_kernels(isa));
    return std::vector<const engine::KernelTable*>{table};
  }
  std::vector<const engine::KernelTable*> tables;
  for (const engine::KernelTable* table : engine::all_kernels())
    if (engine::kernels_supported(*table)) tables.push_back(table);
  return tables;
}

/// Those named, or all.
Result<std::vector<const engine::Format*>> chosen_formats(const std::string& list) {
  COLONNADE_ASSIGN(const std::vector<std::string> names, word_list("--weight-format", list));
  const auto all = engine::all_formats();
  if (names.empty()) return std::vector<const engine::Format*>(all.begin(), all.end());
  std::vector<const engine::Format*> formats;
  for (const std::string& name : names) {
    const engine::Format* format = engine::find_format(name);
    std::string known;
    for (const engine::Format* f : all) known += text(known.empty() ? "" : ", ", f->name());
    if (format == nullptr)
      return Error{ErrorCode::kInvalidArgument, text("--weight-format: expected some of ", known, ", found \"", name, "\"")};
    formats.push_back(format);
  }
  return formats;
}

/// The ways in which weights are pruned: every sparsity with every structure, each once.
Result<std::vector<engine::Sparsity>> chosen_sparsities(const Options& options) {
  const std::string list = options.is_set("sparsity") ? options.text("sparsity") : "0.5,0.75,0.9,0.95";
  const std::string structures = options.is_set("structure") ? options.text("structure") : "unstructured,n:64";
  COLONNADE_ASSIGN(const std::vector<double> sparsities, number_list("--sparsity", list, 0, 1));
  COLONNADE_ASSIGN(const std::vector<std::string> words, word_list("--structure", structures));
  std::vector<engine::Sparsity> chosen;
  for (const std::string& word : words) {
    for (const double sparsity : sparsities) {
      COLONNADE_ASSIGN(const engine::Sparsity one, engine::parse_sparsity(sparsity, word));
      if (std::find(chosen.begin(), chosen.end(), one) == chosen.end()) chosen.push_back(one);
    }
  }
  return chosen;
}

/// Zeros make a format smaller; else one density tells all.
bool is_sparse(const engine::Format& format) {
  return format.expected_strip_bytes(4096, engine::Zeros::in_blocks(0.05)) < 0.9 * format.expected_strip_bytes(4096, {});
}

/// The memory is that of the largest place; each smaller one is its beginning.
Result<std::vector<Place>> places_of(const engine::Topology& topology, const std::vector<int>& cpus, const std::string& only,
                                     std::vector<engine::HugeMemory>& memory) {
  std::uint64_t free_bytes = 0;
  for (const engine::NodeInfo& node : topology.nodes) free_bytes += node.free_bytes;
  std::vector<Place> places;
  places.push_back({"L2", true, size_in_cache(topology, 2, cpus), {}});
  places.push_back({"memory", false, size_in_memory(topology, cpus, free_bytes), {}});
  std::erase_if(places, [&](const Place& place) { return place.bytes_each == 0 || (!only.empty() && only != place.name); });
  std::uint64_t largest = 0;
  for (const Place& place : places) largest = std::max(largest, place.bytes_each);
  for (std::size_t i = 0; i < cpus.size(); ++i) {
    COLONNADE_ASSIGN(engine::HugeMemory own, engine::HugeMemory::allocate(largest, -1));  // where it is first touched
    memory.push_back(std::move(own));
    for (Place& place : places) place.memory.push_back(memory.back().span().first(place.bytes_each));
  }
  return places;
}

Status measure(Line& line, std::uint32_t cols, const std::vector<int>& cpus, engine::ThreadTeam& team) {
  const double read = engine::measure_read_bandwidth(cpus, line.place->bytes_each, kSecondsOfRead);
  engine::StripsCase what;
  what.kernels = line.kernels;
  what.format = line.format->id();
  what.sparsity = line.sparsity;
  what.n_tokens = line.n_tokens;
  what.cols = cols;
  what.memory = line.place->memory;
  what.seconds = kSecondsOfCase;
  COLONNADE_ASSIGN(const engine::StripsRate rate, engine::measure_strips(what, team));
  const double read_after = engine::measure_read_bandwidth(cpus, line.place->bytes_each, kSecondsOfRead);
  if (read <= 0 || read_after <= 0)
    return Error{ErrorCode::kExhausted, text("bench kernels: no memory to read ", format_bytes(line.place->bytes_each),
                                             " on each of ", cpus.size(), " cores")};
  line.bits_per_weight = rate.bits_per_weight;
  line.weights.push_back(rate.weights_per_second);
  line.bytes.push_back(rate.bytes_per_second);
  line.fractions.push_back(rate.bytes_per_second / ((read + read_after) / 2));
  line.reads.push_back((read + read_after) / 2);
  return {};
}

void print_lines(const std::vector<Line>& lines, const std::string& output) {
  Json rows = Json::array();
  if (output == "csv")
    std::printf("format,structure,density,bits_per_weight,isa,tokens,place,giga_weights_per_second,gigabytes_per_second,"
                "fraction_of_read_bandwidth,giga_macs_per_second\n");
  if (output == "md")
    std::printf("| format | structure | density | bits/w | ISA | tokens | strips in | G weights/s | GB/s | of a plain read | G MAC/s |\n"
                "| --- | --- | ---: | ---: | --- | ---: | --- | ---: | ---: | ---: | ---: |\n");
  for (const Line& line : lines) {
    const double weights = median(line.weights) / 1e9, bytes = median(line.bytes) / 1e9;
    const double fraction = median(line.fractions), macs = weights * line.n_tokens;
    const std::string structure = engine::structure_name(line.sparsity);
    if (output == "json")
      rows.push_back({{"format", line.format->name()}, {"structure", structure}, {"density", line.sparsity.density},
                      {"bits_per_weight", line.bits_per_weight}, {"isa", line.kernels->name}, {"tokens", line.n_tokens},
                      {"place", line.place->name}, {"giga_weights_per_second", weights}, {"gigabytes_per_second", bytes},
                      {"fraction_of_read_bandwidth", fraction}, {"giga_macs_per_second", macs}});
    else
      std::printf(output == "csv" ? "%s,%s,%.4f,%.3f,%s,%d,%s,%.3f,%.3f,%.4f,%.2f\n"
                                  : "| %s | %s | %.4f | %.2f | %s | %d | %s | %.2f | %.2f | %.2f | %.1f |\n",
                  line.format->name(), structure.c_str(), line.sparsity.density, line.bits_per_weight, line.kernels->name,
                  line.n_tokens, line.place->name, weights, bytes, fraction, macs);
  }
  if (output == "json") std::printf("%s\n", dump_json(rows, 1).c_str());
}

/// Every case for which there is a kernel.
std::vector<Line> lines_of(const std::vector<Place>& places, const std::vector<const engine::Format*>& formats,
                           const std::vector<engine::Sparsity>& sparsities, const std::string& values,
                           const std::vector<const engine::KernelTable*>& tables, const std::vector<int>& tokens) {
  std::vector<Line> lines;
  const std::vector<engine::Sparsity> dense(1);
  for (const Place& place : places)
    for (const engine::Format* format : formats)
      for (const engine::Sparsity& sparsity : is_sparse(*format) ? sparsities : dense)
        for (const engine::KernelTable* table : tables)
          for (const int n_tokens : tokens)
            if (table->strips[static_cast<std::size_t>(format->id())] != nullptr &&
                (values.empty() || std::string_view(format->name()).ends_with(values)))
              lines.push_back({table, format, sparsity, n_tokens, &place, 0, {}, {}, {}, {}});
  return lines;
}

/// What a weight costs a core from its L2, and the core's share of the read bandwidth from memory.
Status write_costs(const std::string& path, const std::vector<Line>& lines, std::size_t n_cores) {
  shard::FormatCosts costs;
  costs.n_cores = static_cast<int>(n_cores);
  std::vector<double> reads;
  const auto seconds = [&](const Line& line) { return static_cast<double>(n_cores) / median(line.weights); };
  for (const Line& line : lines) {
    if (line.place->in_cache) {
      costs.points.push_back({.isa = line.kernels->name, .format = line.format->name(), .tokens = line.n_tokens,
                              .bits_per_weight = line.bits_per_weight, .seconds_per_weight = seconds(line),
                              .density = line.sparsity.density, .structure = engine::structure_name(line.sparsity)});
      continue;
    }
    reads.insert(reads.end(), line.reads.begin(), line.reads.end());
    for (shard::CostPoint& point : costs.points)
      if (point.isa == line.kernels->name && point.format == line.format->name() && point.tokens == line.n_tokens &&
          point.density == line.sparsity.density && point.structure == engine::structure_name(line.sparsity))
        point.memory_seconds_per_weight = seconds(line);
  }
  if (costs.points.empty() || reads.empty())
    return Error{ErrorCode::kUnavailable, "--write-costs: expected measurements from L2 and from memory, found only one of them"};
  costs.core_bytes_per_second = median(reads) / static_cast<double>(n_cores);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << shard::costs_text(costs);
  file.close();
  if (!file) return Error{ErrorCode::kUnavailable, text("--write-costs: could not write ", path)};
  log_info(text("costs of ", costs.points.size(), " cases written to ", path));
  return {};
}

}  // namespace

Status bench_kernels(const Options& options) {
  const std::string costs = options.text("write-costs");
  if (!costs.empty()) COLONNADE_TRY(check_output_file("--write-costs", costs));
  COLONNADE_ASSIGN(const std::vector<const engine::KernelTable*> tables, chosen_kernels(options.text("isa")));
  COLONNADE_ASSIGN(const std::vector<const engine::Format*> formats, chosen_formats(options.text("weight-format")));
  COLONNADE_ASSIGN(const std::vector<engine::Sparsity> sparsities, chosen_sparsities(options));
  COLONNADE_ASSIGN(const std::vector<int> tokens, integer_list("--tokens", options.text("tokens"), 1, 4096));
  COLONNADE_ASSIGN(const engine::Topology topology, engine::read_topology());
  const std::vector<int> cpus = engine::place_ranks(topology, 1)[0].cpus;
  COLONNADE_ASSIGN(const std::unique_ptr<engine::ThreadTeam> team, engine::ThreadTeam::make(cpus, static_cast<int>(cpus.size()), 20));

  std::vector<engine::HugeMemory> memory;
  COLONNADE_ASSIGN(const std::vector<Place> places, places_of(topology, cpus, options.text("place"), memory));
  std::vector<Line> lines = lines_of(places, formats, sparsities, options.text("values"), tables, tokens);
  if (lines.empty())
    return Error{ErrorCode::kInvalidArgument, "bench kernels: expected formats for which there is a kernel, found none"};
  const auto repetitions = static_cast<std::size_t>(options.integer("repetitions"));
  const auto cols = static_cast<std::uint32_t>(options.integer("cols"));
  log_info(text(cpus.size(), " cores, matrices of ", cols, " columns, ", lines.size(), " cases x ", repetitions));
  {
    Progress progress("measuring", lines.size() * repetitions, ProgressUnit::kItems);
    for (std::size_t repetition = 0; repetition < repetitions; ++repetition) {
      for (Line& line : lines) {
        COLONNADE_TRY(measure(line, cols, cpus, *team));
        progress.add(1);
      }
    }
  }
  print_lines(lines, options.text("format"));
  return costs.empty() ? Status{} : write_costs(costs, lines, cpus.size());
}

}  // namespace colonnade::cli
