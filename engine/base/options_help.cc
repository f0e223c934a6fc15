// --help and shell completion, made from the same list of options as the parser.
#include <algorithm>

#include "engine/base/format_text.h"
#include "engine/base/options.h"

namespace colonnade {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kLeftColumn = 28;  // wide enough for most "  --name VALUE"

/// Visible options of a command, its own first.
std::vector<const Option*> visible_options(const CommandSpec& spec) {
  std::vector<const Option*> options;
  for (const Option& option : spec.options)
    if (!option.hidden) options.push_back(&option);
  for (const Option& option : standard_options()) options.push_back(&option);
  return options;
}

/// "  left      right", the right part wrapped into its column.
std::string two_columns(const std::string& left, const std::string& right) {
  std::string out = "  " + left;
  std::size_t column = out.size();
  if (column + 2 > kLeftColumn) out += '\n', column = 0;
  std::size_t begin = 0;
  while (begin < right.size()) {
    const auto end = std::min(right.find(' ', begin), right.size());
    const bool first_in_line = column < kLeftColumn;
    if (!first_in_line && column + 1 + (end - begin) > kWidth) {
      out += '\n', column = 0;
      continue;
    }
    const std::size_t space = first_in_line ? kLeftColumn - column : 1;
    out.append(space, ' ').append(right, begin, end - begin);
    column += space + (end - begin);
    begin = end + 1;
  }
  return out + '\n';
}

std::string option_left(const Option& option) {
  std::string left = option.short_name != 0 ? text('-', option.short_name, ", ") : "";
  left += option.kind == OptionKind::kFlag && option.default_value == "true" ? "--[no-]" : "--";
  left += option.name;
  if (option.kind != OptionKind::kFlag) left += ' ' + (option.value_name.empty() ? "VALUE" : option.value_name);
  return left;
}

std::string option_right(const Option& option) {
  std::string right = option.help;
  if (option.kind == OptionKind::kChoice) {
    right += " One of";
    for (const std::string& choice : option.choices) right += (&choice == &option.choices[0] ? " " : ", ") + choice;
    right += '.';
  }
  if (option.repeatable) right += " May be given several times.";
  if (!option.default_value.empty() && option.kind != OptionKind::kFlag)
    right += " [" + option.default_value + "]";
  return right;
}

std::string usage_line(const CommandSpec& spec, std::string_view program) {
  std::string line = text("usage: ", program, " ", spec.name);
  for (const Positional& positional : spec.positionals) {
    const std::string name = positional.name + (positional.rest ? "…" : "");
    line += positional.required ? " " + name : " [" + name + "]";
  }
  return line + " [options]\n";
}

/// A word list for the shell's double quotes; names consist of letters and dashes only.
std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::string completion_case(const CommandSpec& spec) {
  std::vector<std::string> flags;
  std::string cases;
  for (const Option* option : visible_options(spec)) {
    flags.push_back("--" + option->name);
    const bool is_path = option->value_name == "FILE" || option->value_name == "DIR";
    if (option->kind == OptionKind::kChoice)
      cases += text("        --", option->name, ") COMPREPLY=($(compgen -W \"", joined(option->choices),
                    "\" -- \"$word\")); return ;;\n");
    else if (option->kind != OptionKind::kFlag && !is_path)
      cases += text("        --", option->name, ") return ;;\n");
    else if (is_path)
      cases += text("        --", option->name, ") COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n");
  }
  return text("    ", spec.name, ")\n      case \"$before\" in\n", cases, "      esac\n      flags=\"", joined(flags),
              "\" ;;\n");
}

}  // namespace

std::string help_text(const CommandSpec& spec, std::string_view program) {
  std::string out = text(spec.summary, "\n\n", usage_line(spec, program));
  if (!spec.details.empty()) out += text("\n", spec.details, spec.details.ends_with('\n') ? "" : "\n");
  if (!spec.positionals.empty()) out += "\narguments:\n";
  for (const Positional& positional : spec.positionals) out += two_columns(positional.name, positional.help);
  out += "\noptions:\n";
  for (const Option* option : visible_options(spec)) out += two_columns(option_left(*option), option_right(*option));
  out += "\nEvery option can also be set in the file of --config and in the environment: --top-k is COLONNADE_TOP_K.\n";
  return out;
}

std::string bash_completion(std::span<const CommandSpec> commands, std::string_view program) {
  std::vector<std::string> names;
  std::string cases;
  for (const CommandSpec& spec : commands) {
    names.push_back(spec.name);
    cases += completion_case(spec);
  }
  return text("# bash completion for ", program, ": eval \"$(", program, " completion bash)\"\n",
              "_", program, "() {\n",
              "  local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\" flags=\"\"\n",
              "  COMPREPLY=()\n",
              "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n",
              "    COMPREPLY=($(compgen -W \"", joined(names), " help --help --version\" -- \"$word\"))\n",
              "    return\n",
              "  fi\n",
              "  case \"${COMP_WORDS[1]}\" in\n",
              "    help) COMPREPLY=($(compgen -W \"", joined(names), "\" -- \"$word\")); return ;;\n", cases,
              "  esac\n",
              "  case \"$word\" in\n",
              "    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$word\")) ;;\n",
              "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n",
              "  esac\n",
              "}\n",
              "complete -o filenames -F _", program, " ", program, "\n");
}

}  // namespace colonnade
