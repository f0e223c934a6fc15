// Each field of each family's configuration, gone or wrong in every way: it is read, or refused in one line that names it.
#include <catch2/catch.hpp>

#include <set>

#include "engine/base/json.h"
#include "shard/hf_config.h"
#include "shard/paths.h"
#include "shard/source_model.h"
#include "tests/shard/checkpoint_files.h"
#include "tests/support/shared_data.h"

using namespace colonnade;
using namespace colonnade::tests;
using Catch::Matchers::Contains;

namespace {

const char* const kFamilies[] = {"bert", "deepseek_v2", "deepseek_v2_group", "deepseek_v3", "gemma2", "gemma3", "glm4_moe",
                                 "gpt_oss", "granitemoe", "llama", "llama3", "llama4", "mistral", "mixtral", "olmoe", "phi3",
                                 "qwen2", "qwen2_moe", "qwen3", "qwen3_moe"};

/// Sizes without which nothing can be said about a model.
const std::set<std::string> kRequired = {"hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size"};

const std::vector<Json>& wrong_values() {
  static const std::vector<Json> values = {nullptr, "x", "", -1, 0, 1, 3, 7, 0.5, -0.25, 1e30, 1e-30, 2147483647, 4294967296, 18446744073709551615u,
                                           true, false, Json::array(), Json::array({"x"}), Json::array({0, 1}), Json::object(), Json{{"a", 1}}};
  return values;
}

/// Calls visit(place of a field, its name) for all fields of objects, also inner ones.
template <typename Visit>
void for_each_field(const Json& object, const Json::json_pointer& place, const Visit& visit) {
  for (const auto& [key, value] : object.items()) {
    visit(place / key, key);
    if (value.is_object()) for_each_field(value, place / key, visit);
  }
}

/// One line about config.json, and not too long; where it has to do with one field, it names it.
void check_message(const std::string& message) {
  CHECK(message.starts_with("config.json"));
  CHECK(message.find('\n') == std::string::npos);
  CHECK(message.size() < 1500);
}

}  // namespace

TEST_CASE("fields that are gone or wrong give a configuration that can be used, or one line that says what is wrong") {
  std::size_t n_refused = 0;
  for (const char* family : kFamilies) {
    const Json original = Json::parse(read_file(golden(family) / "config.json"));
    for_each_field(original, Json::json_pointer(), [&](const Json::json_pointer& place, const std::string& name) {
      std::vector<Json> variants;
      for (const Json& value : wrong_values()) {
        variants.push_back(original);
        variants.back()[place] = value;
      }
      variants.push_back(original);
      variants.back()[place.parent_pointer()].erase(name);
      for (const Json& variant : variants) {
        CAPTURE(family, place.to_string(), variant.dump());
        const auto config = shard::parse_model_config(variant.dump(), "config.json");
        if (config.ok()) {
          CHECK(shard::count_paths(*config) > 0);
          continue;
        }
        ++n_refused;
        check_message(config.error().message);
        const bool names_field = config.error().message.find(name) != std::string::npos;
        const bool names_sizes = config.error().message.find(": expected ") != std::string::npos;
        const bool names_kind = config.error().message.find("not supported") != std::string::npos;
        CHECK((names_field || names_sizes || names_kind));
      }
    });
  }
  CHECK(n_refused > 3000);
}

TEST_CASE("a size that is missing, of another type, zero, negative or absurd is named with what was expected and found") {
  for (const char* family : kFamilies) {
    Json original = Json::parse(read_file(golden(family) / "config.json"));
    const bool whole = original.contains("text_config");
    Json& sizes = whole ? original["text_config"] : original;
    for (const std::string& field : kRequired) {
      const Json kept = sizes[field];
      const bool optional = std::string(family) == "gemma3" && (field == "vocab_size" || field == "num_attention_heads");
      const auto refused = [&](const std::string& found) {
        CAPTURE(family, field, found);
        const auto config = shard::parse_model_config(original.dump(), "config.json");
        REQUIRE_FALSE(config.ok());
        check_message(config.error().message);
        CHECK_THAT(config.error().message, Contains("field " + field + ": expected an integer from 1 to ") && Contains("found " + found));
      };
      for (const Json& value : {Json("64"), Json(0), Json(-3), Json(64.5), Json(1e30), Json(9999999999), Json(true), Json::array({1})}) {
        sizes[field] = value;
        refused(value.dump());
      }
      sizes.erase(field);
      if (!optional) refused("nothing");
      sizes[field] = kept;
    }
  }
}

TEST_CASE("an unknown rope type is refused by name in every family that rotates") {
  for (const char* family : kFamilies) {
    if (std::string(family) == "bert") continue;
    Json config = Json::parse(read_file(golden(family) / "config.json"));
    (config.contains("text_config") ? config["text_config"] : config)["rope_scaling"] = {{"rope_type", "spiral"}, {"factor", 2.0}};
    CAPTURE(family);
    const auto read = shard::parse_model_config(config.dump(), "config.json");
    REQUIRE_FALSE(read.ok());
    CHECK_THAT(read.error().message, Contains("rope_scaling: rope type spiral is not supported; supported are default, linear, llama3, yarn"));
  }
}

TEST_CASE("a number of experts that disagrees with the tensors is refused with the tensor, the expected and the found shape") {
  const std::pair<const char*, const char*> mixtures[] = {
      {"deepseek_v2", "n_routed_experts"}, {"deepseek_v3", "n_routed_experts"}, {"glm4_moe", "n_routed_experts"}, {"gpt_oss", "num_local_experts"},
      {"granitemoe", "num_local_experts"}, {"llama4", "num_local_experts"},     {"mixtral", "num_local_experts"}, {"olmoe", "num_experts"},
      {"qwen2_moe", "num_experts"},        {"qwen3_moe", "num_experts"}};
  for (const auto& [family, field] : mixtures) {
    const auto folder = copy_golden(family, scratch_folder());
    Json config = Json::parse(read_file(folder / "config.json"));
    Json& sizes = config.contains("text_config") ? config["text_config"] : config;
    const int n_experts = sizes[field].get<int>();
    for (const int changed : {n_experts * 2, n_experts / 2}) {
      CAPTURE(family, changed);
      sizes[field] = changed;
      write_file(folder / "config.json", config.dump());
      const auto model = shard::SourceModel::open(folder);
      REQUIRE_FALSE(model.ok());
      const std::string& message = model.error().message;
      CHECK(message.find('\n') == std::string::npos);
      CHECK_THAT(message, Contains("tensor ") && Contains("expected") && Contains("found") && Contains(std::to_string(changed)));
      CHECK_THAT(message, Contains(std::to_string(n_experts)));
    }
  }
}
