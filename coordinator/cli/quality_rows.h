// The table of colonnade quality: its rows, the files in which finished ones are kept, and its three forms. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"

namespace colonnade::cli {

/// How far a model is from the dense one, over all scored tokens.
struct QualityDistance {
  double kl_divergence = 0, kl_divergence_error = 0;  // nats
  double top_1_agreement = 0;                         // 0 … 1
};

struct QualityRow {
  std::string name;                // "sparsegpt+refit 50 % int4"
  std::string kind;                // "dense", a method, or "other" for a model that the user named
  std::string structure;           // "dense", "unstructured", "2:4"
  std::string values;              // "int4"
  double asked_sparsity = 0;       // 0 … 1
  double sparsity = 0;             // of the packed projections, as found
  double bytes_per_token = 0;      // of weights, that decoding one token reads
  std::uint64_t packed_bytes = 0;  // of the files
  std::string weights;             // "bitmask-int4 3.06 bits, head int4 4.25 bits"
  double perplexity = 0, perplexity_error = 0;
  double mean_nll = 0;
  double bits_per_byte = 0;
  std::size_t tokens = 0;
  std::uint64_t text_id = 0;       // of the windows of tokens: where it differs, perplexities do not compare
  std::optional<QualityDistance> distance = {};
};

/// What rows have in common, for people: one fact a line.
struct QualityFacts {
  std::vector<std::string> lines;
  std::size_t n_points = 0;  // that were asked for; fewer rows: not finished
};

OrderedJson row_json(const QualityRow& row);
/// kCorrupt where something is missing or of another type.
Result<QualityRow> parse_row(const Json& json, const std::string& where);

/// By row: nothing else has as few bytes a token and predicts the text as well.
std::vector<bool> pareto_front(const std::vector<QualityRow>& rows);

/// All rows were measured on the same tokens.
bool same_text(const std::vector<QualityRow>& rows);

/// "md", "csv" or "json"; ends with a line end.
std::string quality_text(const std::vector<QualityRow>& rows, const QualityFacts& facts, const std::string& format);

}  // namespace colonnade::cli
