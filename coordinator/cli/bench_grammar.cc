#include "coordinator/cli/bench_grammar.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <memory>
#include <random>
#include <vector>

#include "coordinator/cli/tokenizer_file.h"
#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/text/grammar/gbnf.h"
#include "engine/text/grammar/json_schema.h"
#include "engine/text/grammar/token_grammar.h"

namespace colonnade::cli {
namespace {

struct BenchGrammar {
  const char* name;
  const char* text;  // a schema when it begins with "{", else GBNF
};

constexpr BenchGrammar kGrammars[] = {
    {"any object", R"j({"type": "object"})j"},
    {"a record",
     R"j({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
      "mail": {"type": "string", "format": "email"}, "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "maxItems": 5},
      "score": {"type": "number", "minimum": 0, "maximum": 1}, "note": {"type": ["string", "null"]}}, "required": ["name", "age", "mail", "tags", "score", "note"]})j"},
    {"lengths and patterns",
     R"j({"type": "object", "properties": {"title": {"type": "string", "minLength": 3, "maxLength": 60}, "body": {"type": "string", "maxLength": 500},
      "key": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"}}, "required": ["title", "body", "key"]})j"},
    {"recursion",
     R"j({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"value": {"type": "string"},
      "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}, "required": ["value", "children"]}}})j"},
    {"arithmetic", R"g(root ::= sum "\n"
sum ::= product ([-+] product)*
product ::= atom ([*/] atom)*
atom ::= [0-9]+ | [a-z] [a-z0-9]* | "(" sum ")")g"},
    {"prose in lines", R"g(root ::= ("- " [^\n]+ "\n")+)g"},
    // Every token ends words in several places, and each word may be one of three rules.
    {"ambiguous", R"g(root ::= (one | two | three)+ "."
one ::= [a-z]+ " "?
two ::= [a-m]+ [n-z]* " "
three ::= "(" root ")" | [^.()]+)g"},
};

/// Microseconds of each mask of some walks, and of following the tokens.
struct Times {
  std::vector<double> masks;
  double accept_us = 0;
  double at(double part) {
    std::sort(masks.begin(), masks.end());
    return masks.empty() ? 0 : masks[std::min(masks.size() - 1, static_cast<std::size_t>(part * static_cast<double>(masks.size())))];
  }
  double mean() const {
    double sum = 0;
    for (const double us : masks) sum += us;
    return masks.empty() ? 0 : sum / static_cast<double>(masks.size());
  }
};

constexpr int kWalks = 20;
constexpr int kTokens = 200;

/// Tokens drawn from the masks; short ones are preferred to leave strings and words now and then.
void walk(const std::shared_ptr<const engine::TokenGrammar>& grammar, const engine::TokenTrie& vocabulary, unsigned seed, Times& times) {
  std::mt19937 random(seed);
  engine::GrammarMatcher matcher(grammar);
  std::vector<std::uint32_t> bits(vocabulary.mask_words());
  for (int n = 0; n < kTokens && matcher.may_continue(); ++n) {
    const double before = now_seconds();
    const std::size_t count = matcher.mask(bits);
    times.masks.push_back((now_seconds() - before) * 1e6);
    if (count == 0 || (matcher.may_end() && random() % 4 == 0)) return;
    std::int32_t chosen = -1;
    for (int tries = 0; tries < 4; ++tries) {
      std::size_t skip = random() % count, word = 0;
      while (skip >= static_cast<std::size_t>(std::popcount(bits[word]))) skip -= static_cast<std::size_t>(std::popcount(bits[word++]));
      std::uint32_t left = bits[word];
      for (; skip > 0; --skip) left &= left - 1;
      const auto token = static_cast<std::int32_t>(word * 32) + std::countr_zero(left);
      if (chosen < 0 || vocabulary.bytes(token).size() < vocabulary.bytes(chosen).size()) chosen = token;
    }
    const double then = now_seconds();
    const bool taken = matcher.accept(chosen);
    times.accept_us += (now_seconds() - then) * 1e6;
    if (!taken) return;  // given up: too ambiguous
  }
}

Times walks(const std::shared_ptr<const engine::TokenGrammar>& grammar, const engine::TokenTrie& vocabulary, unsigned first_seed) {
  Times times;
  for (unsigned seed = first_seed; seed < first_seed + kWalks; ++seed) walk(grammar, vocabulary, seed, times);
  return times;
}

Result<engine::Grammar> parse(const char* text) {
  if (text[0] != '{') return engine::parse_gbnf(text);
  COLONNADE_ASSIGN(const OrderedJson schema, parse_ordered_json(text, "schema"));
  return engine::json_schema_grammar(schema);
}

void print(const std::string& format, bool first, bool last, const BenchGrammar& grammar, double compile_ms, Times& cold, Times& other, Times& again,
           std::size_t bytes) {
  const double accept = other.accept_us / std::max(1.0, static_cast<double>(other.masks.size()));
  const double values[] = {compile_ms, cold.mean(), cold.at(1), other.mean(), other.at(0.99), other.at(1), again.mean(), again.at(0.99), accept,
                           static_cast<double>(bytes) / 1048576};
  constexpr const char* kNames[] = {"compile_ms", "first_mean_us", "first_max_us", "other_mean_us", "other_p99_us", "other_max_us",
                                    "again_mean_us", "again_p99_us", "follow_us", "mib"};
  if (format == "md") {
    if (first)
      std::printf("| grammar | compiled, ms | first texts: mean, max µs | other texts: mean, p99, max µs | the same again: mean, p99 µs | following µs | MiB |\n"
                  "| --- | --- | --- | --- | --- | --- | --- |\n");
    std::printf("| %s | %.1f | %.1f, %.0f | %.1f, %.1f, %.0f | %.2f, %.2f | %.2f | %.1f |\n", grammar.name, values[0], values[1], values[2], values[3],
                values[4], values[5], values[6], values[7], values[8], values[9]);
    return;
  }
  if (format == "csv") {
    if (first) {
      std::printf("grammar");
      for (const char* name : kNames) std::printf(",%s", name);
      std::printf("\n");
    }
    std::printf("%s", grammar.name);
    for (const double value : values) std::printf(",%.3f", value);
    std::printf("\n");
    return;
  }
  std::printf("%s{\"grammar\": \"%s\"", first ? "[" : " ", grammar.name);
  for (std::size_t i = 0; i < std::size(values); ++i) std::printf(", \"%s\": %.3f", kNames[i], values[i]);
  std::printf("}%s\n", last ? "]" : ",");
}

}  // namespace

Status bench_grammar(const std::filesystem::path& path, const std::string& format) {
  COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(path));
  const auto vocabulary = std::make_shared<const engine::TokenTrie>(*tokenizer, tokenizer->vocab_size());
  if (format == "md") std::printf("%d tokens\n\n", vocabulary->vocab_size());
  for (const BenchGrammar& one : kGrammars) {
    const double before = now_seconds();
    COLONNADE_ASSIGN(const engine::Grammar grammar, parse(one.text));
    COLONNADE_ASSIGN(const auto compiled, engine::TokenGrammar::compile(grammar, vocabulary));
    const double compile_ms = (now_seconds() - before) * 1e3;
    Times first = walks(compiled, *vocabulary, 1);
    Times other = walks(compiled, *vocabulary, 1 + kWalks);
    Times again = walks(compiled, *vocabulary, 1);
    print(format, &one == std::begin(kGrammars), &one + 1 == std::end(kGrammars), one, compile_ms, first, other, again, compiled->memory_bytes());
    std::fflush(stdout);
  }
  return {};
}

}  // namespace colonnade::cli
