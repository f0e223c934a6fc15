#include "coordinator/cli/inspect_report.h"

#include <algorithm>

#include "coordinator/cli/table_text.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"
#include "engine/formats/format.h"
#include "shard/format_choice.h"
#include "shard/hf_config.h"
#include "shard/plan_bytes.h"

namespace colonnade::cli {
namespace {

using shard::MatrixRole;
using shard::PathKind;

const char* matrix_words(PathKind kind, MatrixRole role) {
  if (kind == PathKind::kEmbedding) return "embedding";
  if (kind == PathKind::kHead) return "head";
  switch (role) {
    case MatrixRole::kQuery: return "attention, queries";
    case MatrixRole::kKey: return "attention, keys";
    case MatrixRole::kValue: return "attention, values";
    case MatrixRole::kOutput: return "attention, output";
    case MatrixRole::kQueryLatent: return "attention, query latent";
    case MatrixRole::kLatent: return "attention, latent";
    case MatrixRole::kIntoLatent: return "attention, into latent";
    case MatrixRole::kOutOfLatent: return "attention, from latent";
    case MatrixRole::kGate: return "feed-forward, gate";
    case MatrixRole::kUp: return "feed-forward, up";
    default: return "feed-forward, down";
  }
}

InspectRow& row_of(std::vector<InspectRow>& rows, const std::string& what, const std::string& format) {
  for (InspectRow& row : rows)
    if (row.what == what && row.format == format) return row;
  rows.push_back({.what = what, .format = format});
  return rows.back();
}

std::string table_line(const InspectRow& row) {
  std::string others;
  for (const auto& [name, us] : row.alternatives) others += text(others.empty() ? "" : ", ", name, print(" %.0f", us));
  return print("%-22s %-12s %9llu %15llu %8.2f %% %11s %8.3f %10.0f  %s\n", row.what.c_str(), row.format.c_str(),
               static_cast<unsigned long long>(row.n_matrices), static_cast<unsigned long long>(row.weights),
               100.0 * row.density(), format_bytes(row.bytes).c_str(), row.bits_per_weight(), row.token_us, others.c_str());
}

/// Adds what a token costs in the matrix' own format and in others of the same values, all cores sharing.
void add_costs(const InspectCosts& costs, const shard::MatrixSpec& m, double share, InspectRow& row) {
  const double strips = m.n_strips(), weights = strips * engine::kStripRows * m.cols;
  const auto us = [&](engine::FormatId id, double bytes) {
    const auto seconds = costs.table.pass_seconds(costs.isa, engine::find_format(id)->name(), 1, weights, bytes);
    return seconds ? 1e6 * *seconds * share / costs.n_cores : 0.0;
  };
  row.token_us += us(m.format, static_cast<double>(m.bytes));
  std::size_t next = 0;
  for (const engine::Format* format : engine::all_formats()) {
    if (format->id() == m.format || shard::values_of(format->id()) != shard::values_of(m.format)) continue;
    if (row.alternatives.size() == next) row.alternatives.emplace_back(format->name(), 0.0);
    row.alternatives[next++].second += us(format->id(), strips * format->expected_strip_bytes(m.cols, m.zeros));
  }
}

OrderedJson row_json(const InspectRow& row) {
  OrderedJson others = OrderedJson::object();
  for (const auto& [name, us] : row.alternatives) others[name] = us;
  return {{"predicted_us_per_token", row.token_us}, {"alternatives_us_per_token", others},
          {"what", row.what},       {"format", row.format},       {"matrices", row.n_matrices},
          {"weights", row.weights}, {"density", row.density()},   {"bytes", row.bytes},
          {"bits_per_weight", row.bits_per_weight()}};
}

std::string feed_forward_words(const engine::ModelConfig& config) {
  const auto mixture = std::find_if(config.layers.begin(), config.layers.end(),
                                    [](const engine::LayerConfig& layer) { return layer.has_router(); });
  const auto dense = std::find_if(config.layers.begin(), config.layers.end(),
                                  [](const engine::LayerConfig& layer) { return !layer.has_router(); });
  std::string words;
  if (mixture != config.layers.end())
    words = text(mixture->n_experts, " experts of ", mixture->hidden_dim, " neurons, ", mixture->n_active, " active");
  if (mixture != config.layers.end() && mixture->has_shared())
    words += text(", a shared one of ", mixture->shared_hidden_dim);
  if (dense != config.layers.end()) words += text(words.empty() ? "" : "; dense layers of ", dense->hidden_dim, " neurons");
  return words;
}

}  // namespace

InspectReport inspect_manifest(const shard::Manifest& manifest, const InspectCosts& costs) {
  InspectReport report;
  report.costs = text(costs.table.origin, " costs, ", costs.isa, ", ", costs.n_cores, costs.n_cores == 1 ? " core" : " cores");
  InspectRow vectors{.what = "norms, routers, biases", .format = "f32"};
  report.matrices.what = "all matrices";
  for (const shard::PathSpec& path : manifest.paths) {
    report.blob_bytes += path.bytes;
    for (const shard::MatrixSpec& m : path.matrices) {
      const engine::Format* format = engine::find_format(m.format);
      InspectRow& row = row_of(report.rows, matrix_words(path.kind, m.role), format->name());
      const std::uint64_t weights = std::uint64_t{m.rows} * m.cols;
      for (InspectRow* sum : {&row, &report.matrices}) {
        ++sum->n_matrices;
        sum->weights += weights;
        sum->stored_weights += m.zeros.density * static_cast<double>(weights);
        sum->bytes += m.bytes;
      }
      const double before = row.token_us;
      const bool is_head = path.kind == PathKind::kEmbedding && manifest.config.tied_embeddings;
      add_costs(costs, m, shard::read_share(manifest.config, path, is_head), row);
      report.matrices.token_us += row.token_us - before;
    }
    for (const shard::VectorSpec& v : path.vectors) {
      ++vectors.n_matrices;
      vectors.weights += v.count;
      vectors.stored_weights += v.count;
      vectors.bytes += std::uint64_t{v.count} * 4;
    }
  }
  report.rows.push_back(vectors);
  for (const shard::BlobFile& file : manifest.blob_files) report.file_bytes += file.bytes;
  const shard::ParameterCount parameters = shard::count_parameters(manifest.config);
  report.parameters = parameters.total;
  report.active_parameters = parameters.active;
  return report;
}

std::string inspect_text(const shard::Manifest& manifest, const InspectReport& report) {
  const engine::ModelConfig& config = manifest.config;
  std::string out;
  out += text(manifest.name, " (", config.family, "), packed by ", manifest.packed_by, "\n");
  out += text(config.n_layers, " layers, width ", config.dim, ", ", config.n_heads, " query and ", config.n_kv_heads,
              " KV heads of ", config.head_dim, "; ", feed_forward_words(config), "\n");
  out += text("vocabulary ", config.vocab_size, config.tied_embeddings ? ", embeddings tied" : "", "; context ",
              config.max_context_tokens, " tokens\n");
  out += print("%llu parameters, %llu used by one token\n\n", static_cast<unsigned long long>(report.parameters),
               static_cast<unsigned long long>(report.active_parameters));
  out += print("%-22s %-12s %9s %15s %10s %11s %8s %10s  %s\n", "what", "format", "matrices", "weights", "density", "size",
               "bits/w", "us/token", "in other formats");
  for (const InspectRow& row : report.rows) out += table_line(row);
  out += table_line(report.matrices);
  out += text("\n", manifest.paths.size(), " paths, ", format_bytes(report.blob_bytes), " in ",
              manifest.blob_files.size(), manifest.blob_files.size() == 1 ? " file of " : " files of ",
              format_bytes(report.file_bytes), "\nus/token: predicted time ",
              config.encoder ? "of one token alone" : "to decode one token", ", by ", report.costs, "\n");
  return out;
}

OrderedJson inspect_json(const shard::Manifest& manifest, const InspectReport& report) {
  const engine::ModelConfig& config = manifest.config;
  OrderedJson layers = OrderedJson::array();
  for (const engine::LayerConfig& layer : config.layers)
    layers.push_back({{"hidden_dim", layer.hidden_dim},
                      {"n_experts", layer.n_experts},
                      {"n_active", layer.n_active},
                      {"window_tokens", layer.window_tokens},
                      {"shared_hidden_dim", layer.shared_hidden_dim}});
  OrderedJson rows = OrderedJson::array();
  for (const InspectRow& row : report.rows) rows.push_back(row_json(row));
  OrderedJson files = OrderedJson::array();
  for (const shard::BlobFile& file : manifest.blob_files) files.push_back({{"name", file.name}, {"bytes", file.bytes}});
  OrderedJson sources = OrderedJson::array();
  for (const shard::SourceFile& file : manifest.source_files) sources.push_back(file.name);
  return {{"name", manifest.name},
          {"family", config.family},
          {"packed_by", manifest.packed_by},
          {"source_fingerprint", manifest.source_fingerprint},
          {"config",
           {{"dim", config.dim},
            {"n_layers", config.n_layers},
            {"n_heads", config.n_heads},
            {"n_kv_heads", config.n_kv_heads},
            {"head_dim", config.head_dim},
            {"vocab_size", config.vocab_size},
            {"max_context_tokens", config.max_context_tokens},
            {"tied_embeddings", config.tied_embeddings},
            {"layers", layers}}},
          {"parameters", report.parameters},
          {"active_parameters", report.active_parameters},
          {"n_paths", manifest.paths.size()},
          {"blob_bytes", report.blob_bytes},
          {"file_bytes", report.file_bytes},
          {"costs", report.costs},
          {"matrices", row_json(report.matrices)},
          {"rows", rows},
          {"files", files},
          {"source_files", sources}};
}

std::string paths_text(const shard::Manifest& manifest) {
  std::string out = print("%-44s %6s %14s %11s %18s  %s\n", "path", "file", "offset", "size", "checksum",
                          "matrices (format, density)");
  for (const shard::PathSpec& path : manifest.paths) {
    out += print("%-44s %6u %14llu %11s   %016llx ", shard::path_title(path).c_str(), path.file,
                 static_cast<unsigned long long>(path.offset), format_bytes(path.bytes).c_str(),
                 static_cast<unsigned long long>(path.checksum));
    for (const shard::MatrixSpec& m : path.matrices)
      out += print(" %ux%u %s %.3f", m.rows, m.cols, engine::find_format(m.format)->name(), m.zeros.density);
    out += "\n";
  }
  return out;
}

OrderedJson paths_json(const shard::Manifest& manifest) {
  OrderedJson paths = OrderedJson::array();
  for (const shard::PathSpec& path : manifest.paths) {
    OrderedJson matrices = OrderedJson::array();
    for (const shard::MatrixSpec& m : path.matrices)
      matrices.push_back({{"what", matrix_words(path.kind, m.role)},
                          {"part", m.part},
                          {"rows", m.rows},
                          {"cols", m.cols},
                          {"format", engine::find_format(m.format)->name()},
                          {"density", m.zeros.density},
                          {"block_density", m.zeros.block_density},
                          {"bytes", m.bytes}});
    paths.push_back({{"path", shard::path_title(path)},
                     {"layer", path.layer},
                     {"index", path.index},
                     {"expert", path.expert},
                     {"first", path.first},
                     {"count", path.count},
                     {"file", path.file},
                     {"offset", path.offset},
                     {"bytes", path.bytes},
                     {"checksum", print("%016llx", static_cast<unsigned long long>(path.checksum))},
                     {"matrices", matrices}});
  }
  return paths;
}

}  // namespace colonnade::cli
