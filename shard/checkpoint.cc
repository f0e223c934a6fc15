#include "shard/checkpoint.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "engine/base/format_text.h"
#include "engine/base/json.h"

namespace colonnade::shard {
namespace {

constexpr const char* kSingleName = "model.safetensors";
constexpr const char* kIndexName = "model.safetensors.index.json";
// A million tensors with long names.
constexpr std::uint64_t kMaxIndexBytes = 256u << 20;

bool by_name(const Tensor& a, const Tensor& b) { return a.name < b.name; }

/// An index may only name files beside itself.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::filesystem::path& directory) {
  Checkpoint checkpoint;
  std::error_code ignored;
  if (std::filesystem::exists(directory / kSingleName, ignored)) {
    COLONNADE_TRY(checkpoint.add_file(directory, kSingleName));
  } else if (std::filesystem::exists(directory / kIndexName, ignored)) {
    COLONNADE_TRY(checkpoint.open_index(directory, directory / kIndexName));
  } else {
    return Error{ErrorCode::kNotFound, text(directory.string(), ": expected ", kSingleName, " or ", kIndexName,
                                            ", found neither")};
  }
  return checkpoint;
}

Result<Checkpoint> Checkpoint::open_file(const std::filesystem::path& file) {
  Checkpoint checkpoint;
  COLONNADE_TRY(checkpoint.add_file(file.parent_path(), file.filename().string()));
  return checkpoint;
}

Status Checkpoint::add_file(const std::filesystem::path& directory, const std::string& name) {
  COLONNADE_ASSIGN(MappedFile file, MappedFile::open(directory / name));
  COLONNADE_ASSIGN(std::vector<Tensor> tensors, parse_safetensors(file.bytes(), (directory / name).string()));
  names_.push_back(name);
  files_.push_back(std::move(file));
  tensors_.insert(tensors_.end(), std::make_move_iterator(tensors.begin()), std::make_move_iterator(tensors.end()));
  return {};
}

Status Checkpoint::open_index(const std::filesystem::path& directory, const std::filesystem::path& index) {
  COLONNADE_ASSIGN(const std::string content, read_small_file(index, kMaxIndexBytes));
  COLONNADE_ASSIGN(const Json json, parse_json(content, index.string()));
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || map == json.end() || !map->is_object() || map->empty())
    return Error{ErrorCode::kCorrupt, text(index.string(), ": expected an object weight_map of tensor names to files")};

  std::map<std::string, std::vector<std::string>> tensors_of;  // file -> tensors
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !is_plain_name(file.get<std::string>()))
      return Error{ErrorCode::kCorrupt, text(index.string(), ": weight_map of ", tensor,
                                             ": expected the name of a file beside it, found ", dump_json(file))};
    tensors_of[file.get<std::string>()].push_back(tensor);
  }

  std::vector<Tensor> chosen;
  for (auto& [file, wanted] : tensors_of) {
    std::error_code ignored;
    if (!std::filesystem::exists(directory / file, ignored))
      return Error{ErrorCode::kNotFound, text(index.string(), " names ", file, ", which is not in ", directory.string(),
                                              " (", wanted.size(), " tensors, the first is ", wanted.front(), ")")};
    tensors_.clear();
    COLONNADE_TRY(add_file(directory, file));
    for (const std::string& name : wanted) {
      const Tensor* tensor = find(name);
      if (tensor == nullptr)
        return Error{ErrorCode::kCorrupt, text(index.string(), " says that ", file, " has ", name, ", but it has not")};
      chosen.push_back(*tensor);
    }
  }
  std::sort(chosen.begin(), chosen.end(), by_name);
  tensors_ = std::move(chosen);
  return {};
}

const Tensor* Checkpoint::find(std::string_view name) const {
  const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                                   [](const Tensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}

const std::string& Checkpoint::file_of(const Tensor& tensor) const {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const auto bytes = files_[i].bytes();
    if (tensor.data.data() >= bytes.data() && tensor.data.data() <= bytes.data() + bytes.size()) return names_[i];
  }
  COLONNADE_CHECK(false, "a tensor that belongs to no file");
}

std::uint64_t Checkpoint::bytes() const {
  std::uint64_t total = 0;
  for (const MappedFile& file : files_) total += file.bytes().size();
  return total;
}

}  // namespace colonnade::shard
