#include "shard/prune/prune_directory.h"

#include <cstdio>
#include <set>

#include "engine/base/format_text.h"
#include "engine/base/json.h"
#include "engine/base/log.h"
#include "shard/checkpoint_tensors.h"
#include "shard/mapped_file.h"
#include "shard/pooling.h"
#include "shard/stored_model.h"

namespace colonnade::shard {
namespace {

constexpr const char* kLockName = ".pruning.lock";
constexpr const char* kNoteName = ".pruning.json";
constexpr const char* kIndexName = "model.safetensors.index.json";
constexpr std::uint64_t kMaxNoteBytes = 16u << 20;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

/// config.json of the pruned model.
Result<std::string> new_config(const std::string& config, const std::string& where, PrunedLayout layout, double sparsity) {
  COLONNADE_ASSIGN(OrderedJson json, parse_ordered_json(config, where));
  const bool had = json.erase("quantization_config") + json.erase("compression_config") > 0;
  if (layout == PrunedLayout::kDense && !had) return config;
  if (layout == PrunedLayout::kBitmask)
    json["quantization_config"] = {
        {"quant_method", "compressed-tensors"},
        {"version", "0.14.0"},
        {"sparsity_config",
         {{"format", "sparse-bitmask"}, {"global_sparsity", sparsity}, {"ignore", {"lm_head"}},
          {"registry_requires_subclass", false}, {"sparsity_structure", "unstructured"}, {"targets", {"Linear"}}}}};
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

/// What lies beside the weights, config.json excepted.
Status copy_small_files(const std::filesystem::path& from, const std::filesystem::path& to) {
  COLONNADE_ASSIGN(const std::vector<SourceFile> files, read_stored_files(from));
  for (const SourceFile& file : files) {
    if (file.name == "config.json") continue;
    std::error_code ignored;
    std::filesystem::create_directories((to / file.name).parent_path(), ignored);
    COLONNADE_TRY(write_file_durably(to / file.name, bytes_of(file.content)));
  }
  return {};
}

}  // namespace

Result<PruneDirectory> PruneDirectory::open(const std::filesystem::path& path, const std::string& task, int n_layers) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return Error{ErrorCode::kIo, text(path.string(), ": cannot be made: ", error.message())};
  const bool unfinished = std::filesystem::exists(path / kNoteName, error);
  if (!unfinished)
    for (const auto& entry : std::filesystem::directory_iterator(path, error))
      if (entry.path().filename() != kLockName && entry.path().filename() != text(kNoteName, ".tmp"))  // of a run that was killed at once
        return Error{ErrorCode::kInvalidArgument, text(path.string(), ": expected a new or empty directory, or one in which the same prune was interrupted; found ",
                                                       entry.path().filename().string())};
  auto lock = FileLock::acquire(path / kLockName, false);
  if (!lock.ok() && lock.error().code == ErrorCode::kUnavailable)
    return Error{ErrorCode::kUnavailable, text(path.string(), ": another process is pruning a model there")};
  if (!lock.ok()) return lock.error();
  PruneDirectory directory(path, std::move(*lock), task, n_layers);
  if (!unfinished) {
    COLONNADE_TRY(directory.write_note(""));
    return directory;
  }
  COLONNADE_ASSIGN(const std::string content, read_small_file(path / kNoteName, kMaxNoteBytes));
  COLONNADE_ASSIGN(const Json note, parse_json(content, (path / kNoteName).string()));
  if (!note.is_object() || !note.value("task", Json()).is_string() || !note.value("note", Json()).is_string())
    return Error{ErrorCode::kCorrupt, text((path / kNoteName).string(), ": expected an object with task and note")};
  if (note["task"].get<std::string>() != task)
    return Error{ErrorCode::kInvalidArgument,
                 text(path.string(), ": holds an unfinished prune of another source or with other options; finish that one or remove the directory")};
  directory.note_ = note["note"].get<std::string>();
  int done = 0;
  for (int layer = 0; layer < n_layers; ++layer) done += directory.has_shard(layer);
  log_info(text(path.string(), ": going on with an interrupted prune, ", done, " of ", n_layers, " layers are done"));
  return directory;
}

bool PruneDirectory::is_finished(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path / "config.json", ignored) && !std::filesystem::exists(path / kNoteName, ignored);
}

Status PruneDirectory::write_note(const std::string& note) {
  note_ = note;
  const Json json = {{"task", task_}, {"note", note}};
  return write_file_durably(path_ / kNoteName, bytes_of(dump_json(json, 1)));
}

std::filesystem::path PruneDirectory::shard(int index) const {
  char name[64];
  std::snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", index + 1, n_layers_ + 1);
  return path_ / name;
}

bool PruneDirectory::has_shard(int index) const {
  std::error_code ignored;
  return std::filesystem::exists(shard(index), ignored);
}

Status PruneDirectory::write_rest(const SourceModel& model, const std::set<std::string>& written) const {
  SafetensorsFile file;
  for (const std::string& name : model.source().names()) {
    if (written.contains(name)) continue;
    const auto rows = model.source().open(name);
    if (rows.ok()) {
      COLONNADE_TRY(file.add_rows(*rows));
    } else if (rows.error().code == ErrorCode::kUnsupported) {
      log_warning(text("left out: ", rows.error().message));  // nothing that the model needs: that was looked up at the start
    } else {
      return rows.error();
    }
  }
  return file.write(shard(n_layers_));
}

Status PruneDirectory::finish(const std::filesystem::path& source, const SourceModel& model, PrunedLayout layout, double sparsity) {
  Json map = Json::object();
  std::uint64_t bytes = 0;
  std::set<std::string> written;
  const auto list = [&](int index) -> Status {
    COLONNADE_ASSIGN(const auto file, CheckpointTensors::open_file(shard(index)));
    for (const std::string& name : file->names()) written.insert(name);
    COLONNADE_ASSIGN(const Checkpoint parts, Checkpoint::open_file(shard(index)));
    for (const Tensor& tensor : parts.tensors()) {
      map[tensor.name] = shard(index).filename().string();
      bytes += tensor.data.size();
    }
    return {};
  };
  for (int layer = 0; layer < n_layers_; ++layer) COLONNADE_TRY(list(layer));
  COLONNADE_TRY(write_rest(model, written));
  COLONNADE_TRY(list(n_layers_));
  const Json index = {{"metadata", {{"total_size", bytes}}}, {"weight_map", map}};
  COLONNADE_TRY(write_file_durably(path_ / kIndexName, bytes_of(dump_json(index, 1))));
  COLONNADE_TRY(copy_small_files(source, path_));
  if (model.config().encoder) COLONNADE_TRY(write_pooling(path_, model.config()));
  COLONNADE_ASSIGN(const std::string config, read_stored_config(source));
  COLONNADE_ASSIGN(const std::string changed, new_config(config, stored_config_name(source), layout, sparsity));
  COLONNADE_TRY(write_file_durably(path_ / "config.json", bytes_of(changed)));
  std::error_code error;
  std::filesystem::remove(path_ / kNoteName, error);
  if (error) return Error{ErrorCode::kIo, text((path_ / kNoteName).string(), ": cannot be removed: ", error.message())};
  lock_.remove();
  return flush_directory(path_);
}

}  // namespace colonnade::shard
