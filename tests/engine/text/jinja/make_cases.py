#!/usr/bin/python3
"""Writes cases.jsonl: small templates and what Python's Jinja2 (Debian's python3-jinja2 3.1.2), configured as Hugging Face
transformers does it, makes of them. usage: make_cases.py > cases.jsonl

The first line has the variables that all cases see and the time; every other is [template, expected], with null where rendering fails.
"""
import copy
import datetime
import itertools
import json
import sys

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2025, 3, 4, 15, 6, 7)


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_run"), [], [], body).set_lineno(line)

    def _run(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


ENVIRONMENT = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
ENVIRONMENT.filters["tojson"] = tojson
ENVIRONMENT.globals["raise_exception"] = raise_exception
ENVIRONMENT.globals["strftime_now"] = NOW.strftime

VARIABLES = {
    "s": "Hello World", "e": "", "u": "Größe ÉCOLE straße 你好 🙂", "w": "  a b\t c \n", "lines": "one\n  two\n\nthree\r\nfour\n",
    "html": "<b>\"x\" & 'y'</b> <!-- c -->  z", "num": "42", "fnum": " 4.50 ", "csv": "a,b,,c", "i": 7, "neg": -3, "zero": 0, "f": 2.5,
    "big": 1e22, "small": 1.5e-7, "t": True, "no": False, "n": None, "l": [3, 1, 2], "words": ["b", "A", "c", "a", "B"],
    "nested": [[1, 2], [3, [4]]], "empty": [], "d": {"b": 1, "a": {"x": [1, None, True]}, "items": "key", "c d": 2.0}, "ed": {},
    "users": [{"name": "Zoe", "age": 30, "tags": ["x"]}, {"name": "adam", "age": 25}, {"name": "Bob", "age": 30, "tags": []}],
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nYo"}],
}
SCALARS = ["s", "e", "u", "w", "num", "i", "neg", "f", "big", "t", "n", "undefined_name"]
ALL = list(VARIABLES) + ["undefined_name", "(1, 'a')", "l|map('string')", "range(3)", "d.items()", "users[0]", "'x'|safe"]

EXPRESSIONS = []


def add(*expressions):
    EXPRESSIONS.extend("{{ " + expression + " }}" for expression in expressions)


# Every filter without arguments and every test on every kind of value.
PLAIN_FILTERS = ("abs capitalize center count d default dictsort e escape filesizeformat first float forceescape indent int items join last length "
                 "list lower max min reverse round safe sort string striptags sum title tojson trim truncate unique upper urlencode wordcount "
                 "xmlattr map select reject batch slice groupby replace format attr selectattr").split()
for name, value in itertools.product(PLAIN_FILTERS, ALL):
    add(f"{value}|{name}" + ("|list" if name in ("items", "unique", "map", "select", "reject", "selectattr") else ""))
EXPRESSIONS.remove("{{ big|int }}")  # of more than 64 bits
EXPRESSIONS.remove("{{ l|map('string')|wordcount }}")  # of an address
PLAIN_TESTS = ("boolean callable defined escaped even false float integer iterable lower mapping none number odd sequence string true undefined "
               "upper").split()
for name, value in itertools.product(PLAIN_TESTS, ALL):
    add(f"{value} is {name}")
for test, value in itertools.product(["in [1, 7, 'Hello World', none]", "eq 7", "ne 7", "gt 2", "lt 3", "ge 7", "le 7", "divisibleby 7", "sameas none",
                                      "sameas true", "equalto 'x'", "filter", "test", "in 'Hello World!'"], SCALARS + ["'upper'", "'odd'"]):
    add(f"{value} is {test}", f"{value} is not {test}")
# Operators over all pairs of some values.
OPERANDS = ["7", "-3", "0", "2.5", "true", "none", "'ab'", "[1]", "(1,)", "{'a': 1}", "undefined_name", "'x'|safe", "1e16"]
for operator, left, right in itertools.product(["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"],
                                               OPERANDS, OPERANDS):
    if operator == "**" and (left, right) == ("-3", "2.5"):  # a complex number
        continue
    if operator == "*" and "1e16" in (left, right) or (operator, left) == ("**", "1e16") or (operator == "**" and right == "1e16"):
        continue
    add(f"({left}) {operator} ({right})")
for value in OPERANDS:
    add(f"-({value})", f"+({value})", f"not ({value})", f"({value}) ~ '|' ~ [{value}]", f"[{value}, ({value},), {{'k': {value}}}]|string",
        f"({value}).x", f"({value})['x']", f"({value})[0]", f"({value})()", f"({value}) if zero else 'no'", f"({value}) if zero")
add("'ab'[-1:]", "[1][-1:]", "(1,)[-1:]", "('x'|safe)[-1:]")  # slices of constants that have none give nothing, of others fail
add("1 + 2 * 3 - 4 / 2 // 1 ** 2", "-2 ** 2", "2 ** 3 ** 2", "2 ** -1", "7 // -2", "-7 % 3", "7.5 % -2", "-7.5 // 2", "1 < 2 < 3", "1 < 3 < 2",
    "1 == 1.0 == true", "not 1 == 2", "not true and false", "1 ~ 2 + 3", "'a' ~ 1 * 2", "i|string + 'x'", "-i|abs", "-1|abs", "(-1)|abs",
    "1 if true else 2 if false else 3", "'yes' if s is string and i is not none else 'no'", "5 in l or 3 in l", "'a' 'b' \"c\"", "1_000 + 0x1f + 0b11 + 0o17",
    "1.5e3", "1e-5", "0.1 + 0.2", "1e15", "1e16", "123456789012345678", "1/3", "100000000000000000.0", "2.0", "-0.0", "1e300 * 1e10", "00", "1__0", "[1,2,]", "{'a':1,}",
    "()", "(1,)", "1, 2", "[]", "{}", "{1: 2, 'a': [none], (1,2): 3}", "'\\n\\t\\\\\\'\\x41\\u00e9\\d'", "\"it's\"", "'a\"b\\'c'|list|string",
    "['a\\nb', 'é', '\\x00\\x7f', \"it's\", '\"', '🙂']|string", "s.missing", "s.missing.more", "undefined_name.x", "d.items", "d['items']", "d.b", "d.a.x[1]", "d['c d']", "d.nope",
    "l.0", "l[5]", "l['x']", "d[l]", "n.x", "i.x", "s['upper']()", "s.upper", "raise_exception('no')", "strftime_now('%d %B %Y %H:%M:%S %j %a %b %y %I %p %%')",
    "strftime_now('%-d %e')", "range(5)|list", "range(2, 10, 3)|list", "range(5, 0, -2)|list", "range(0)", "range(1, 4)", "range(1, 9, 2)[1:]", "range(200000)", "range('a')", "range(10)[3]",
    "dict(a=1, b=2)", "dict(d, z=1)", "dict([('a', 1)])", "dict([1])", "namespace(a=1).a", "namespace(d).b", "namespace().a", "cycler('a','b').next()", "joiner('|')()",
    "loop is defined", "messages[-1].content.split('</think>')[-1].lstrip('\\n')", "users|map(attribute='tags.0')|list", "d|length", "e or 'x'", "none or 0 or []", "l and e",
    "(l|length) % 2 == 1", "users|selectattr('age', 'gt', 26)|map(attribute='name')|join(', ')", "[1, 2] + [3]", "[1] * 3", "3 * 'ab'", "'ab' * -1", "[1] + (2,)", "l == [3, 1, 2]", "{'a': 1} == dict(a=1)",
    "'b' in d", "1 in d", "[1] in [[1]]", "'' in s", "1 in 'a'", "none in [none]", "none is none", "true == 1", "1 is true", "'a' < 'b'", "'a' < 1", "[1, 2] < [1, 3]", "none < 1", "(1, 2) < (1, 'a')", "d < d")

STRING_METHODS = {
    "capitalize": [""], "casefold": [""], "center": ["20", "20, '*'", "3", "21, '-'"], "count": ["'l'", "'o', 5", "''", "'l', 3, -1"], "endswith": ["'d'", "('x', 'ld')", "'lo', 0, 5", "1"],
    "expandtabs": ["", "4"], "find": ["'o'", "'o', 5", "'zz'", "'o', -4", "''"], "format": ["", "1", "x=1"], "index": ["'o'", "'zz'"], "isalnum": [""], "isalpha": [""], "isascii": [""], "isdecimal": [""],
    "isdigit": [""], "isidentifier": [""], "islower": [""], "isnumeric": [""], "isprintable": [""], "isspace": [""], "istitle": [""], "isupper": [""], "join": ["['a', 'b']", "'xyz'", "[1]", "[]"],
    "ljust": ["15", "15, '.'"], "lower": [""], "lstrip": ["", "'He '", "none"], "partition": ["' '", "'zz'", "''"], "removeprefix": ["'He'", "'x'"], "removesuffix": ["'ld'", "'x'"],
    "replace": ["'o', '0'", "'o', '0', 1", "'', '-'", "'l', ''", "'', '-', 2", "'o'"], "rfind": ["'o'", "'o', 0, 5"], "rindex": ["'o'", "'q'"], "rjust": ["15", "15, '.'"], "rpartition": ["' '", "'zz'"],
    "rsplit": ["", "' ', 1", "'o'", "none, 1", "maxsplit=1"], "rstrip": ["", "'dlr'"], "split": ["", "' '", "'o', 1", "none, 1", "','", "''", "sep=',', maxsplit=2", "maxsplit=1"],
    "splitlines": ["", "true"], "startswith": ["'He'", "('x', 'Hel')", "'Wo', 6", "[]"], "strip": ["", "'Hd'", "' \\n'"], "swapcase": [""], "title": [""], "upper": [""], "zfill": ["15", "3"], "nope": [""],
    "encode": [], "format_map": ["{'x': 1}"], "maketrans": [],
}
for name, arguments in STRING_METHODS.items():
    for argument, value in itertools.product(arguments, ["s", "e", "u", "w", "csv", "lines", "num", "'-4.5'", "'ǆ ß ﬁ Σ ΟΔΟΣ İi'", "'a-b c_d 1e'", "'<>'|safe"]):
        add(f"({value}).{name}({argument})")
for expression in ["l.index(1)", "l.index(9)", "l.count(1)", "l.append(1)", "l.copy()", "l.sort()", "(1, 2, 1).count(1)", "(1, 2).index(2)", "d.get('b')", "d.get('zz')", "d.get('zz', 5)", "d.get()", "d.get(l)",
                   "d.keys()", "d.values()", "d.items()", "d.keys()|list", "d.items()|list|first", "d.copy()", "d.pop('b')", "d.update({})", "d.setdefault('q', 1)", "d.clear()", "f.is_integer()", "(2.0).is_integer()",
                   "d.keys()|length", "d.values()|list", "d.items()[0]", "'b' in d.keys()", "d.get", "l.append", "l.append is defined"]:
    add(expression)

for expression in ["'%s' % 1", "'%s %s' % (1, 'a')", "'%d' % 3.7", "'%5d|%-5d|%05d' % (1, 2, 3)", "'%.2f' % f", "'%5.1f|' % f", "'%e %E %g %G' % (f, f, big, small)", "'%x %X %o %#x %#o' % (255, 255, 8, 255, 8)", "'%r %a' % ('a', 'b')",
                   "'%(b)s %(b)03d' % d", "'%%' % ()", "'%s'", "'%s %s' % 1", "'%s' % (1, 2)", "'%d' % 'a'", "'%c%c' % ('a', 98)", "'%+d % d' % (1, 2)", "'%10s|%-10s|' % ('a', 'b')", "'%.3s' % s", "'%*d' % (5, 1)", "'%s' % l", "'%s' % d",
                   "'%s' % (l,)", "'a' % 1", "'a' % d", "'%y' % 1", "'%' % 1", "'%(zz)s' % d", "'%.0f' % 0.5", "'%.0f' % 1.5", "'%i' % -3", "'%+.2e' % 12345.678", "'%s' % none", "'%05s' % 'a'", "'%#.3g' % 1.0", "'%08.3f' % -3.14159",
                   "'{} {}'.format(1, 'a')", "'{0} {1} {0}'.format(1, 2)", "'{a} {b}'.format(a=1, b=none)", "'{:>5}|{:<5}|{:^5}|'.format(1, 2, 3)", "'{:*^9}'.format('mid')", "'{:05d} {:+d} {: d}'.format(1, 2, 3)", "'{:.2f} {:.3}'.format(f, s)",
                   "'{:,} {:_}'.format(1234567, 1234567)", "'{:x} {:#x} {:b} {:o} {:X}'.format(255, 255, 5, 8, 255)", "'{!r} {!s}'.format('a', 'b')", "'{0[0]} {1[b]} {1.b}'.format(l, d)", "'{{}} {}'.format(1)", "'{}'.format()", "'{'.format(1)",
                   "'}'.format(1)", "'{:d}'.format('a')", "'{:s}'.format(1)", "'{:%}'.format(0.25)", "'{:e} {:g} {:G}'.format(f, big, small)", "'{:10.3f}|'.format(3.14159)", "'{:<10}|'.format(none)", "'{:>{}}'.format(1, 5)", "'{:>{w}}'.format(1, w=4)",
                   "'{:.3}'.format(3.14159)", "'{:5}|'.format(true)", "'{}'.format(true)", "'{:d}'.format(true)", "'{:n}'.format(5)", "'{:c}'.format(65)", "'{:=+6d}'.format(3)", "'{:06}'.format(-2.5)", "'{:.1f}'.format(2)", "'{:,.2f}'.format(1234567.891)",
                   "'{}'.format(d)", "'{a.b}'.format(a=d)", "'{:.0f}'.format(2.5)", "'{:.4}'.format(1e10)", "'{:.4}'.format(100.0)", "'{:g}'.format(100000)", "'{:g}'.format(1e6)", "'{:10}|'.format('a')", "'{:010}'.format(1)", "'{:<05d}|'.format(7)",
                   "'%s %s'|format(1, 2)", "'%(a)s'|format(a=1)", "'%d'|format('x')", "'{}'|format(1)"]:
    add(expression)

FILTER_ARGUMENTS = [
    "s|center(20)", "s|center(width=15)", "none|default('x')", "undefined_name|default('x')", "e|default('x')", "e|default('x', true)", "e|d('x', boolean=true)", "undefined_name.x|default('y')", "d|dictsort(true)", "d|dictsort(by='value')",
    "{'b': 1, 'A': 2, 'c': 0}|dictsort", "{'b': 1, 'A': 2, 'c': 0}|dictsort(true)", "{'b': 1, 'A': 2, 'c': 0}|dictsort(false, 'value')", "{'b': 1, 'A': 2}|dictsort(reverse=true)", "{'b': 1}|dictsort(by='x')", "1000000|filesizeformat", "1|filesizeformat",
    "2048|filesizeformat(true)", "1500000000|filesizeformat", "999|filesizeformat", "'123456'|filesizeformat", "1e30|filesizeformat", "lines|indent", "lines|indent(2)", "lines|indent(2, true)", "lines|indent(2, true, true)", "lines|indent('> ')", "lines|indent(first=true)",
    "lines|indent(blank=true)", "e|indent(2, true)", "s|indent", "'a\\n'|indent(2)", "'\\n'|indent(2, true, true)", "'a\\r'|indent(2, blank=true)", "num|int", "'x'|int", "'x'|int(5)", "'0x1f'|int(0, 16)", "'1f'|int(base=16)", "'0b11'|int(base=2)", "'42.9'|int", "' 12 '|int", "'1_0'|int", "none|int", "n|int(-1)",
    "f|int", "-2.7|int", "(-2.7)|int", "'1e3'|int", "'inf'|float", "'nan'|float", "fnum|float", "'x'|float", "'x'|float(1.5)", "'1_0.5'|float", "l|int", "true|int", "true|float", "'010'|int(base=0)", "'z'|int(base=36)", "words|join", "words|join('-')", "users|join(', ', 'name')", "users|join(attribute='age')", "l|join(1)",
    "[1, none, 'a', undefined_name]|join('|')", "'abc'|join('.')", "d|join(',')", "l|max", "words|max", "words|max(true)", "users|max(attribute='age')", "empty|max", "[1, 'a']|max", "words|min(case_sensitive=true)", "users|min(attribute='name')", "users|map(attribute='name')|list",
    "users|map(attribute='zz', default='?')|list", "words|map('upper')|list", "words|map('replace', 'a', 'x')|list", "words|map('nope')|list", "users|map('tojson')|join", "l|map('string')|map('length')|list", "empty|map('nope')|list", "users|map(attribute='name', foo=1)|list", "l|select('odd')|list",
    "l|select('gt', 1)|list", "l|select('>', 1)|list", "[0, 1, '', 'a', none]|select|list", "[0, 1]|reject|list", "l|reject('eq', 1)|list", "l|select('nope')|list", "users|selectattr('tags')|list|length", "users|rejectattr('tags')|list|length", "users|selectattr('age', 'equalto', 30)|map(attribute='name')|list",
    "users|rejectattr('name', 'in', ['Bob'])|list|length", "messages|selectattr('role', '==', 'user')|list", "s|replace('l', 'L')", "s|replace('l', 'L', 1)", "s|replace('', '.')", "12321|replace('2', 'x')", "12321|replace(2, 5)", "l|reverse|list", "s|reverse", "d|reverse|list", "u|reverse", "42.55|round",
    "42.55|round(1)", "42.55|round(1, 'floor')", "42.55|round(1, 'ceil')", "42|round", "2.5|round", "3.5|round", "-2.5|round", "2.675|round(2)", "1234.5|round(-2)", "1250|round(-2)", "1350|round(-2)", "f|round(0, 'x')", "42.1|round|int", "l|slice(2)|list", "[1,2,3,4,5]|slice(3)|list", "[1,2,3,4,5]|slice(3, 'x')|list",
    "[1,2,3,4,5]|batch(2)|list", "[1,2,3,4,5]|batch(2, 'x')|list", "l|batch(0)|list", "words|sort", "words|sort(true)", "words|sort(case_sensitive=true)", "users|sort(attribute='age')|map(attribute='name')|list", "users|sort(attribute='age,name')|map(attribute='name')|list",
    "users|sort(reverse=true, attribute='age')|map(attribute='name')|list", "[1, 'a']|sort", "[none, 1]|sort", "[[2, 1], [1, 2]]|sort", "[3.5, 1, true]|sort", "l|sum", "l|sum(start=10)", "users|sum('age')", "users|sum(attribute='age', start=5)", "words|sum", "nested|sum(start=[])", "s|title", "\"it's a (test) foo-bar [x] <y>\"|title",
    "u|title", "w|trim", "s|trim('Hd')", "'xxaxx'|trim('x')", "s|truncate(5)", "s|truncate(5, true)", "s|truncate(8, true, '..')", "s|truncate(3, leeway=0)", "s|truncate(9, leeway=0)", "s|truncate(5, false, '')", "s|truncate(2)", "words|unique|list", "words|unique(true)|list", "[1, 1.0, true, 2]|unique|list",
    "users|unique(attribute='age')|map(attribute='name')|list", "[[1]]|unique|list", "'a b&c/d?e=é'|urlencode", "{'a b': 1, 'c': 'x/y'}|urlencode", "[('a', 1)]|urlencode", "l|urlencode", "s|wordcount", "u|wordcount", "'a_b c-d 1'|wordcount", "{'a': 1, 'b': none, 'c': '<'}|xmlattr", "{'a': 1}|xmlattr(false)", "{'a b': 1}|xmlattr",
    "users|groupby('age')|list", "users|groupby('age')|map(attribute='grouper')|list", "users|groupby('name')|map('first')|list", "users|groupby('tags', default=[])|list|length", "['a','B','A']|groupby('zz', default='q')|list", "d|tojson", "d|tojson(indent=2)", "d|tojson(indent=0)", "[]|tojson(indent=2)", "{}|tojson(indent=2)",
    "u|tojson", "u|tojson(ensure_ascii=true)", "u|tojson(true)", "{'b': 1, 'a': 2}|tojson(sort_keys=true)", "{'b': 1, 'a': [1, 2]}|tojson(separators=(',', ':'))", "{'b': [1]}|tojson(indent=2, separators=(', ', ' = '))", "d|tojson(indent='\\t')", "[1.0, 1e16, 1e-7, true, none, 'a\"\\n\\t\\x01\\x7f/']|tojson", "{1: 2, none: 3, true: 4, 1.5: 5}|tojson",
    "(1, 2)|tojson", "undefined_name|tojson", "range(3)|tojson", "d.items()|tojson", "l|map('string')|tojson", "'</script>'|tojson", "html|escape", "html|safe|escape", "html|escape|escape", "html|e|forceescape", "html|striptags", "('a'|safe) + '<b>'", "'<b>' + ('a'|safe)", "('<i>'|safe) ~ '<b>'", "('%s'|safe) % '<b>'", "('<{}>'|safe).format('<b>')",
    "('a'|safe).join(['<', '>'])", "(['<'|safe, '>'])|join('&')", "('<'|safe) == '<'", "('a<'|safe)|upper", "('a'|safe)|replace('a', '<')", "('a'|safe).replace('a', '<')", "['<'|safe]", "('<'|safe)|tojson", "('<'|safe) * 2", "('<a>'|safe)|length", "l|first", "empty|first", "empty|last", "s|first", "s|last", "d|first", "d|last", "(l|map('string'))|first",
    "(l|map('string'))|last", "(l|map('string'))|length", "n|first", "d|items|list", "n|items", "undefined_name|items|list", "l|attr('count')", "d|attr('b')", "d|attr('get')('b')", "l|list", "s|list", "i|list", "d|list", "(2, 3)|list", "l|length", "i|length", "u|length", "s|string|upper|lower|capitalize", "u|capitalize", "u|upper", "u|lower",
    "s|nope", "s is nope", "s is divisibleby(3)", "9 is divisibleby 3", "9 is divisibleby(num=2)", "s is in(['Hello World'])", "l is sameas l", "s|upper is upper", "not s is string", "s is not string", "s is string is string", "i is number and s is string", "e is string or n", "3 is odd if t else 4", "i is eq 7 and true",
    "s[0]", "s[-1]", "s[1:4]", "s[:-1]", "s[::-1]", "s[::2]", "s[8:2:-2]", "s[100]", "s[100:]", "s[-100:3]", "u[2:5]", "u[-1]", "u[::-1]", "l[1:]", "l[:-1]", "l[::-1]", "l[::2]", "l[5:]", "l[-2:]", "(1,2,3)[1:]", "d[1:]", "i[1:]", "undefined_name[1:]", "l['a':]", "l[1.0:]", "l[::0]", "l[none:2]", "l[t]", "nested[1][1][0]", "s[1, 2]", "l[1:2, 3]",
]
add(*FILTER_ARGUMENTS)

STATEMENTS = [
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ x }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}-{{ loop.nextitem }}-{{ loop.cycle('a', 'b') }}-{{ loop.depth }}{{ loop.depth0 }};{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}", "{% for x in [1, 1, 2] %}{% if loop.changed(x, 'a') %}{{ x }}{% endif %}{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }};{% endfor %}", "{% for c in u %}{{ c }}.{% endfor %}", "{% for x in empty %}a{% else %}none{% endfor %}", "{% for x in l %}a{% else %}none{% endfor %}",
    "{% for x in undefined_name %}a{% else %}none{% endfor %}", "{% for x in i %}a{% endfor %}", "{% for x in n %}a{% endfor %}", "{% for a, b in [[1, 2], (3, 4)] %}{{ a }}{{ b }}{% endfor %}", "{% for a, b in [[1]] %}{% endfor %}", "{% for a, (b, c) in [[1, [2, 3]]] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index }}:{{ x }}/{{ loop.length }} {% endfor %}", "{% for x in l if x > 9 %}{% else %}none{% endfor %}", "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{{ loop.index }};{% endfor %}", "{% for x in l %}{% if x == 3 %}{% break %}{% endif %}{% else %}e{% endfor %}",
    "{% for x in nested recursive %}{{ loop.depth }}{% if x is iterable %}[{{ loop(x) }}]{% else %}{{ x }}{% endif %}{% endfor %}", "{% for x in l recursive %}{{ loop.depth }}{% endfor %}", "{% for x in l %}{{ loop(l) }}{% endfor %}", "{% for x in l %}{{ loop }}{% endfor %}",
    "{% set x = 1 %}{% for y in l %}{{ x }}{% set x = y %}{{ x }}{% endfor %}{{ x }}", "{% set ns = namespace(x=0) %}{% for y in l %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}", "{% set ns.x = 1 %}", "{% set q = 1 %}{% set q.x = 1 %}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, b = [1] %}",
    "{% set a = b = 1 %}", "{% set x %}a{{ s }}b{% endset %}{{ x }}", "{% set x | upper | replace('L', '_') %}a{{ s }}b{% endset %}{{ x }}", "{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y }}", "{% if true %}{% set x = 1 %}{% endif %}{{ x }}", "{% if no %}{% set s = 1 %}{% endif %}{{ s }}",
    "{% if e %}a{% elif l %}b{% else %}c{% endif %}", "{% if e %}a{% elif n %}b{% else %}c{% endif %}", "{% if undefined_name %}a{% endif %}b", "{% if undefined_name.x %}a{% endif %}", "{% with a = 1, b = s %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set z = 1 %}{{ z }}{% endwith %}{{ z }}", "{% with a = 1 %}{% with b = a %}{{ b }}{% endwith %}{% endwith %}",
    "{% set a = 5 %}{% with a = 1, b = a %}{{ b }}{% endwith %}", "{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, 3) }}|{{ m(c=1, a=0) }}|{{ m() }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}",
    "{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1, 2, 3) }}", "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}", "{% macro m(a) %}{{ a is defined }}{{ a }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}{% set x = 2 %}{{ m() }}", "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}in{{ s }}{% endcall %}",
    "{% macro m() %}[{{ caller(1, b=2) }}]{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}", "{% macro m() %}[{{ caller() }}]{% endmacro %}{{ m() }}", "{% macro m(x) %}{% if x %}{{ x }}{{ m(x - 1) }}{% endif %}{% endmacro %}{{ m(3) }}", "{% macro m() %}{% set y = 1 %}{{ y }}{% endmacro %}{{ m() }}{{ y }}", "{% macro m() %}a{% endmacro %}{{ m }}{{ m.name }}{{ m.arguments }}",
    "{% macro outer() %}{% macro inner() %}i{{ s }}{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}", "{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m(x) %}{{ x }}{% endmacro %}{{ m('<b>')|upper }}{{ m(1) is string }}", "{% macro m() %}{{ kwargs.items()|list }}{% endmacro %}{{ m(a=1, b=2) }}", "{{ undefined_name() }}", "{{ s() }}",
    "{% filter upper %}a{{ s }}{% endfilter %}", "{% filter replace('a', 'b')|upper %}banana{% endfilter %}", "{% filter indent(2) %}a\nb\n{% endfilter %}", "{% generation %}a{{ s }}{% set g = 1 %}{% endgeneration %}{{ g }}", "{% raw %}{{ a }}{% if %}{% endraw %}b", "{%- raw -%}  {{ x }}  {%- endraw -%}  b", "a{# comment #}b", "a {#- comment -#} b", "{% block x %}a{% endblock %}b",
    "{% print s %}", "{% print s, i %}", "{% do l.append(1) %}", "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% nope %}", "{% if %}{% endif %}", "{% if s %}", "{% for x in l %}", "{% endif %}", "{{ }}", "{{ s", "{% set x = %}", "{{ s | }}", "{{ 1 + }}", "{{ (1 }}", "{{ [1 }}", "{{ 'a }}", "{{ a b }}", "{{ 'a' ! }}", "{# x", "{% raw %}", "{{ 1 if }}", "{% break %}",
    "{% for loop in l %}{% endfor %}", "{% set true = 1 %}", "{% set 1 = 1 %}", "{% macro %}{% endmacro %}", "{% call s %}{% endcall %}", "a\n{% if s %}\nb\n{% endif %}\nc\n", "a\n  {% if s %}  \n  b\n  {% endif %}\n  c\n\n", "a\n  {%- if s -%}  \n  b\n  {%- endif -%}\n  c", "a\n  {%+ if s %}\n  b\n  {%+ endif +%}\n  c", "  {{ s }}\n  {{- s -}}  \n x", "  {# c #}\n  a {# c #}\nb",
    "\t{% if s %}\tx{% endif %}\n", "x {% if s %}\n\n\ny{% endif %}", "\r\na\r\nb\rc\n", "{{ 'a\r\nb' }}", "a\n\n", "\n", "", "{% if s %}a{% endif %}\n\nb", "{{ s }}\n", "{% for x in l -%}\n  {{ x }}\n{%- endfor %}", "{%- for x in l %}\n {{ x }}\n{% endfor -%} z", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.reset() }}{{ c.current }}", "{% set j = joiner() %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}",
    "{{ {'a': {'b': 1}}.a.b }}", "{{ {'a': '}}'}.a }}", "{{ '{{' }}{{ '%}' }}", "{% if '%}' %}x{% endif %}", "{{ s }}}", "{ {s} }{", "{{{'a': 1}['a']}}", "{% set x = {'a': 1, 'b': [1, 2]} %}{{ x.b[1] }}", "{{ l|map('string')|list }}{% set g = l|map('string') %}{{ g|join }}{{ g|join }}", "{% set g = l|select('odd') %}{% if g %}yes{% endif %}", "{% set g = empty|select('odd') %}{% if g %}yes{% endif %}",
    "{% for m in messages %}{% if m['content'] is string %}{{ '<|' + m['role'] + '|>\\n' + m['content'] | trim + '\\n' }}{% endif %}{% endfor %}", "{%- for m in messages[::-1] %}{{ loop.index0 }}{{ (messages|length - 1) - loop.index0 }}{{ m.role }}{%- endfor %}", "{% for x in l %}{% set y = loop %}{% for z in [1] %}{{ y.index }}{{ loop.index }}{% endfor %}{% endfor %}",
    "{% set f = s.upper %}{{ f() }}", "{{ (s.split)(' ') }}", "{{ dict(**d) }}", "{{ dict(**l) }}", "{{ range(*[1, 4])|list }}", "{{ dict(a=1, a=2) }}", "{{ s.replace(*['l', 'x']) }}", "{% if s is defined and s is not none and s|length > 3 %}ok{% endif %}", "{{ undefined_name ~ 'x' }}", "{{ undefined_name + 'x' }}", "{{ 'x' + undefined_name }}", "{{ 'x' + n }}", "{{ [undefined_name] }}", "{{ undefined_name == undefined_other }}", "{{ undefined_name == none }}",
    "{% for x in 'ab' %}{{ x * 2 }}{% endfor %}", "{% for x in range(3) %}{{ x }}{% endfor %}", "{% set x = 5 if no %}{{ x is defined }}", "{% set x = (1, 2) %}{{ x }}", "{% set x = 1, 2 %}{{ x }}", "{{ 1, }}", "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}", "{% for x in l if loop.first %}{% endfor %}", "{% if s %}{% else %}{% endif %}x", "{% if s -%}\n a \n{%- endif %}", "{{- ' a ' -}}", "x{{ '' }}y", "{%- set x = 1 -%}\n\n{{ x }}", "{{ loop.index }}",
    "{% macro a() %}{{ caller() }}{% endmacro %}{% macro b() %}{% call a() %}x{% endcall %}{% endmacro %}{{ b() }}", "{% macro a(x=caller) %}{% endmacro %}{{ a() }}", "{% macro a(caller=none) %}{{ caller }}{% endmacro %}{{ a() }}", "{% set ns = namespace() %}{% set ns.a %}block{% endset %}{{ ns.a }}", "{{ namespace(a=1) is defined }}", "{% set ns = namespace(l=[]) %}{% for x in l %}{% set ns.l = ns.l + [x] %}{% endfor %}{{ ns.l }}",
    "{% autoescape false %}{{ '<' }}{% endautoescape %}" if False else "{{ '<' }}", "{{ 'é'|upper }}{{ 'ß'|upper }}{{ 'ŉ'|title }}{{ 'ǆ'|capitalize }}", "{%if s%}x{%endif%}", "{{s}}{{i}}", "{% for x in l %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}", "{{ '%.2f'|format(3.14159) }}", "{{ 5 // 2 }}{{ 5 / 2 }}{{ 4 / 2 }}{{ 2 ** 3 }}{{ 2 ** 0.5 }}", "{{ -5 // 2 }}{{ -5 % 2 }}{{ 5 % -2 }}",
    "{%- for x in l %}\n\n  {{- x }}  \n\n{%- endfor %}|", "a{% if s %}\nb{% endif %}\nc", "a {% if s +%}\nb{% endif %}", "{# a #}\n{# b #}\nx", "{#- a -#}\n\nx", "x  {#- a #}\n y", "{% raw %}\n a {% endraw %}\n b", "  {% raw +%}{% endraw %}", "{% set a = 'x' -%}   {{ a }}", "  {%- set a = 'x' %}\n   {{ a }}",
]

CASES = []
SEEN = set()
for template in EXPRESSIONS + STATEMENTS:
    if template in SEEN:
        continue
    SEEN.add(template)
    try:
        expected = ENVIRONMENT.from_string(template).render(**copy.deepcopy(VARIABLES))
        expected.encode()
    except Exception:  # pylint: disable=broad-except
        expected = None
    # Addresses of objects, and how functions are called there.
    if expected is not None and (" at 0x" in expected.lower()):
        continue
    CASES.append([template, expected])

json.dump({"now": NOW.isoformat(), "variables": VARIABLES}, sys.stdout, ensure_ascii=False)
sys.stdout.write("\n")
for case in CASES:
    json.dump(case, sys.stdout, ensure_ascii=False)
    sys.stdout.write("\n")
