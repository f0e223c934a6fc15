// What a packed model consists of, counted from its manifest: for colonnade inspect, as a table and as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/json.h"
#include "shard/format_costs.h"
#include "shard/manifest.h"

namespace colonnade::cli {

/// All matrices of one kind that are stored in one format, or all vectors (format "f32").
struct InspectRow {
  std::string what;         // "queries", "experts, gate"
  std::string format;
  std::uint64_t n_matrices = 0;
  std::uint64_t weights = 0;   // zeros included
  double stored_weights = 0;   // not zero
  std::uint64_t bytes = 0;
  double token_us = 0;         // predicted time of decoding one token on all cores; of mixtures what a token uses
  std::vector<std::pair<std::string, double>> alternatives = {};  // other formats of the same values: name, microseconds

  double density() const { return weights > 0 ? stored_weights / static_cast<double>(weights) : 0; }
  double bits_per_weight() const { return weights > 0 ? 8.0 * static_cast<double>(bytes) / static_cast<double>(weights) : 0; }
};

struct InspectReport {
  std::vector<InspectRow> rows;
  InspectRow matrices;            // sum over the matrices
  std::uint64_t blob_bytes = 0;   // of all blobs
  std::uint64_t file_bytes = 0;   // with padding
  std::uint64_t parameters = 0;
  std::uint64_t active_parameters = 0;
  std::string costs;              // where the predictions come from, in words
};

/// By what costs are predicted: pure, like all of this.
struct InspectCosts {
  const shard::FormatCosts& table;
  std::string isa;
  int n_cores = 1;
};

InspectReport inspect_manifest(const shard::Manifest& manifest, const InspectCosts& costs);

std::string inspect_text(const shard::Manifest& manifest, const InspectReport& report);
OrderedJson inspect_json(const shard::Manifest& manifest, const InspectReport& report);

/// One line, or one object, for every path.
std::string paths_text(const shard::Manifest& manifest);
OrderedJson paths_json(const shard::Manifest& manifest);

}  // namespace colonnade::cli
