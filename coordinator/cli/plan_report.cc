#include "coordinator/cli/plan_report.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <numeric>

#include "coordinator/cli/plan_runs.h"
#include "shard/plan_bytes.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::cli {
namespace {

using shard::PathKind;
using shard::PathSpec;
using shard::RankPlan;

std::string decimal(double value, int places) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", places, value);
  return buffer;
}

std::string count(std::size_t n, const char* thing) { return text(n, " ", thing, n == 1 ? "" : "s"); }

/// 1 for 1, 1.5 for 1.5: counts that differ from layer to layer are given as their mean.
std::string mean_text(double value) { return value == static_cast<int>(value) ? decimal(value, 0) : decimal(value, 1); }

const char* kind_name(PathKind kind) {
  switch (kind) {
    case PathKind::kReplicated: return "replicated";
    case PathKind::kEmbedding: return "embedding";
    case PathKind::kAttention: return "attention";
    case PathKind::kFeedForward: return "feed_forward";
    case PathKind::kHead: return "head";
    case PathKind::kSharedExpert: return "shared_expert";
    case PathKind::kLatent: return "latent";
  }
  return "";
}

/// "int8, embedding bf16": the formats by bytes.
std::string formats_text(const std::vector<PathSpec>& paths) {
  std::map<engine::FormatId, std::uint64_t> bytes;
  for (const PathSpec& path : paths)
    for (const shard::MatrixSpec& m : path.matrices) bytes[m.format] += m.bytes;
  std::vector<std::pair<std::uint64_t, std::string>> parts;
  for (const auto& [id, n] : bytes) {
    const engine::Format* format = engine::find_format(id);
    parts.emplace_back(n, text(format_bytes(n), " ", format == nullptr ? "of an unknown format" : format->name()));
  }
  std::sort(parts.rbegin(), parts.rend());
  std::string out;
  for (const auto& part : parts) out += text(out.empty() ? "" : ", ", part.second);
  return out;
}

/// Bytes that exist more than once: the extra copies.
struct Copies {
  std::uint64_t vectors = 0, keys_and_values = 0, embedding = 0;
};
Copies extra_copies(const PlanReport& report) {
  std::map<std::uint32_t, std::pair<std::uint64_t, std::uint64_t>> held;  // path -> holders, bytes beside heads
  Copies copies;
  for (const RankPlan& rank : report.plan.ranks) {
    for (const shard::Assignment& a : rank.paths) {
      const PathSpec& path = report.paths[a.path];
      const bool may_repeat = path.kind == PathKind::kReplicated || path.kind == PathKind::kEmbedding ||
                              (path.kind == PathKind::kAttention && a.n_heads < path.count);
      if (!may_repeat) continue;
      const std::uint64_t bytes = path.kind == PathKind::kAttention ? shard::blob_parts(path)[0].bytes : path.bytes;
      if (held[a.path].first++ == 0) continue;  // the first one is no copy
      (path.kind == PathKind::kReplicated  ? copies.vectors
       : path.kind == PathKind::kEmbedding ? copies.embedding
                                           : copies.keys_and_values) += bytes;
    }
  }
  return copies;
}

/// The KV cache of all layers, once.
std::uint64_t latent_cache_bytes(const PlanReport& report) {
  const std::vector<std::uint64_t> layers = shard::kv_head_bytes(report.config, report.options);
  return std::accumulate(layers.begin(), layers.end(), std::uint64_t{0});
}

std::string copies_text(const PlanReport& report) {
  const Copies copies = extra_copies(report);
  std::string out;
  const auto line = [&](std::uint64_t bytes, const char* what) {
    if (bytes > 0) out += text("  ", format_bytes(bytes), "  ", what, "\n");
  };
  line(copies.vectors, "norms, routers and output biases, on every rank of their stage");
  if (report.config.latent.used()) {
    line(copies.keys_and_values, "offset tables of attention, on every rank that has heads");
    std::uint64_t caches = 0;
    for (const RankPlan& rank : report.plan.ranks) caches += rank.kv_bytes;
    const std::uint64_t one = report.plan.stages.empty() ? 0 : latent_cache_bytes(report);
    line(caches - std::min(caches, one), "KV cache: the latents of all heads, on every rank that has heads");
    line(copies.embedding, "embedding that is also the head, on the first and on the last stage");
    return text("held more than once, bytes of the extra copies:\n", out.empty() ? "  nothing\n" : out);
  }
  line(copies.keys_and_values, "key and value rows of KV heads whose query heads several ranks share (their KV cache, too)");
  line(copies.embedding, "embedding that is also the head, on the first and on the last stage");
  return text("held more than once, bytes of the extra copies:\n", out.empty() ? "  nothing\n" : out);
}

/// What a rank holds of a layer on average, and of the vocabulary.
std::string share_text(const PlanReport& report, const RankPlan& rank) {
  const int n_layers = report.plan.stages[static_cast<std::size_t>(rank.stage)].n_layers;
  double heads = 0, kv_heads = 0, groups = 0;
  std::string vocabulary;
  for (const PlanRun& run : plan_runs(report.paths, rank)) {
    if (run.kind == PathKind::kAttention) {
      heads += run.last_head - run.first_head + 1;
      const int per_kv = report.config.query_heads_per_kv();
      kv_heads += run.last_head / per_kv - run.first_head / per_kv + 1;
    } else if (has_neurons(run.kind)) {
      groups += run.n_paths();
    } else if (run.kind != PathKind::kLatent) {
      vocabulary += text(", ", kind_name(run.kind), " ", run_title(run, report.paths, false));
    }
  }
  return text(mean_text(heads / n_layers), " query heads on ", mean_text(kv_heads / n_layers), kv_heads == n_layers ? " KV head and " : " KV heads and ",
              mean_text(groups / n_layers), " neuron groups a layer", vocabulary);
}

std::string rank_table(const PlanReport& report) {
  std::vector<std::vector<std::string>> rows{
      {"rank", "stage", "weights", "KV cache", "buffers", "total", "memory", "read a token", ""}};
  for (std::size_t r = 0; r < report.plan.ranks.size(); ++r) {
    const RankPlan& rank = report.plan.ranks[r];
    const std::uint64_t memory = report.machines[r].memory_bytes;
    rows.push_back({std::to_string(r), std::to_string(rank.stage), format_bytes(rank.weight_bytes), format_bytes(rank.kv_bytes),
                    format_bytes(rank.buffer_bytes), format_bytes(rank.total_bytes()),
                    memory == 0 ? "-" : format_bytes(memory), format_bytes(static_cast<std::uint64_t>(rank.step_bytes)),
                    rank.in_l3 ? "resident in L3" : "from memory"});
  }
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  std::string out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t c = 0; c < widths.size(); ++c)
      out += std::string(widths[c] - rows[r][c].size() + (c == 0 ? 0 : 2), ' ') + rows[r][c];
    if (r > 0) out += text("  ", share_text(report, report.plan.ranks[r - 1]));
    out += "\n";
  }
  return out;
}

std::string layer_lines(const PlanReport& report) {
  std::string out = "\n";
  for (std::size_t r = 0; r < report.plan.ranks.size(); ++r) {
    int layer = -1;
    for (const PlanRun& run : plan_runs(report.paths, report.plan.ranks[r])) {
      const bool in_layer = is_projection(run.kind);
      const bool mixture = in_layer && report.config.layers[static_cast<std::size_t>(run.layer)].has_router();
      if (in_layer && run.layer == layer) {
        out += ", ";
      } else {
        out += text(out == "\n" ? "" : "\n", "rank ", r, in_layer ? text(" layer ", run.layer) : text(" ", kind_name(run.kind)), ": ");
      }
      out += run_title(run, report.paths, mixture);
      layer = in_layer ? run.layer : -1;
    }
  }
  return out + "\n";
}

}  // namespace

std::string plan_text(const PlanReport& report, bool every_layer) {
  const auto& [model, config, paths, machines, options, plan] = report;
  std::uint64_t all = 0, needed = 0;
  for (const PathSpec& path : paths) all += path.bytes;
  for (const RankPlan& rank : plan.ranks) needed += rank.total_bytes();

  std::string out = text(model, " (", config.family, "): ", count(static_cast<std::size_t>(config.n_layers), "layer"), ", ",
                         count(paths.size(), "path"), ", ", format_bytes(all), " (", formats_text(paths), ")\n");
  out += text(count(plan.ranks.size(), "rank"), " in ", count(plan.stages.size(), "stage"), ", KV cache of ",
              options.kv_tokens, " tokens in ", engine::kv_type_name(options.kv_type), ", steps of up to ",
              options.max_step_tokens, " tokens: ", format_bytes(needed), " of memory in all\n\n");
  for (std::size_t s = 0; s < plan.stages.size(); ++s) {
    const shard::StagePlan& stage = plan.stages[s];
    out += text("stage ", s, ": ", s == 0 ? "embedding, " : "",
                range_text("layer", stage.first_layer, stage.first_layer + stage.n_layers - 1),
                s + 1 == plan.stages.size() ? ", head" : "", " on ",
                range_text("rank", stage.ranks.front(), stage.ranks.back()), "\n");
  }
  out += text("\n", rank_table(report), "\n", copies_text(report));
  out += text("imbalance ", decimal(plan.imbalance_percent, 1),
              " % (reading for one token: slowest rank over the mean of its stage, worst stage)\n");
  if (every_layer) out += layer_lines(report);
  return out;
}

OrderedJson plan_json(const PlanReport& report) {
  OrderedJson out;
  out["model"] = report.model;
  out["family"] = report.config.family;
  out["n_layers"] = report.config.n_layers;
  out["n_paths"] = report.paths.size();
  std::uint64_t all = 0;
  for (const PathSpec& path : report.paths) all += path.bytes;
  out["model_bytes"] = all;
  out["kv_tokens"] = report.options.kv_tokens;
  out["kv_type"] = engine::kv_type_name(report.options.kv_type);
  out["max_step_tokens"] = report.options.max_step_tokens;
  out["imbalance_percent"] = report.plan.imbalance_percent;
  const Copies copies = extra_copies(report);
  out["extra_copies"] = {{"vector_bytes", copies.vectors},
                         {"key_and_value_bytes", copies.keys_and_values},
                         {"embedding_bytes", copies.embedding}};
  out["stages"] = OrderedJson::array();
  for (const shard::StagePlan& stage : report.plan.stages)
    out["stages"].push_back({{"first_layer", stage.first_layer}, {"n_layers", stage.n_layers}, {"ranks", stage.ranks}});
  out["ranks"] = OrderedJson::array();
  for (std::size_t r = 0; r < report.plan.ranks.size(); ++r) {
    const RankPlan& rank = report.plan.ranks[r];
    OrderedJson entry{{"rank", r},
                      {"stage", rank.stage},
                      {"speed", report.machines[r].speed},
                      {"memory_bytes", report.machines[r].memory_bytes},
                      {"weight_bytes", rank.weight_bytes},
                      {"replicated_bytes", rank.replicated_bytes},
                      {"kv_bytes", rank.kv_bytes},
                      {"buffer_bytes", rank.buffer_bytes},
                      {"total_bytes", rank.total_bytes()},
                      {"step_bytes", rank.step_bytes},
                      {"hot_bytes", rank.hot_bytes},
                      {"in_l3", rank.in_l3},
                      {"runs", OrderedJson::array()}};
    for (const PlanRun& run : plan_runs(report.paths, rank)) {
      const PathSpec &first = report.paths[run.first_path], &last = report.paths[run.last_path];
      OrderedJson item{{"kind", kind_name(run.kind)}, {"layer", run.layer}, {"paths", run.n_paths()}};
      if (run.kind == PathKind::kAttention) {
        item["first_head"] = run.first_head;
        item["last_head"] = run.last_head;
      } else {
        const bool neurons = has_neurons(run.kind);
        if (run.kind == PathKind::kLatent) {
          entry["runs"].push_back(std::move(item));
          continue;
        }
        item[neurons ? "first_neuron" : "first_token"] = first.first;
        item[neurons ? "last_neuron" : "last_token"] = last.first + last.count - 1;
        if (neurons) {
          item["first_expert"] = first.expert;
          item["last_expert"] = last.expert;
        }
      }
      entry["runs"].push_back(std::move(item));
    }
    out["ranks"].push_back(std::move(entry));
  }
  return out;
}

}  // namespace colonnade::cli
