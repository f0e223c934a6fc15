// HostFacts as JSON and back: one list of fields for both directions.
#include "coordinator/cli/host_facts.h"
#include "engine/base/format_text.h"

namespace colonnade::cli {
namespace {

/// Calls visit(name, field) for every field, in the order of the JSON.
template <typename Facts, typename Visit>
void for_each_field(Facts& facts, Visit&& visit) {
  visit("host", facts.host);
  visit("version", facts.version);
  visit("program_checksum", facts.program_checksum);
  visit("system", facts.system);
  visit("cpu", facts.cpu);
  visit("kernels", facts.kernels);
  visit("cores", facts.cores);
  visit("numa_nodes", facts.numa_nodes);
  visit("limits", facts.limits);
  visit("memory_bytes", facts.memory_bytes);
  visit("free_bytes", facts.free_bytes);
  visit("reserved_pages", facts.reserved_pages);
  visit("transparent_pages", facts.transparent_pages);
  visit("shm_bytes", facts.shm_bytes);
  visit("shm_free_bytes", facts.shm_free_bytes);
  visit("memlock_bytes", facts.memlock_bytes);
  visit("open_files", facts.open_files);
  visit("mpi", facts.mpi);
  visit("mpi_selection", facts.mpi_selection);
  visit("fast_networks", facts.fast_networks);
  visit("model", facts.model.path);
  visit("model_error", facts.model.error);
  visit("model_kind", facts.model.kind);
  visit("model_checksum", facts.model.checksum);
  visit("model_bytes", facts.model.bytes);
  visit("transport", facts.transport);
  visit("clock_offset_s", facts.clock_offset_s);
  visit("round_trip_us", facts.round_trip_us);
}

}  // namespace

OrderedJson to_json(const HostFacts& facts) {
  OrderedJson json;
  for_each_field(facts, [&](const char* name, const auto& field) { json[name] = field; });
  json["interfaces"] = OrderedJson::array();
  for (const InterfaceFacts& interface : facts.interfaces) {
    json["interfaces"].push_back(
        {{"name", interface.name}, {"networks", interface.networks}, {"megabits", interface.megabits}});
  }
  return json;
}

Result<HostFacts> host_facts_from_json(const Json& json) {
  HostFacts facts;
  std::string current = "interfaces";
  try {
    for (const Json& entry : json.at("interfaces")) {
      facts.interfaces.push_back({entry.at("name").get<std::string>(), entry.at("networks").get<std::vector<std::string>>(),
                                  entry.at("megabits").get<std::int64_t>()});
    }
    for_each_field(facts, [&]<typename Field>(const char* name, Field& field) {
      current = name;
      field = json.at(name).get<Field>();
    });
  } catch (const Json::exception& error) {
    return Error{ErrorCode::kCorrupt, text("facts of a host, field ", current, ": ", error.what())};
  }
  return facts;
}

}  // namespace colonnade::cli
