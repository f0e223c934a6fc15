#include "engine/text/pre_tokenizer.h"

#include <string>

#include "engine/text/json_fields.h"

namespace colonnade::engine {
namespace {

class WholeText final : public PreTokenizer {
 public:
  std::vector<std::string_view> split(std::string_view text) const override {
    if (text.empty()) return {};
    return {text};
  }
};

}  // namespace

Result<std::unique_ptr<PreTokenizer>> make_pre_tokenizer(const Json& part) {
  if (part.is_null()) return std::unique_ptr<PreTokenizer>(std::make_unique<WholeText>());
  COLONNADE_ASSIGN(const std::string type, part_type(part, "pre_tokenizer"));
  return unsupported_part("pre_tokenizer", type, "null");
}

}  // namespace colonnade::engine
