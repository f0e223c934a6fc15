"""Tool calls of the whole program with the demo model, which knows nothing of tools: it must call when it is held to it.
usage: tool_calls_test.py PROGRAM DEMO_MODEL"""
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

TEMPLATE = """{%- for tool in tools or [] %}{{ tool.function | tojson }}
{% endfor %}
{%- for message in messages %}{{ message.role }}: {{ message.content }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}
{% endfor %}
{%- if add_generation_prompt %}assistant: {% endif %}"""

TOOLS = [
    {"type": "function", "function": {"name": "tell", "parameters": {
        "type": "object", "properties": {
            "about": {"type": "string", "enum": ["a king", "a fox"]},
            "long": {"type": "boolean"}, "words": {"type": "integer", "minimum": 1, "maximum": 99}},
        "required": ["about", "words"], "additionalProperties": False}}},
    {"type": "function", "function": {"name": "stop", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}},
]


class Server:
    def __init__(self, *options):
        template = os.path.join(SCRATCH.name, "template.jinja")
        with open(template, "w", encoding="utf-8") as file:
            file.write(TEMPLATE)
        self.log = tempfile.NamedTemporaryFile("w+", dir=SCRATCH.name)
        self.process = subprocess.Popen([PROGRAM, "serve", DEMO, "--port", "0", "--chat-template", template, *options],
                                        stdout=self.log, stderr=self.log, env=ENVIRONMENT, stdin=subprocess.DEVNULL)
        found, deadline = None, time.monotonic() + 60
        while found is None and time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(r"ready after .*: http://127\.0\.0\.1:(\d+)", self.printed())
            time.sleep(0.02)
        assert found, "the server did not become ready: " + self.printed()
        self.port = int(found.group(1))

    def printed(self):
        with open(self.log.name, encoding="utf-8") as file:
            return file.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()

    def ask(self, **fields):
        body = {"messages": [{"role": "user", "content": "Once upon a time"}], "tools": TOOLS, "temperature": 1, "max_tokens": 400, **fields}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer


class ToolCalls(unittest.TestCase):
    def check_call(self, call):
        arguments = json.loads(call["function"]["arguments"])
        if call["function"]["name"] == "stop":
            self.assertEqual(arguments, {})
            return
        self.assertEqual(call["function"]["name"], "tell")
        self.assertLessEqual(set(arguments), {"about", "long", "words"})
        self.assertIn(arguments["about"], ["a king", "a fox"])
        self.assertTrue(type(arguments["words"]) is int and 1 <= arguments["words"] <= 99, arguments)
        self.assertIsInstance(arguments.get("long", True), bool)

    def check_form(self, server):
        for seed in range(3):
            status, answer = server.ask(tool_choice="required", parallel_tool_calls=False, seed=seed)
            self.assertEqual(status, 200, answer)
            choice = answer["choices"][0]
            self.assertEqual(choice["finish_reason"], "tool_calls", choice)
            self.assertIsNone(choice["message"]["content"])
            self.assertEqual(len(choice["message"]["tool_calls"]), 1)
            self.check_call(choice["message"]["tool_calls"][0])
        named = {"type": "function", "function": {"name": "tell"}}
        status, answer = server.ask(tool_choice=named, parallel_tool_calls=False)
        self.assertEqual(status, 200, answer)
        call = answer["choices"][0]["message"]["tool_calls"][0]
        self.assertEqual(call["function"]["name"], "tell")
        self.check_call(call)
        return call

    def test_the_form_that_the_template_shows(self):
        with Server("--ranks", "2") as server:
            self.assertIn("chat: tool calls hermes, reasoning none", server.printed())
            call = self.check_form(server)
            # What was answered is understood as history.
            history = [{"role": "user", "content": "Once upon a time"}, {"role": "assistant", "content": None, "tool_calls": [call]},
                       {"role": "tool", "tool_call_id": call["id"], "content": "There was"}]
            status, answer = server.ask(messages=history, tool_choice="none", max_tokens=5)
            self.assertEqual(status, 200, answer)
            self.assertEqual(answer["choices"][0]["finish_reason"], "length")

    def test_a_form_that_is_told(self):
        with Server("--ranks", "1", "--tool-format", "qwen-coder") as server:
            self.assertIn("chat: tool calls qwen-coder", server.printed())
            self.check_form(server)

    def test_a_form_that_cannot_be_enforced(self):
        with Server("--ranks", "1", "--tool-format", "kimi") as server:
            status, answer = server.ask(tool_choice="required")
            self.assertEqual(status, 400)
            self.assertEqual(answer["error"]["param"], "tool_choice")
            self.assertIn("(kimi)", answer["error"]["message"])


if __name__ == "__main__":
    unittest.main()
