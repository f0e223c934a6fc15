#include "engine/text/jinja/template.h"

#include <new>

#include "engine/base/format_text.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/globals.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/parser.h"
#include "engine/text/utf8.h"

namespace colonnade::engine::jinja {
namespace {

Error at_line(const std::string& name, const TemplateError& error, int line) {
  return {error.code, text(name, ": line ", error.line > 0 ? error.line : line, ": ", error.message)};
}

}  // namespace

Template::Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

Result<Template> Template::compile(std::string_view source, std::string name) {
  if (source.size() > kMaxSourceBytes) {
    return Error{ErrorCode::kExhausted, text(name, ": expected a template of at most ", kMaxSourceBytes, " bytes, found ", source.size())};
  }
  for (std::size_t at = 0; at < source.size();) {
    const Utf8Head head = read_utf8(source.substr(at));
    if (head.kind != Utf8Head::kCharacter) return Error{ErrorCode::kCorrupt, text(name, ": byte ", at, " is not UTF-8")};
    at += head.size;
  }
  Template made;
  made.name_ = std::move(name);
  try {
    made.tree_ = std::make_unique<const Tree>(parse_template(source));
  } catch (const TemplateError& error) {
    TemplateError known = error;
    if (known.code == ErrorCode::kInvalidArgument) known.code = ErrorCode::kCorrupt;
    return at_line(made.name_, known, 1);
  }
  return made;
}

Result<MarkedText> Template::render(const VariableSource& variables, const Limits& limits,
                                    const std::function<std::tm()>& clock) const {
  Context context(limits, clock);
  try {
    std::vector<std::optional<Value>> globals;
    globals.reserve(tree_->names.size());
    for (const std::string& name : tree_->names) {
      auto value = variables(context, name);
      globals.push_back(value ? std::move(value) : make_global(context, name));
    }
    Interpreter interpreter(*tree_, context, std::move(globals));
    MarkedText out = interpreter.run();
    // What may hold each other lets go while the interpreter is there.
    context.clear();
    return out;
  } catch (const TemplateError& error) {
    return at_line(name_, error, context.line);
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kExhausted, text(name_, ": line ", context.line, ": out of memory")};
  }
}

}  // namespace colonnade::engine::jinja
