// One list describes every option of a command: its name, default, help and check. Flags, the configuration
// file, the environment, --help and shell completion all come from that list.
// Order: default < file (--config FILE, lines "name = value") < environment COLONNADE_NAME < flag.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace colonnade {

enum class OptionKind {
  kFlag,    // --name, --no-name; value "true" or "false"
  kText,
  kInt,
  kNumber,
  kBytes,   // "8G"
  kChoice,  // one of `choices`
};

struct Option {
  std::string name = {};      // "top-k": flag --top-k, environment COLONNADE_TOP_K, file "top-k"
  OptionKind kind = OptionKind::kText;
  std::string default_value = {};  // as text; "" means unset
  std::string value_name = {};  // shown in --help: "N", "FILE", "HOST:PORT"
  std::string help = {};      // one sentence
  std::vector<std::string> choices = {};
  double min = -1e300;        // for kInt, kNumber
  double max = 1e300;
  bool repeatable = false;    // values joined by '\n'
  bool hidden = false;        // not in --help: for processes that start one another
  char short_name = 0;        // 'o' for -o, where people expect one
};

/// Where a value came from: for "what was chosen and why".
enum class OptionSource { kDefault, kFile, kEnvironment, kFlag };

struct Positional {
  std::string name;  // "MODEL"
  std::string help = {};
  bool required = true;
  bool rest = false;  // takes all remaining arguments, joined by '\n'
};

struct CommandSpec {
  std::string name;     // "serve"
  std::string summary;  // one line for the list of commands
  std::string details = {};  // paragraphs and examples for --help
  std::vector<Positional> positionals = {};
  std::vector<Option> options = {};
};

/// The values of one invocation. Getters abort on a name or kind that the spec lacks (a bug of ours); every value
/// was checked when it was parsed.
class Options {
 public:
  bool is_set(std::string_view name) const;  // has a value from anywhere, default included
  OptionSource source(std::string_view name) const;
  bool flag(std::string_view name) const;
  std::string text(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;
  std::uint64_t bytes(std::string_view name) const;
  std::vector<std::string> list(std::string_view name) const;  // repeatable options and rest positionals
  std::string positional(std::string_view name) const;         // "" when absent; numbers that are unset are 0

 private:
  friend class OptionParser;
  struct Value {
    OptionKind kind;
    std::string text;
    OptionSource source;
    bool set;
  };
  const Value& get(std::string_view name) const;
  const std::string& get(std::string_view name, OptionKind kind) const;

  std::map<std::string, Value, std::less<>> values_;
};

/// What every command takes besides its own options: --help, --config, --log-level. Listed by help and completion,
/// accepted by parse_options; acting on --help (before parsing) and on log-level is up to main.
std::span<const Option> standard_options();

/// Parses `arguments` (without program and command name). Unknown or malformed options are kInvalidArgument and
/// name the nearest valid one. `environment` maps a variable's name to its value or nullptr (std::getenv in
/// production).
Result<Options> parse_options(const CommandSpec& spec, std::span<const std::string> arguments,
                              const std::function<const char*(const char*)>& environment);

/// The --help text of a command, 100 columns wide.
std::string help_text(const CommandSpec& spec, std::string_view program);

/// A bash completion script for all commands.
std::string bash_completion(std::span<const CommandSpec> commands, std::string_view program);

/// The candidate with the smallest edit distance to `word`; "" when none is near.
std::string nearest_word(std::string_view word, std::span<const std::string> candidates);

}  // namespace colonnade
