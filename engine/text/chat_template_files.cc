// Which chat templates and special tokens a model's files hold.
#include <algorithm>

#include "engine/base/format_text.h"
#include "engine/text/chat_template.h"

namespace colonnade::engine {
namespace {

struct Named {
  std::string name;
  std::string source;
  std::string shown;  // the file, for messages
};

constexpr const char* kConfig = "tokenizer_config.json";
// added_tokens_decoder has a key for each added token: thousands.
constexpr std::size_t kMaxConfigKeys = 16384;

/// The text of a special token: as such, or the content of an object.
std::optional<std::string> token_text(const OrderedJson& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object()) return std::nullopt;
  const auto content = value.find("content");
  return content != value.end() && content->is_string() ? std::optional(content->get<std::string>()) : std::nullopt;
}

/// The tokens that a file names, where they are not known yet: bos_token, ..., and those of extra_special_tokens.
void read_tokens(const OrderedJson& file, ChatTemplates& templates) {
  static constexpr std::string_view kNames[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                "pad_token", "cls_token", "mask_token"};
  const auto put = [&](const std::string& name, const OrderedJson& value) {
    const auto spelled = token_text(value);
    if (spelled && !templates.special_tokens().contains(name)) templates.set_special_token(name, *spelled);
  };
  for (const std::string_view name : kNames)
    if (const auto found = file.find(name); found != file.end()) put(std::string(name), *found);
  for (const char* extra : {"extra_special_tokens", "model_specific_special_tokens"}) {
    const auto found = file.find(extra);
    if (found == file.end() || !found->is_object()) continue;
    for (const auto& [name, value] : found->items()) put(name, value);
  }
}

/// A file that holds a JSON object; null when there is none.
Result<OrderedJson> read_object(const ModelFileReader& read, const char* name) {
  const auto content = read(name);
  if (!content) return OrderedJson();
  auto file = parse_ordered_json(*content, name, 64, kMaxConfigKeys);
  if (!file.ok()) return Error{ErrorCode::kCorrupt, file.error().message};
  if (!file->is_object()) return Error{ErrorCode::kCorrupt, text(name, ": must be an object, found ", file->type_name())};
  return file;
}

/// The templates of a "chat_template" field: a text, or a list of objects with name and template.
Result<std::vector<Named>> field_templates(const OrderedJson& file, const char* file_name) {
  std::vector<Named> list;
  if (!file.is_object()) return list;
  const auto field = file.find("chat_template");
  if (field == file.end() || field->is_null()) return list;
  if (field->is_string()) {
    list.push_back({"default", field->get<std::string>(), text(file_name, ": chat_template")});
    return list;
  }
  const Error wrong{ErrorCode::kCorrupt, text(file_name, ": chat_template must be a text, or a list of objects with name and template")};
  if (!field->is_array()) return wrong;
  for (const OrderedJson& one : *field) {
    if (!one.is_object() || !one.contains("name") || !one.contains("template")) return wrong;
    const OrderedJson &name = one["name"], &source = one["template"];
    if (!name.is_string() || !source.is_string()) return wrong;
    const auto known = [&](const Named& other) { return other.name == name.get_ref<const std::string&>(); };
    list.erase(std::remove_if(list.begin(), list.end(), known), list.end());
    list.push_back({name.get<std::string>(), source.get<std::string>(), text(file_name, ": chat_template ", name.get<std::string>())});
  }
  return list;
}

}  // namespace

Result<ChatTemplates> ChatTemplates::from_model(const ModelFileReader& read, const std::vector<std::string>& additional,
                                                ChatTemplateLimits limits) {
  COLONNADE_ASSIGN(const OrderedJson config, read_object(read, kConfig));
  COLONNADE_ASSIGN(const OrderedJson tokens, read_object(read, "special_tokens_map.json"));
  std::vector<Named> list;
  if (auto file = read("chat_template.jinja")) list.push_back({"default", *std::move(file), "chat_template.jinja"});
  for (const std::string& name : additional) {
    const std::string path = text("additional_chat_templates/", name, ".jinja");
    if (auto file = read(path)) list.push_back({name, *std::move(file), path});
  }
  if (list.empty()) {
    COLONNADE_ASSIGN(list, field_templates(config, kConfig));
  }
  if (list.empty()) {
    COLONNADE_ASSIGN(const OrderedJson processor, read_object(read, "chat_template.json"));
    COLONNADE_ASSIGN(list, field_templates(processor, "chat_template.json"));
  }
  ChatTemplates all;
  all.set_limits(limits);
  for (const OrderedJson* file : {&config, &tokens})
    if (file->is_object()) read_tokens(*file, all);
  for (const Named& one : list) COLONNADE_TRY(all.add(one.name, one.source, one.shown));
  return all;
}

}  // namespace colonnade::engine
