#include "coordinator/cli/inspect_source.h"

#include <cstdint>
#include <cstdio>
#include <map>
#include <vector>

#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/base/units.h"
#include "shard/hf_config.h"
#include "shard/source_model.h"
#include "shard/stored_model.h"

namespace colonnade::cli {
namespace {

struct FormTotal {
  std::uint64_t n_tensors = 0;
  std::uint64_t weights = 0;
  std::uint64_t bytes = 0;

  double bits_per_weight() const { return weights == 0 ? 0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(weights); }
};

std::string line_of(const std::string& form, const FormTotal& total) {
  char line[256];
  std::snprintf(line, sizeof line, "%-44s %9llu %15llu %11s %8.3f\n", form.c_str(), static_cast<unsigned long long>(total.n_tensors),
                static_cast<unsigned long long>(total.weights), format_bytes(total.bytes).c_str(), total.bits_per_weight());
  return line;
}

std::string head_of(const std::string& name, const engine::ModelConfig& config, const shard::ParameterCount& parameters) {
  return text(name, " (", config.family, "), not packed\n", config.n_layers, " layers, width ", config.dim, ", ", config.n_heads, " query and ",
              config.n_kv_heads, " KV heads of ", config.head_dim, "; vocabulary ", config.vocab_size, config.tied_embeddings ? ", embeddings tied" : "",
              "; context ", config.max_context_tokens, " tokens\n", parameters.total, " parameters, ", parameters.active, " used by one token\n\n");
}

}  // namespace

Result<std::string> inspect_source(const std::filesystem::path& model, bool as_json, bool tensors) {
  COLONNADE_ASSIGN(const shard::SourceModel source, shard::SourceModel::open(model));
  COLONNADE_ASSIGN(const auto files, shard::list_stored_files(model));
  std::map<std::string, FormTotal> totals;
  FormTotal all;
  OrderedJson list = OrderedJson::array();
  std::string lines;
  for (const std::string& name : source.source().names()) {
    const auto tensor = source.source().open(name);
    if (!tensor.ok()) continue;  // none that the model needs
    const std::uint64_t weights = tensor->rows() * tensor->cols();
    for (FormTotal* total : {&totals[tensor->form().name], &all}) {
      total->n_tensors += 1;
      total->weights += weights;
      total->bytes += tensor->form().bytes;
    }
    if (!tensors) continue;
    if (as_json) list.push_back({{"name", name}, {"file", tensor->file()}, {"shape", tensor->shape()}, {"form", tensor->form().name}, {"bytes", tensor->form().bytes}});
    else lines += text(name, "  ", shard::shape_text(tensor->shape()), "  ", tensor->form().name, "  ", format_bytes(tensor->form().bytes), "\n");
  }
  const std::string name = shard::stored_model_name(model);
  const shard::ParameterCount parameters = shard::count_parameters(source.config());
  if (!as_json) {
    std::string out = head_of(name, source.config(), parameters);
    char line[256];
    std::snprintf(line, sizeof line, "%-44s %9s %15s %11s %8s\n", "stored as", "tensors", "weights", "size", "bits/w");
    out += line;
    for (const auto& [form, total] : totals) out += line_of(form, total);
    out += line_of("all", all);
    return out + (tensors ? "\n" + lines : "") + text("\n", format_bytes(source.source().bytes()), " in ", files.size(), files.size() == 1 ? " file" : " files", "\n");
  }
  const auto total_json = [](const std::string& form, const FormTotal& total) {
    return OrderedJson{{"form", form}, {"tensors", total.n_tensors}, {"weights", total.weights}, {"bytes", total.bytes}, {"bits_per_weight", total.bits_per_weight()}};
  };
  OrderedJson forms = OrderedJson::array();
  for (const auto& [form, total] : totals) forms.push_back(total_json(form, total));
  OrderedJson json{{"name", name}, {"family", source.config().family}, {"packed", false}, {"parameters", parameters.total},
                   {"active_parameters", parameters.active}, {"forms", forms}, {"all", total_json("all", all)}, {"bytes", source.source().bytes()}};
  if (tensors) json["tensors"] = list;
  return json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace colonnade::cli
