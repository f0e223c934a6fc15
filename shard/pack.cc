#include "shard/pack.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/progress.h"
#include "engine/base/units.h"
#include "engine/base/version.h"
#include "engine/platform/topology.h"
#include "shard/blob_writer.h"
#include "shard/hf_config.h"
#include "shard/pack_formats.h"
#include "shard/stored_model.h"

namespace colonnade::shard {
namespace {

// Large enough that a terabyte is a few hundred files, small enough to copy and to resume copying.
constexpr std::uint64_t kBlobFileBytes = std::uint64_t{4} << 30;

std::uint64_t padded_bytes(const std::vector<PathSpec>& paths) {
  std::uint64_t bytes = 0;
  for (const PathSpec& path : paths) bytes += round_up(path.bytes, kBlobAlignment);
  return bytes;
}

/// Encodes and writes all paths. The first error of any thread ends them all.
Status write_blobs(const SourceModel& model, std::vector<PathSpec>& paths, int n_threads, const std::function<void(double)>& on_progress,
                   BlobWriter& writer) {
  Progress progress("packing", padded_bytes(paths), ProgressUnit::kBytes, on_progress);
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> first_error;
  const auto work = [&] {
    std::vector<std::byte> blob;
    while (true) {
      // Taken in order, so the smallest index that is not yet placed is always in some thread's hands.
      const std::size_t index = next.fetch_add(1);
      if (index >= paths.size()) return;
      const std::uint64_t announced = round_up(paths[index].bytes, kBlobAlignment);
      Status status = encode_path_blob(paths[index], model.weights_of(paths[index]), blob);
      if (status.ok()) status = writer.write(index, paths[index], blob);
      if (!status.ok()) {
        const std::lock_guard lock(mutex);
        if (!first_error && status.error().code != ErrorCode::kCancelled) first_error = status.error();
        next = paths.size();
        writer.abandon();
        return;
      }
      progress.add(announced);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < n_threads; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (first_error) return *first_error;
  progress.finish();
  return {};
}

}  // namespace

int work_threads(int asked) {
  if (asked > 0) return asked;
  const auto topology = engine::read_topology();
  if (!topology.ok() || topology->cores.empty()) return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  int granted = 0;
  for (const engine::CoreInfo& core : topology->cores) granted += std::max(1, static_cast<int>(core.cpus.size()));
  if (topology->cpu_quota > 0) granted = std::min(granted, static_cast<int>(std::ceil(topology->cpu_quota)));
  return std::max(1, granted);
}

FormatRules pack_rules(const PackOptions& options) { return options.rules ? *options.rules : format_rules(options.values); }

PackNeeds pack_needs(const std::vector<PathSpec>& paths, int n_threads) {
  PackNeeds needs{.threads = n_threads};
  needs.disk_bytes = padded_bytes(paths);
  std::uint64_t largest = 0;
  std::uint64_t list = 0;
  for (const PathSpec& path : paths) {
    std::uint64_t strip = 0;
    for (const MatrixSpec& m : path.matrices) strip = std::max<std::uint64_t>(strip, std::uint64_t{m.cols} * engine::kStripRows * 4);
    for (const VectorSpec& v : path.vectors) strip = std::max<std::uint64_t>(strip, std::uint64_t{v.count} * 4);
    // A growing vector may hold twice what it needs.
    largest = std::max(largest, 2 * path.bytes + strip);
    list += sizeof path + path.matrices.size() * sizeof(MatrixSpec) + path.vectors.size() * sizeof(VectorSpec);
  }
  needs.memory_bytes = largest * static_cast<std::uint64_t>(needs.threads) + list;
  return needs;
}

Status announce_pack(const std::filesystem::path& source, const std::filesystem::path& directory,
                     const PackNeeds& needs) {
  std::error_code error;
  const auto space = std::filesystem::space(directory, error);
  const std::uint64_t available = error ? UINT64_MAX : space.available;
  if (available < needs.disk_bytes)
    return Error{ErrorCode::kExhausted, text(directory.string(), ": packing needs ", format_bytes(needs.disk_bytes),
                                             " of disk, ", format_bytes(available), " are free")};
  log_info(text("packing ", source.string(), " into ", directory.string(), ": needs ", format_bytes(needs.disk_bytes),
                " of disk", error ? "" : " (" + format_bytes(available) + " free)", " and up to ",
                format_bytes(needs.memory_bytes), " of memory, ", needs.threads,
                needs.threads == 1 ? " thread" : " threads"));
  return {};
}

Result<Manifest> pack_into(PackDirectory& directory, const SourceModel& model, const std::filesystem::path& source,
                           const PackOptions& options, std::string fingerprint) {
  Manifest manifest;
  manifest.name = options.name.empty() ? stored_model_name(source) : options.name;
  manifest.source_fingerprint = std::move(fingerprint);
  manifest.packed_by = text("colonnade ", kVersion);
  manifest.config = model.config();
  COLONNADE_ASSIGN(manifest.source_files, read_stored_files(source));
  const int n_threads = work_threads(options.threads);
  if (options.output_heads > 0) manifest.config.output_heads = options.output_heads;
  COLONNADE_TRY(check_model_config(manifest.config));
  COLONNADE_ASSIGN(ChosenFormats chosen, choose_formats(model, pack_rules(options), manifest.config.output_heads, n_threads));
  manifest.config.neuron_group = chosen.neuron_group;
  manifest.paths = std::move(chosen.paths);
  COLONNADE_TRY(announce_pack(source, directory.path(), pack_needs(manifest.paths, n_threads)));
  BlobWriter writer(directory.path(), kBlobFileBytes);
  COLONNADE_TRY(write_blobs(model, manifest.paths, n_threads, options.on_progress, writer));
  COLONNADE_ASSIGN(manifest.blob_files, writer.finish());
  COLONNADE_TRY(write_manifest(manifest, directory.path()));
  directory.commit();
  return manifest;
}

}  // namespace colonnade::shard
