#include <catch2/catch.hpp>

#include "engine/text/grammar/gbnf.h"
#include "tests/engine/text/grammar/grammar_walk.h"

using namespace colonnade;
using namespace colonnade::engine;
using namespace colonnade::tests;

namespace {

std::shared_ptr<const TokenGrammar> compiled(std::string_view gbnf) {
  const auto grammar = parse_gbnf(gbnf);
  REQUIRE(grammar.ok());
  const auto result = TokenGrammar::compile(*grammar, std::make_shared<TokenTrie>(bytes_and({})));
  if (!result.ok()) FAIL(result.error().message);
  return *result;
}

std::string error_of(std::string_view gbnf) {
  const auto grammar = parse_gbnf(gbnf);
  if (!grammar.ok()) return grammar.error().message;
  const auto result = TokenGrammar::compile(*grammar, std::make_shared<TokenTrie>(bytes_and({})));
  return result.ok() ? "no error" : result.error().message;
}

}  // namespace

TEST_CASE("everything that GBNF knows") {
  const auto g = compiled(R"g(# a comment
root ::= "literal \"\\\n\x41\u00e9\U0001F600" (  # comments and line ends inside of groups
    [a-cX] | [^a-zA-Z0-9\]\-] |
    more-rules {2}
  ) tail?
more-rules ::=
  [0-9]{2,} ";" | [0-9]{,1} "!" | "z"{1,2} | .
tail ::= ("," [-x])+ | " "*
)g");
  const std::string begin = "literal \"\\\nA\xC3\xA9\xF0\x9F\x98\x80";
  for (const char* end : {"a", "X", "_", "\xE2\x82\xAC", "12;123;", "!5!", "zzz", "zz", "k\n", "a,-,x,-", "b   ", "12;!"})
    CHECK(matches(g, begin + end));
  for (const char* end : {"", "d", "]", "-", "1;12;", "12;", "a,y", "55!!"}) {
    INFO(end);
    CHECK_FALSE(matches(g, begin + end));
  }
}

TEST_CASE("grammars that llama.cpp ships mean what they say") {
  const auto arithmetic = compiled(R"g(root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*)g");
  CHECK(matches(arithmetic, "x1 +(3*y) =  5\n"));
  CHECK(matches(arithmetic, "((((1))))=1\n2=2\n"));
  CHECK_FALSE(matches(arithmetic, "x1 +(3*y =  5\n"));
  CHECK_FALSE(matches(arithmetic, "1=1"));
  const auto list = compiled(R"g(root ::= item+

# Excludes various line break characters
item ::= "- " [^\r\n\x0b\x0c\x85\u2028\u2029]+ "\n")g");
  CHECK(matches(list, "- milk\n- \xF0\x9F\xA5\x9A eggs\n"));
  CHECK_FALSE(matches(list, "- milk\xE2\x80\xA8\n"));
  CHECK_FALSE(matches(list, "- \n"));
}

TEST_CASE("mistakes are named with line and column") {
  CHECK(error_of("root ::= \"a") == "grammar, line 1, column 12: expected \"\\\"\" at the end of the literal, found the end");
  CHECK(error_of("root ::= a\nb ::= \"x\"") == "grammar: rule \"a\" is used in line 1 but not defined");
  CHECK(error_of("a ::= \"x\"") == "grammar: expected a rule named \"root\", found none");
  CHECK(error_of("root ::= \"x\"\nroot ::= \"y\"") == "grammar, line 2, column 1: expected a rule that is not defined yet, found \"root ::= \"y\"\"");
  CHECK(error_of("root = \"x\"") == "grammar, line 1, column 6: expected \"::=\", found \"= \"x\"\"");
  CHECK(error_of("root ::= (\"x\"\n") == "grammar, line 2, column 1: expected \")\", found the end");
  CHECK(error_of("root ::= \"x\" )") == "grammar, line 1, column 14: expected a literal, a class, a group or a rule, found \")\"");
  CHECK(error_of("root ::= \"x\"{3,2}") == "grammar, line 1, column 17: expected at least 3 as the largest number of repetitions, found \"}\"");
  CHECK(error_of("root ::= \"x\"{99999999}").find("expected a number of at most 100000") != std::string::npos);
  CHECK(error_of("root ::= [b-a]").find("expected a range whose end is not before its beginning") != std::string::npos);
  CHECK(error_of("root ::= \"\\q\"").find("expected an escape out of") != std::string::npos);
  CHECK(error_of("root ::= \"\\uD800\"").find("expected a Unicode character") != std::string::npos);
  CHECK(error_of("root ::= <think>").find("references to tokens are not supported") != std::string::npos);
  CHECK(error_of("root ::= \"\xFF\"").find("expected UTF-8") != std::string::npos);
  CHECK(error_of("") == "grammar: expected a rule named \"root\", found none");
  CHECK(error_of("root ::= " + std::string(300, '(')).find("at most 200 groups") != std::string::npos);
}

TEST_CASE("grammars without end or beginning are refused") {
  CHECK(error_of("root ::= root \"a\" | \"b\"") == "rule \"root\" is left-recursive: it can begin with itself; put the repetition after what it begins with");
  CHECK(error_of("root ::= \"x\"? a\na ::= b? root \"z\" | \"q\"\nb ::= \"b\"").find("is left-recursive") != std::string::npos);
  CHECK(error_of("root ::= \"a\" root") == "the grammar matches no text at all");
  CHECK(error_of("root ::= []") == "the grammar matches no text at all");
  // A part that leads nowhere is no way to go.
  CHECK(matches(compiled("root ::= \"a\" | \"b\" nowhere\nnowhere ::= \"c\" nowhere"), "a"));
  CHECK_FALSE(matches(compiled("root ::= \"a\" | \"b\" nowhere\nnowhere ::= \"c\" nowhere"), "bc"));
}

TEST_CASE("what grows beyond all bounds is refused, quickly") {
  CHECK(error_of("root ::= (([a-z]{1000} \"x\"){1000} \"y\"){1000}") == "no error");  // counted, not written out
  CHECK(error_of("root ::= a{70000} b{70000}\na ::= [^x]{9}\nb ::= ([a-z] | \"é\" [a-z]){3}").find("too large") != std::string::npos);
  std::string nested = "\"x\"";
  for (int i = 0; i < 100; ++i) nested = "(" + nested + "){4}";
  CHECK(error_of("root ::= " + nested).find("too large") != std::string::npos);
  CHECK(error_of("root ::= ((((()?)*)+){100000}){100000}").find("too large") != std::string::npos);
  std::string chain = "root ::= r0\n";
  for (int i = 0; i < 400; ++i) chain += "r" + std::to_string(i) + " ::= \"[\" [a-z]{20} r" + std::to_string(i + 1) + " \"]\"\n";
  CHECK(error_of(chain + "r400 ::= \"x\"").find("nested too deeply: expected at most 256 rules within each other, found 401") != std::string::npos);
}

TEST_CASE("text up to a marker") {
  GrammarBuilder builder;
  const GrammarExpr until = builder.text_until("</a></a>");
  const auto grammar = TokenGrammar::compile(builder.finish(builder.sequence({until, builder.literal("!")})), std::make_shared<TokenTrie>(bytes_and({})));
  REQUIRE(grammar.ok());
  CHECK(matches(*grammar, "</a></a>!"));
  CHECK(matches(*grammar, "x</a></</a></a>!"));
  CHECK(matches(*grammar, "\xE2\x82\xAC</a></b></a></a>!"));
  CHECK_FALSE(matches(*grammar, "</a></a></a>!"));
  CHECK_FALSE(matches(*grammar, "</a>!"));
}
