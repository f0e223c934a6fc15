#include "engine/text/normalizer.h"

#include <utility>
#include <vector>

#include "engine/text/json_fields.h"

namespace colonnade::engine {
namespace {

class Sequence final : public Normalizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<Normalizer>> parts) : parts_(std::move(parts)) {}
  std::string apply(std::string text) const override {
    for (const auto& part : parts_) text = part->apply(std::move(text));
    return text;
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

class Prepend final : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string apply(std::string text) const override { return text.empty() ? text : prefix_ + text; }

 private:
  std::string prefix_;
};

class Replace final : public Normalizer {
 public:
  Replace(std::string pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  std::string apply(std::string text) const override { return replace_all(std::move(text), pattern_, content_); }

 private:
  std::string pattern_;
  std::string content_;
};

}  // namespace

std::string replace_all(std::string text, const std::string& pattern, const std::string& content) {
  std::size_t at = text.find(pattern);
  if (at == std::string::npos) return text;
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  std::size_t done = 0;
  for (; at != std::string::npos; at = text.find(pattern, done)) {
    out.append(text, done, at - done);
    out.append(content);
    done = at + pattern.size();
  }
  return out.append(text, done);
}

Result<std::unique_ptr<Normalizer>> make_normalizer(const Json& part) {
  std::vector<std::unique_ptr<Normalizer>> parts;
  if (part.is_null()) return std::unique_ptr<Normalizer>(std::make_unique<Sequence>(std::move(parts)));
  COLONNADE_ASSIGN(const std::string type, part_type(part, "normalizer"));
  if (type == "Sequence") {
    const Json& list = member_or_null(part, "normalizers");
    if (!list.is_array()) return wrong_field("normalizer.normalizers", "a list", list);
    for (const Json& one : list) {
      COLONNADE_ASSIGN(parts.emplace_back(), make_normalizer(one));
    }
    return std::unique_ptr<Normalizer>(std::make_unique<Sequence>(std::move(parts)));
  }
  if (type == "Prepend") {
    COLONNADE_ASSIGN(std::string prefix, string_member(part, "prepend", "normalizer"));
    return std::unique_ptr<Normalizer>(std::make_unique<Prepend>(std::move(prefix)));
  }
  if (type == "Replace") {
    COLONNADE_ASSIGN(std::string pattern, string_pattern(part, "normalizer Replace"));
    COLONNADE_ASSIGN(std::string content, string_member(part, "content", "normalizer Replace"));
    return std::unique_ptr<Normalizer>(std::make_unique<Replace>(std::move(pattern), std::move(content)));
  }
  return unsupported_part("normalizer", type, "Sequence, Prepend, Replace");
}

}  // namespace colonnade::engine
