#include "engine/text/post_processor.h"

#include <string>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/json_fields.h"

namespace colonnade::engine {
namespace {

/// Ids to put before and after those of the text.
class Template final : public PostProcessor {
 public:
  Template(std::vector<std::int32_t> before, std::vector<std::int32_t> after)
      : before_(std::move(before)), after_(std::move(after)) {}

  std::vector<std::int32_t> apply(std::vector<std::int32_t> ids) const override {
    ids.insert(ids.begin(), before_.begin(), before_.end());
    ids.insert(ids.end(), after_.begin(), after_.end());
    return ids;
  }

 private:
  std::vector<std::int32_t> before_;
  std::vector<std::int32_t> after_;
};

Status append_special(const Json& part, const std::string& name, std::vector<std::int32_t>& ids) {
  const std::string place = "post_processor.special_tokens";
  const Json& list = member_or_null(member_or_null(member_or_null(part, "special_tokens"), name), "ids");
  if (!list.is_array()) return wrong_field(text(place, "[\"", name, "\"].ids"), "a list", list);
  for (const Json& id : list) {
    COLONNADE_ASSIGN(ids.emplace_back(), index_value(id, text(place, "[\"", name, "\"].ids")));
  }
  return {};
}

Result<std::unique_ptr<PostProcessor>> make_template(const Json& part) {
  const Json& items = member_or_null(part, "single");
  if (!items.is_array()) return wrong_field("post_processor.single", "a list", items);
  std::vector<std::int32_t> before;
  std::vector<std::int32_t> after;
  int texts = 0;
  for (const Json& item : items) {
    if (const Json& special = member_or_null(item, "SpecialToken"); !special.is_null()) {
      COLONNADE_ASSIGN(const std::string name, string_member(special, "id", "post_processor.single SpecialToken"));
      COLONNADE_TRY(append_special(part, name, texts == 0 ? before : after));
    } else if (member_or_null(item, "Sequence").is_object()) {
      ++texts;
    } else {
      return wrong_field("post_processor.single", "made of SpecialToken and Sequence", item);
    }
  }
  if (texts != 1) return wrong_field("post_processor.single", "with exactly one Sequence", items);
  return std::unique_ptr<PostProcessor>(std::make_unique<Template>(std::move(before), std::move(after)));
}

}  // namespace

Result<std::unique_ptr<PostProcessor>> make_post_processor(const Json& part) {
  if (part.is_null()) {
    return std::unique_ptr<PostProcessor>(
        std::make_unique<Template>(std::vector<std::int32_t>{}, std::vector<std::int32_t>{}));
  }
  COLONNADE_ASSIGN(const std::string type, part_type(part, "post_processor"));
  if (type == "TemplateProcessing") return make_template(part);
  return unsupported_part("post_processor", type, "TemplateProcessing");
}

}  // namespace colonnade::engine
