#include "engine/base/options.h"

#include <algorithm>
#include <cctype>
#include <fstream>

#include "engine/base/format_text.h"
#include "engine/base/options_value.h"
#include "engine/base/units.h"

namespace colonnade {
namespace {

std::string environment_name(std::string_view option) {
  std::string name = "COLONNADE_";
  for (const char c : option)
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r";
  const auto first = line.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

std::span<const Option> standard_options() {
  static const Option kOptions[] = {
      {.name = "config", .value_name = "FILE",
       .help = "Reads options from a file of lines \"name = value\"; # begins a comment."},
      {.name = "log-level", .kind = OptionKind::kChoice, .default_value = "info", .value_name = "LEVEL",
       .help = "Least important log lines to show.", .choices = {"debug", "info", "warning", "error"}},
      {.name = "help", .kind = OptionKind::kFlag, .help = "Shows this text.", .short_name = 'h'},
  };
  return kOptions;
}

/// One parse. Values are set in the order of their sources, so the last one stays.
class OptionParser {
 public:
  OptionParser(const CommandSpec& spec, const std::function<const char*(const char*)>& environment)
      : spec_(spec), environment_(environment) {
    for (const Option& option : spec.options) options_.push_back(&option);
    for (const Option& option : standard_options()) options_.push_back(&option);
  }

  Result<Options> parse(std::span<const std::string> arguments) {
    for (const Option* option : options_)
      result_.values_[option->name] = {option->kind, option->default_value, OptionSource::kDefault,
                                       !option->default_value.empty()};
    COLONNADE_TRY(split(arguments));
    COLONNADE_TRY(read_file());
    COLONNADE_TRY(read_environment());
    for (const auto& [option, value] : flags_)
      COLONNADE_TRY(set(*option, value, OptionSource::kFlag, "--" + option->name));
    COLONNADE_TRY(set_positionals());
    return std::move(result_);
  }

 private:
  const Option* find(std::string_view name) const {
    for (const Option* option : options_)
      if (option->name == name) return option;
    return nullptr;
  }

  const Option* find_short(char letter) const {
    for (const Option* option : options_)
      if (option->short_name == letter) return option;
    return nullptr;
  }

  Error unknown(std::string_view where, std::string_view dashes, std::string_view name) const {
    std::vector<std::string> names;
    for (const Option* option : options_)
      if (!option->hidden) names.push_back(option->name);
    std::string message = text(where, "unknown option ", dashes, name);
    const std::string near = nearest_word(name, names);
    if (!near.empty()) message += text("; did you mean ", dashes, near, "?");
    return {ErrorCode::kInvalidArgument, message};
  }

  Status set(const Option& option, std::string_view value, OptionSource source, std::string_view where) {
    COLONNADE_ASSIGN(std::string checked, check_value(option, value, where));
    Options::Value& slot = result_.values_[option.name];
    // Several flags of one list add up; a flag replaces the list of the file.
    if (option.repeatable && slot.set && slot.source == source) checked = slot.text + '\n' + checked;
    slot = {option.kind, std::move(checked), source, true};
    return {};
  }

  /// Tells flags from positionals. Values are checked later, but what is unknown is an error at once.
  Status split(std::span<const std::string> arguments) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const std::string& argument = arguments[i];
      if (argument == "--") {
        positionals_.insert(positionals_.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                            arguments.end());
        return {};
      }
      const bool is_number = argument.size() > 1 && std::isdigit(static_cast<unsigned char>(argument[1]));
      if (argument.size() < 2 || argument[0] != '-' || is_number) {
        positionals_.push_back(argument);
        continue;
      }
      COLONNADE_ASSIGN(const bool took_next, split_flag(argument, arguments.subspan(i + 1)));
      if (took_next) ++i;
    }
    return {};
  }

  /// True when the flag's value is the next argument.
  Result<bool> split_flag(std::string_view argument, std::span<const std::string> following) {
    const bool is_long = argument.starts_with("--");
    std::string_view name = argument.substr(is_long ? 2 : 1);
    const auto equals = name.find('=');
    const bool has_value = equals != std::string_view::npos;
    const std::string_view value = has_value ? name.substr(equals + 1) : std::string_view{};
    if (has_value) name = name.substr(0, equals);

    const Option* option = is_long ? find(name) : name.size() == 1 ? find_short(name[0]) : nullptr;
    const Option* negated = is_long && name.starts_with("no-") ? find(name.substr(3)) : nullptr;
    if (option == nullptr && negated != nullptr && negated->kind == OptionKind::kFlag && !has_value) {
      flags_.emplace_back(negated, "false");
      return false;
    }
    if (option == nullptr) return unknown("", is_long ? "--" : "-", name);
    if (has_value || option->kind == OptionKind::kFlag) {
      flags_.emplace_back(option, has_value ? value : "true");
      return false;
    }
    if (following.empty() || following[0].starts_with("--"))
      return Error{ErrorCode::kInvalidArgument,
                   text("--", option->name, ": expected a value",
                        option->value_name.empty() ? "" : " (" + option->value_name + ")", ", found ",
                        following.empty() ? "the end of the line" : "\"" + following[0] + "\"")};
    flags_.emplace_back(option, following[0]);
    return true;
  }

  Status read_file() {
    const Option& config = *find("config");
    if (const char* path = environment_(environment_name("config").c_str()); path != nullptr && *path != 0)
      COLONNADE_TRY(set(config, path, OptionSource::kEnvironment, ""));
    for (const auto& [option, value] : flags_)
      if (option == &config) COLONNADE_TRY(set(config, value, OptionSource::kFlag, ""));
    const std::string path = result_.text("config");
    if (path.empty()) return {};
    std::ifstream file(path);
    if (!file) return Error{ErrorCode::kNotFound, text("--config: cannot read \"", path, "\"")};
    std::string line;
    for (int number = 1; std::getline(file, line); ++number)
      COLONNADE_TRY(read_line(line, text(path, " line ", number, ": ")));
    return {};
  }

  Status read_line(std::string_view line, const std::string& where) {
    line = trimmed(line);
    if (line.empty() || line[0] == '#') return {};
    const auto equals = line.find('=');
    if (equals == std::string_view::npos)
      return Error{ErrorCode::kInvalidArgument, text(where, "expected \"name = value\", found \"", line, "\"")};
    const std::string_view name = trimmed(line.substr(0, equals));
    const Option* option = find(name);
    if (option == nullptr || name == "config" || name == "help") return unknown(where, "", name);
    std::string_view value = line.substr(equals + 1);
    if (const auto comment = value.find(" #"); comment != std::string_view::npos) value = value.substr(0, comment);
    return set(*option, trimmed(value), OptionSource::kFile, where + option->name);
  }

  Status read_environment() {
    for (const Option* option : options_) {
      if (option->name == "config" || option->name == "help") continue;
      const std::string variable = environment_name(option->name);
      const char* value = environment_(variable.c_str());
      if (value != nullptr && *value != 0)
        COLONNADE_TRY(set(*option, value, OptionSource::kEnvironment, variable));
    }
    return {};
  }

  Status set_positionals() {
    std::size_t next = 0;
    for (const Positional& positional : spec_.positionals) {
      Options::Value value{OptionKind::kText, "", OptionSource::kFlag, false};
      while (next < positionals_.size()) {
        if (value.set) value.text += '\n';
        value.text += positionals_[next++];
        value.set = true;
        if (!positional.rest) break;
      }
      if (positional.required && !value.set)
        return Error{ErrorCode::kInvalidArgument, text("missing ", positional.name, ": ", positional.help)};
      result_.values_[positional.name] = std::move(value);
    }
    if (next < positionals_.size())
      return Error{ErrorCode::kInvalidArgument, text("expected ", spec_.positionals.size(), " argument",
                                                     spec_.positionals.size() == 1 ? "" : "s", ", found one more: \"",
                                                     positionals_[next], "\"")};
    return {};
  }

  const CommandSpec& spec_;
  const std::function<const char*(const char*)>& environment_;
  std::vector<const Option*> options_;
  std::vector<std::pair<const Option*, std::string>> flags_;
  std::vector<std::string> positionals_;
  Options result_;
};

Result<Options> parse_options(const CommandSpec& spec, std::span<const std::string> arguments,
                              const std::function<const char*(const char*)>& environment) {
  return OptionParser(spec, environment).parse(arguments);
}

}  // namespace colonnade
