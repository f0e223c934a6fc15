#include "shard/gguf_file.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

namespace fs = std::filesystem;

// What a header may take of a file: vocabularies of a million tokens have 50 MB. A file that says more is lying.
constexpr std::size_t kMostHeaderBytes = std::size_t{128} << 20;
constexpr std::size_t kMostFiles = 99999;

Result<GgufHeader> read_header(std::span<const std::byte> file, const std::string& name) {
  const std::string_view bytes(reinterpret_cast<const char*>(file.data()), std::min(file.size(), kMostHeaderBytes));
  auto header = read_gguf_header(bytes, name);
  if (header.ok() || header.error().message.starts_with(name)) return header;
  return Error{header.error().code, text(name, ": ", header.error().message)};
}

/// "<stem>-00002-of-00003.gguf" in parts; count 0: another name.
struct SetName {
  std::string stem;
  std::size_t number = 0;
  std::size_t count = 0;
};
SetName split_name(const std::string& name) {
  constexpr std::string_view kPattern = "-#####-of-#####.gguf";
  if (name.size() <= kPattern.size()) return {};
  const std::size_t begin = name.size() - kPattern.size();
  std::size_t numbers[2] = {0, 0};
  std::size_t digits = 0;
  for (std::size_t i = 0; i < kPattern.size(); ++i) {
    const char c = name[begin + i];
    if (kPattern[i] != '#' && kPattern[i] != c) return {};
    if (kPattern[i] != '#') continue;
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) return {};
    numbers[digits / 5] = numbers[digits / 5] * 10 + static_cast<std::size_t>(c - '0');
    ++digits;
  }
  if (numbers[0] < 1 || numbers[0] > numbers[1] || numbers[1] > kMostFiles) return {};
  return {name.substr(0, begin), numbers[0], numbers[1]};
}

std::string set_name(const SetName& set, std::size_t number) {
  char ending[32];
  std::snprintf(ending, sizeof ending, "-%05zu-of-%05zu.gguf", number, set.count);
  return set.stem + ending;
}

/// The number of files in which the header says its model lies, and the place of this one, from 0.
Status check_split(const GgufHeader& header, const std::string& name, std::size_t number, std::size_t count) {
  COLONNADE_ASSIGN(const auto said, header.integer("split.count"));
  COLONNADE_ASSIGN(const auto said_number, header.integer("split.no"));
  if (said.value_or(1) != static_cast<std::int64_t>(count) && !(count == 1 && said.value_or(1) == 0))
    return Error{ErrorCode::kCorrupt, text(name, ": its name says ", count, count == 1 ? " file" : " files", ", its split.count ", said.value_or(1))};
  if (said_number.value_or(0) != static_cast<std::int64_t>(number))
    return Error{ErrorCode::kCorrupt, text(name, ": expected split.no ", number, " by its name, found ", said_number.value_or(0))};
  return {};
}

}  // namespace

bool is_gguf_file(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;
  char magic[4] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
  return is_gguf({magic, sizeof magic});
}

std::vector<fs::path> gguf_set(const fs::path& path) {
  const SetName set = split_name(path.filename().string());
  if (set.count == 0) return {path};
  std::vector<fs::path> files;
  for (std::size_t i = 1; i <= set.count; ++i) files.push_back(path.parent_path() / set_name(set, i));
  return files;
}

Result<GgufHeader> read_gguf_file_header(const fs::path& path) {
  const fs::path first = gguf_set(path).front();
  COLONNADE_ASSIGN(const MappedFile file, MappedFile::open(first));
  return read_header(file.bytes(), first.string());
}

Result<GgufFiles> GgufFiles::open(const fs::path& path) {
  GgufFiles model;
  const std::vector<fs::path> files = gguf_set(path);
  for (std::size_t i = 0; i < files.size(); ++i) {
    std::error_code ignored;
    if (!fs::exists(files[i], ignored))
      return Error{ErrorCode::kNotFound, text(path.string(), ": belongs to a set of ", files.size(), " files, of which ",
                                              files[i].filename().string(), " is missing")};
    COLONNADE_TRY(model.add(files[i], i, files.size()));
  }
  COLONNADE_ASSIGN(const auto said, model.header_.integer("split.tensors.count"));
  if (files.size() > 1 && said && *said != static_cast<std::int64_t>(model.tensors_.size()))
    return Error{ErrorCode::kCorrupt, text(path.string(), ": split.tensors.count says ", *said, " tensors, the files have ", model.tensors_.size())};
  std::sort(model.tensors_.begin(), model.tensors_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(model.tensors_.begin(), model.tensors_.end(), [](const auto& a, const auto& b) { return a.name == b.name; });
  if (twice != model.tensors_.end())
    return Error{ErrorCode::kCorrupt, text(path.string(), ": tensor ", twice->name, " is in ", model.names_[twice->file], " and in ",
                                           model.names_[std::next(twice)->file])};
  return model;
}

Status GgufFiles::add(const fs::path& path, std::size_t number, std::size_t count) {
  COLONNADE_ASSIGN(MappedFile file, MappedFile::open(path));
  COLONNADE_ASSIGN(GgufHeader header, read_header(file.bytes(), path.string()));
  COLONNADE_TRY(check_split(header, path.string(), number, count));
  COLONNADE_ASSIGN(std::vector<GgufPlacedTensor> tensors, place_gguf_tensors(header, file.bytes(), path.string()));
  for (GgufPlacedTensor& tensor : tensors) tensor.file = number;
  tensors_.insert(tensors_.end(), std::make_move_iterator(tensors.begin()), std::make_move_iterator(tensors.end()));
  names_.push_back(path.filename().string());
  files_.push_back(std::move(file));
  if (number == 0) header_ = std::move(header);
  return {};
}

const GgufPlacedTensor* GgufFiles::find(std::string_view name) const {
  const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), name, [](const GgufPlacedTensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}

std::uint64_t GgufFiles::bytes() const {
  std::uint64_t total = 0;
  for (const MappedFile& file : files_) total += file.bytes().size();
  return total;
}

}  // namespace colonnade::shard
