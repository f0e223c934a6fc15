"""Constrained output of the whole program with the demo model: from run and from a server, on one rank and on three.
usage: constrained_test.py PROGRAM DEMO_MODEL"""
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

DEMO = os.path.abspath(sys.argv.pop())
PROGRAM = os.path.abspath(sys.argv.pop())
SCRATCH = tempfile.TemporaryDirectory()
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("COLONNADE_")}
ENVIRONMENT.update(XDG_CACHE_HOME=SCRATCH.name, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 3, "maxLength": 30},
        "age": {"type": "integer", "minimum": 1, "maximum": 12},
        "pets": {"type": "array", "items": {"enum": ["cat", "dog", "bird"]}, "minItems": 2, "maxItems": 4},
        "home": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/place"}]},
    },
    "required": ["name", "age", "pets", "home"],
    "$defs": {"place": {"type": "object", "properties": {"town": {"type": "string", "pattern": "^[A-Z][a-z]{2,9}$"}}, "required": ["town"]}},
}
GRAMMAR = 'root ::= ("yes" | "no") ", " [a-z ]{5,20} "."'


def check(document):
    """SCHEMA, in Python's words."""
    value = json.loads(document)
    assert set(value) == {"name", "age", "pets", "home"}, value
    assert 3 <= len(value["name"]) <= 30, value
    assert type(value["age"]) is int and 1 <= value["age"] <= 12, value
    assert 2 <= len(value["pets"]) <= 4 and set(value["pets"]) <= {"cat", "dog", "bird"}, value
    assert value["home"] is None or re.fullmatch("[A-Z][a-z]{2,9}", value["home"]["town"]), value


def run(*options, prompt="A child and its pets: "):
    done = subprocess.run([PROGRAM, "run", DEMO, prompt, "--max-tokens", "200", *options], capture_output=True, text=True,
                          env=ENVIRONMENT, stdin=subprocess.DEVNULL, timeout=120)
    return done.returncode, done.stdout, done.stderr


def written(name, content):
    path = os.path.join(SCRATCH.name, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    return path


class Run(unittest.TestCase):
    def test_schema_on_any_number_of_ranks(self):
        schema = written("schema.json", json.dumps(SCHEMA))
        for seed in ("1", "2", "3"):
            answers = []
            for ranks in ("1", "3"):
                status, answer, errors = run("--json-schema", schema, "--seed", seed, "--temperature", "1.5", "--ranks", ranks)
                self.assertEqual(status, 0, errors)
                check(answer)
                answers.append(answer)
            self.assertEqual(answers[0], answers[1])

    def test_grammar(self):
        status, answer, errors = run("--grammar", written("answer.gbnf", GRAMMAR), "--temperature", "1")
        self.assertEqual(status, 0, errors)
        self.assertRegex(answer, r"\A(yes|no), [a-z ]{5,20}\.\n\Z")

    def test_mistakes(self):
        status, _, errors = run("--json-schema", written("odd.json", '{"properties": {"a": {"not": {}}}}'))
        self.assertNotEqual(status, 0)
        self.assertIn('JSON schema at #/properties/a: "not" is not supported', errors)
        status, _, errors = run("--grammar", "/no/such/file")
        self.assertNotEqual(status, 0)
        self.assertIn("--grammar /no/such/file: cannot be read", errors)


class Served(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.log = tempfile.NamedTemporaryFile("w+", dir=SCRATCH.name)
        cls.server = subprocess.Popen([PROGRAM, "serve", DEMO, "--port", "0", "--ranks", "3"], stdout=cls.log, stderr=cls.log,
                                      env=ENVIRONMENT, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        found = None
        while found is None and time.monotonic() < deadline and cls.server.poll() is None:
            with open(cls.log.name, encoding="utf-8") as file:
                found = re.search(r"ready after .*: http://127\.0\.0\.1:(\d+)", file.read())
            time.sleep(0.02)
        assert found, "the server did not become ready"
        cls.port = int(found.group(1))

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        cls.server.wait(60)
        cls.log.close()

    def post(self, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return response.status, answer

    def test_schema(self):
        body = {"messages": [{"role": "user", "content": "Once upon a time"}], "n": 3, "temperature": 2, "max_tokens": 400, "seed": 5,
                "response_format": {"type": "json_schema", "json_schema": {"name": "child", "schema": SCHEMA, "strict": True}}}
        status, answer = self.post("/v1/chat/completions", body)
        self.assertEqual(status, 200, answer)
        choices = json.loads(answer)["choices"]
        for choice in choices:
            self.assertEqual(choice["finish_reason"], "stop")
            check(choice["message"]["content"])
        self.assertEqual(len({choice["message"]["content"] for choice in choices}), 3)

    def test_any_object(self):
        for seed in range(4):
            status, answer = self.post("/v1/completions", {"prompt": "{", "temperature": 1, "max_tokens": 900, "seed": seed, "stop": None,
                                                           "response_format": {"type": "json_object"}, "logit_bias": {"4": -100}})
            self.assertEqual(status, 200, answer)
            choice = json.loads(answer)["choices"][0]
            if choice["finish_reason"] == "stop":
                self.assertIsInstance(json.loads(choice["text"]), dict)

    def test_grammar_streamed(self):
        status, answer = self.post("/v1/completions", {"prompt": "Is it?", "temperature": 1, "max_tokens": 100, "grammar": GRAMMAR, "stream": True})
        self.assertEqual(status, 200, answer)
        events = [json.loads(line[6:]) for line in answer.decode().split("\n") if line.startswith("data: {")]
        self.assertRegex("".join(event["choices"][0]["text"] for event in events), r"\A(yes|no), [a-z ]{5,20}\.\Z")

    def test_mistakes(self):
        def refused(body):
            status, answer = self.post("/v1/completions", {"prompt": "x", **body})
            self.assertEqual(status, 400, answer)
            return json.loads(answer)["error"]
        error = refused({"response_format": {"type": "json_schema", "json_schema": {"schema": {"items": {"uniqueItems": True}}}}})
        self.assertEqual(error["param"], "response_format")
        self.assertIn('JSON schema at #/items: "uniqueItems" is not supported', error["message"])
        error = refused({"grammar": "root ::= (\"a\""})
        self.assertEqual(error["param"], "grammar")
        self.assertIn("line 1, column 14: expected \")\", found the end", error["message"])
        self.assertIn("found both", refused({"grammar": GRAMMAR, "response_format": {"type": "json_object"}})["message"])


if __name__ == "__main__":
    unittest.main()
