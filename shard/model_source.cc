#include "shard/model_source.h"

#include <algorithm>
#include <cstdlib>

#include <xxhash.h>

#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/version.h"
#include "shard/pack.h"
#include "shard/stored_model.h"

namespace colonnade::shard {
namespace {

Result<std::filesystem::path> default_cache() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0')
    return std::filesystem::path(cache) / "colonnade";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return std::filesystem::path(home) / ".cache" / "colonnade";
  return Error{ErrorCode::kInvalidArgument, "no place for packed models: neither XDG_CACHE_HOME nor HOME is set; name one with --cache"};
}

Result<engine::FormatId> format_of(const std::string& values) {
  if (values.empty()) return engine::FormatId::kBf16;
  std::string known;
  for (const std::string& name : value_names()) {
    if (name == values) return engine::find_format(values)->id();
    known += text(known.empty() ? "" : ", ", name);
  }
  return Error{ErrorCode::kInvalidArgument, text("values: expected one of ", known, ", found ", values)};
}

/// What a pack's formats depend on.
std::string rules_text(const FormatRules& rules) {
  const auto number = [](engine::FormatId id) { return static_cast<std::uint32_t>(id); };
  return text(number(rules.values), " ", number(rules.head_values), " ", rules.forced ? number(*rules.forced) : 0, " ", rules.isa, " ",
              rules.costs == nullptr ? "built-in" : costs_text(*rules.costs));
}

/// The values of a packed model's projections.
engine::FormatId packed_values(const Manifest& manifest) {
  const auto at = std::find_if(manifest.paths.begin(), manifest.paths.end(),
                               [](const PathSpec& path) { return path.kind == PathKind::kAttention; });
  return values_of(at->matrices.front().format);
}

Result<OpenedModel> open_packed(const std::filesystem::path& model, const std::string& values) {
  COLONNADE_ASSIGN(Manifest manifest, read_manifest(model));
  COLONNADE_ASSIGN(const engine::FormatId asked, format_of(values));
  const engine::FormatId found = packed_values(manifest);
  if (!values.empty() && asked != found)
    return Error{ErrorCode::kInvalidArgument,
                 text(model.string(), ": expected values ", values, ", but it was packed with ",
                      engine::find_format(found)->name(), "; pack the original model with --values ", values)};
  return OpenedModel{std::move(manifest), model};
}

std::string hex(std::uint64_t value) {
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) out[i] = "0123456789abcdef"[value & 15];
  return out;
}

}  // namespace

Result<std::string> source_fingerprint(const std::filesystem::path& source, const PackOptions& options) {
  COLONNADE_ASSIGN(const auto files, list_stored_files(source));
  COLONNADE_ASSIGN(std::string all, read_stored_config(source));
  for (const std::filesystem::path& file : files) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(file, error);
    if (error) continue;
    const auto time = std::filesystem::last_write_time(file, error);
    all += text(file.lexically_relative(source).string(), "\n", bytes, "\n", time.time_since_epoch().count(), "\n");
  }
  all += text(rules_text(pack_rules(options)), "\n", options.name, "\n", options.output_heads, "\n", kManifestVersion, "\n", kVersion);
  const XXH128_hash_t hash = XXH3_128bits(all.data(), all.size());
  return hex(hash.high64) + hex(hash.low64);
}

Result<Manifest> pack_model(const std::filesystem::path& source, const std::filesystem::path& out,
                            const PackOptions& options) {
  // The source is checked before anything is made.
  COLONNADE_ASSIGN(const SourceModel model, SourceModel::open(source));
  COLONNADE_ASSIGN(std::string fingerprint, source_fingerprint(source, options));
  COLONNADE_ASSIGN(PackDirectory directory, PackDirectory::open(out, false));
  if (directory.finished())
    return Error{ErrorCode::kInvalidArgument, text(out.string(), ": already holds a packed model")};
  return pack_into(directory, model, source, options, std::move(fingerprint));
}

Result<OpenedModel> open_model(const std::filesystem::path& model, const std::string& values,
                               const std::filesystem::path& cache) {
  std::error_code ignored;
  if (is_packed_model(model)) return open_packed(model, values);
  if (std::filesystem::exists(model / ".packing", ignored))
    return Error{ErrorCode::kCorrupt, text(model.string(), ": its packing was not finished; run colonnade pack again")};
  COLONNADE_TRY(check_stored_model(model));

  PackOptions options;
  COLONNADE_ASSIGN(options.values, format_of(values));
  options.name = stored_model_name(model);
  COLONNADE_ASSIGN(std::string fingerprint, source_fingerprint(model, options));
  std::filesystem::path base = cache;
  if (base.empty()) {
    COLONNADE_ASSIGN(base, default_cache());
  }
  const auto place = base / (options.name + "-" + fingerprint.substr(0, 16));
  if (!is_packed_model(place)) {
    COLONNADE_ASSIGN(const SourceModel source, SourceModel::open(model));
    COLONNADE_ASSIGN(PackDirectory directory, PackDirectory::open(place, true));
    if (!directory.finished()) {
      COLONNADE_ASSIGN(Manifest manifest, pack_into(directory, source, model, options, std::move(fingerprint)));
      return OpenedModel{std::move(manifest), place};
    }
  } else {
    log_info(text("using the packed copy of ", model.string(), " in ", place.string()));
  }
  COLONNADE_ASSIGN(Manifest manifest, read_manifest(place));
  if (manifest.source_fingerprint != fingerprint)
    return Error{ErrorCode::kCorrupt, text(place.string(), ": expected a pack of ", model.string(),
                                           ", found another; remove it")};
  return OpenedModel{std::move(manifest), place};
}

}  // namespace colonnade::shard
