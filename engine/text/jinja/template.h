// The door of the interpreter: a template compiled once, rendered with variables.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/text/jinja/context.h"
#include "engine/text/jinja/limits.h"
#include "engine/text/jinja/marked_text.h"

namespace colonnade::engine::jinja {

struct Tree;

/// The value of a variable, or nullopt where there is none of that name. Asked once for each name that the template has.
using VariableSource = std::function<std::optional<Value>(Context& context, const std::string& name)>;

/// Immutable, so thread-safe.
class Template {
 public:
  /// `name` begins every message: "NAME: line 3: ...". kCorrupt: not UTF-8 or no Jinja; kExhausted: too large or too deep.
  static Result<Template> compile(std::string_view source, std::string name);

  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();

  /// kInvalidArgument: what the template or its input makes fail; kExhausted: a limit.
  Result<MarkedText> render(const VariableSource& variables, const Limits& limits, const std::function<std::tm()>& clock) const;

 private:
  Template();

  std::string name_;
  std::unique_ptr<const Tree> tree_;
};

}  // namespace colonnade::engine::jinja
