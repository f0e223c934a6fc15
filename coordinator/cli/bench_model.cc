#include "coordinator/cli/bench_model.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <vector>

#include "coordinator/cli/bench_case.h"
#include "coordinator/cli/bench_plot.h"
#include "coordinator/cli/value_list.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/units.h"
#include "engine/platform/topology.h"

namespace colonnade::cli {
namespace {

/// What may be used without pushing others out.
std::uint64_t free_memory(const engine::Topology& topology) {
  std::uint64_t bytes = 0;
  for (const engine::NodeInfo& node : topology.nodes) bytes += node.free_bytes;
  return std::min(bytes, topology.memory_limit_bytes);
}

/// States what is needed; kExhausted when a case by itself needs more than there is. True: all at once fit.
Result<bool> announce_memory(const std::vector<std::unique_ptr<BenchCase>>& cases, std::uint64_t free_bytes) {
  std::uint64_t all = 0;
  for (const auto& c : cases) {
    log_info(c->description());
    all += c->memory_bytes();
    if (c->memory_bytes() > free_bytes)
      return Error{ErrorCode::kExhausted, text("bench: ", c->description(), ": ", format_bytes(free_bytes), " are free")};
  }
  const bool fits = all <= free_bytes;
  if (cases.size() > 1)
    log_info(text("all ", cases.size(), " together need ", format_bytes(all), " of memory, ", format_bytes(free_bytes), " are free: ",
                  fits ? "measured in turn, A B A B …" : "measured one after the other"));
  return fits;
}

/// Runs `cases` in turn.
Status measure(std::span<const std::unique_ptr<BenchCase>> cases, const BenchOptions& bench) {
  for (const auto& c : cases) COLONNADE_TRY(c->start());
  for (int repetition = 0; repetition < bench.repetitions; ++repetition)
    for (const auto& c : cases) COLONNADE_TRY(c->measure_once());
  for (const auto& c : cases) c->stop();
  return {};
}

/// The cases' rows test by test, each with its ratio to the first case.
std::vector<BenchRow> rows_of(const std::vector<std::unique_ptr<BenchCase>>& cases) {
  std::vector<BenchRow> rows;
  for (const auto& c : cases) {
    for (std::size_t i = 0; i < c->rows().size(); ++i) {
      BenchRow row = c->rows()[i];
      std::vector<double> ratios;
      if (i >= cases.front()->rows().size() || cases.front()->rows()[i].test != row.test) {
        rows.push_back(std::move(row));  // an encoder beside a model that generates
        continue;
      }
      const std::vector<double>& first = cases.front()->rows()[i].tokens_per_second.values;
      for (std::size_t r = 0; r < first.size(); ++r) ratios.push_back(row.tokens_per_second.values[r] / first[r]);
      row.ratio = median(ratios);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

Status write_plot(const std::string& path, const std::vector<BenchRow>& rows) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << plot_svg(rows);
  file.close();
  if (!file) return Error{ErrorCode::kUnavailable, text("--plot: could not write ", path)};
  log_info(text("plot written to ", path));
  return {};
}

}  // namespace

Status bench_model(const Options& options) {
  COLONNADE_ASSIGN(const engine::Topology topology, engine::read_topology());
  COLONNADE_ASSIGN(const BenchOptions bench,
                   read_bench_options(options, static_cast<int>(engine::place_ranks(topology, 1)[0].cpus.size())));
  std::vector<std::shared_ptr<const Subject>> subjects;
  if (bench.shape.empty()) {
    COLONNADE_ASSIGN(Subject subject, open_subject(bench));
    subjects.push_back(std::make_shared<const Subject>(std::move(subject)));
  } else {
    COLONNADE_ASSIGN(const std::vector<std::string> shapes, word_list("--synthetic", bench.shape));
    for (const std::string& shape : shapes) {
      for (const engine::Sparsity& sparsity : bench.sparsities) {
        COLONNADE_ASSIGN(Subject subject, make_subject(bench, shape, sparsity));
        subjects.push_back(std::make_shared<const Subject>(std::move(subject)));
      }
    }
  }
  std::vector<std::unique_ptr<BenchCase>> cases;
  for (const auto& subject : subjects) {
    for (const Layout& layout : bench.layouts) {
      COLONNADE_ASSIGN(std::unique_ptr<BenchCase> one, BenchCase::make(subject, layout, bench, topology));
      cases.push_back(std::move(one));
    }
  }
  COLONNADE_ASSIGN(const bool together, announce_memory(cases, free_memory(topology)));
  if (together) {
    COLONNADE_TRY(measure(cases, bench));
  } else {
    for (const auto& one : cases) COLONNADE_TRY(measure(std::span(&one, 1), bench));
  }
  const std::vector<BenchRow> rows = rows_of(cases);
  std::vector<double> read;
  for (const BenchRow& row : rows) read.push_back(row.read_bytes_per_second);
  log_info(text("plain streaming read by the same cores in this run: ", format_rate(median(read)), " (median)"));
  const std::string output = rows_text(rows, bench.output);
  std::fwrite(output.data(), 1, output.size(), stdout);
  return bench.plot_file.empty() ? Status{} : write_plot(bench.plot_file, rows);
}

}  // namespace colonnade::cli
