#include "coordinator/cli/model_facts.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <span>
#include <sstream>
#include <vector>

#include "engine/base/format_text.h"
#include "shard/blob.h"
#include "shard/gguf_file.h"
#include "shard/manifest.h"

namespace colonnade::cli {
namespace {

namespace fs = std::filesystem;

std::string checksum_of(const std::string& content) {
  char digits[20];
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(shard::blob_checksum(std::as_bytes(std::span(content)))));
  return digits;
}

bool read_file(const fs::path& path, std::string& content) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  content = std::move(out).str();
  return file.good();
}

void read_packed(const fs::path& directory, ModelFacts& facts) {
  facts.kind = "packed";
  facts.checksum = file_checksum(directory / shard::kManifestName);
  const auto manifest = shard::read_manifest(directory);
  if (!manifest.ok()) {
    facts.error = manifest.error().message;
    return;
  }
  for (const shard::BlobFile& blob : manifest->blob_files) facts.bytes += blob.bytes;
}

void read_checkpoint(const fs::path& directory, ModelFacts& facts) {
  facts.kind = "Hugging Face directory";
  std::string identity;
  if (!read_file(directory / "config.json", identity)) {
    facts.error = text((directory / "config.json").string(), ": cannot be read: ", std::strerror(errno));
    return;
  }
  std::vector<std::string> files;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(directory, failure)) {
    if (entry.path().extension() != ".safetensors") continue;
    std::error_code ignored;
    const std::uintmax_t bytes = entry.file_size(ignored);
    if (ignored) {
      facts.error = text(entry.path().string(), ": cannot be read: ", ignored.message());
      return;
    }
    facts.bytes += bytes;
    files.push_back(text(entry.path().filename().string(), " ", bytes));
  }
  if (files.empty()) facts.error = text(directory.string(), ": expected *.safetensors files, found none");
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) identity += "\n" + file;
  facts.checksum = checksum_of(identity);
}

void read_gguf(const fs::path& model, ModelFacts& facts) {
  // Metadata and the places of tensors are at the beginning; a megabyte of it tells models apart.
  constexpr std::size_t kIdentityBytes = std::size_t{1} << 20;
  facts.kind = "GGUF";
  std::string identity;
  for (const fs::path& file : shard::gguf_set(model)) {
    std::error_code failure;
    const std::uintmax_t bytes = fs::file_size(file, failure);
    if (failure) {
      facts.error = text(file.string(), ": cannot be read: ", failure.message());
      return;
    }
    facts.bytes += bytes;
    std::string begin(std::min<std::uintmax_t>(bytes, kIdentityBytes), '\0');
    std::ifstream(file, std::ios::binary).read(begin.data(), static_cast<std::streamsize>(begin.size()));
    identity += text(file.filename().string(), " ", bytes, "\n", begin);
  }
  facts.checksum = checksum_of(identity);
}

}  // namespace

std::string file_checksum(const fs::path& path) {
  std::string content;
  return read_file(path, content) ? checksum_of(content) : "";
}

ModelFacts read_model_facts(const std::string& model) {
  ModelFacts facts;
  facts.path = model;
  if (model.empty()) return facts;
  std::error_code failure;
  if (shard::is_gguf_file(model)) {
    read_gguf(model, facts);
  } else if (!fs::is_directory(model, failure)) {
    facts.error = text(model, ": expected a directory or a GGUF file, found ", failure ? failure.message() : std::string("another kind of file"));
  } else if (shard::is_packed_model(model)) {
    read_packed(model, facts);
  } else {
    read_checkpoint(model, facts);
  }
  return facts;
}

}  // namespace colonnade::cli
