// colonnade: finds the subcommand, parses its options and runs it.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "coordinator/cli/command.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/version.h"

namespace colonnade::cli {
namespace {

constexpr const char* kProgram = "colonnade";

std::string overview() {
  std::string out = "Serves large sparse transformer models from ordinary CPUs.\n\nusage: colonnade COMMAND [options]\n\ncommands:\n";
  for (const Command* command : all_commands()) {
    std::string name = command->spec.name;
    name.resize(std::max<std::size_t>(name.size() + 1, 14), ' ');
    out += text("  ", name, command->spec.summary, "\n");
  }
  return out + "\nMore about one: colonnade help COMMAND. The version: colonnade --version.\n";
}

void print(const std::string& out) { std::fwrite(out.data(), 1, out.size(), stdout); }

const Command* find_command(std::string_view name) {
  for (const Command* command : all_commands())
    if (command->spec.name == name) return command;
  return nullptr;
}

Error unknown_command(std::string_view name) {
  std::vector<std::string> names;
  for (const Command* command : all_commands()) names.push_back(command->spec.name);
  const std::string near = nearest_word(name, names);
  return {ErrorCode::kInvalidArgument,
          text("unknown command \"", name, "\"; ",
               near.empty() ? "colonnade --help lists them" : "did you mean " + near + "?")};
}

void apply_log_level(const std::string& name) {
  set_log_level(name == "debug"     ? LogLevel::kDebug
                : name == "warning" ? LogLevel::kWarning
                : name == "error"   ? LogLevel::kError
                                    : LogLevel::kInfo);
}

bool asks_for_help(const std::vector<std::string>& arguments) {
  const auto end = std::find(arguments.begin(), arguments.end(), "--");
  return std::any_of(arguments.begin(), end, [](const std::string& a) { return a == "--help" || a == "-h"; });
}

int run_program(std::vector<std::string> arguments) {
  if (arguments.empty()) {
    print(overview());
    return 2;
  }
  const std::string name = arguments[0];
  arguments.erase(arguments.begin());
  if (name == "--version" || name == "version") {
    print(text("colonnade ", kVersion, "\n"));
    return 0;
  }
  if (name == "--help" || name == "-h" || name == "help") {
    if (arguments.empty()) {
      print(overview());
      return 0;
    }
    const Command* command = find_command(arguments[0]);
    if (command == nullptr) return fail(unknown_command(arguments[0]));
    print(help_text(command->spec, kProgram));
    return 0;
  }
  const Command* command = find_command(name);
  if (command == nullptr) return fail(unknown_command(name));
  if (asks_for_help(arguments)) {
    print(help_text(command->spec, kProgram));
    return 0;
  }
  const auto options =
      parse_options(command->spec, arguments, [](const char* variable) { return std::getenv(variable); });
  if (!options.ok()) return fail({options.error().code, text(name, ": ", options.error().message)});
  apply_log_level(options->text("log-level"));
  return command->run(*options);
}

}  // namespace

int fail(const Error& error) {
  std::fflush(stdout);
  std::fprintf(stderr, "colonnade: %s\n", error.message.c_str());
  return error.code == ErrorCode::kInvalidArgument ? 2 : 1;
}

}  // namespace colonnade::cli

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error like a full disk, which names the file
  int status = 1;
  try {
    status = colonnade::cli::run_program(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    // Libraries throw for what cannot be a Result, such as memory that has run out.
    status = colonnade::cli::fail({colonnade::ErrorCode::kExhausted, error.what()});
  }
  // Output that could not be written (a full disk, say) is no success.
  if ((std::fflush(stdout) != 0 || std::ferror(stdout) != 0) && status == 0)
    status = colonnade::cli::fail({colonnade::ErrorCode::kIo, "standard output: could not write all of it"});
  return status;
}
