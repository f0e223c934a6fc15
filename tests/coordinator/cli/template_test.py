"""colonnade template as a user meets it. usage: template_test.py PROGRAM DEMO_MODEL"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

DEMO = sys.argv.pop()
PROGRAM = sys.argv.pop()
CHATML = ("{%- for m in messages %}{{ '<|' + m.role + '|>' + m.content + eos_token }}\n{% endfor %}"
          "{% if add_generation_prompt %}<|assistant|>{% endif %}")
TALK = [{"role": "user", "content": "Hello </s> you"}]


def run(*arguments, stdin=""):
    if not isinstance(stdin, str):
        stdin = json.dumps(stdin)
    done = subprocess.run([PROGRAM, *arguments], input=stdin.encode(), capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Template(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.model = os.path.join(self.folder.name, "model")
        shutil.copytree(DEMO, self.model)
        self.write("chat_template.jinja", CHATML)

    def write(self, name, content):
        path = os.path.join(self.model, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        return path

    def test_directory_file_and_packed(self):
        expected = "<|user|>Hello </s> you</s>\n<|assistant|>"
        self.assertEqual(run("template", self.model, stdin=TALK), (0, expected, ""))
        file = os.path.join(self.model, "chat_template.jinja")
        self.assertEqual(run("template", file, "--token", "eos_token=</s>", stdin={"messages": TALK})[1], expected)
        self.write("additional_chat_templates/tool_use.jinja", "{{ tools[0].function.name }} {{ tools|tojson }}")
        packed = os.path.join(self.folder.name, "packed")
        self.assertEqual(run("pack", self.model, "-o", packed)[0], 0)
        tools = [{"type": "function", "function": {"name": "now", "parameters": {"z": 1, "a": 2}}}]
        for model in (self.model, packed):
            self.assertEqual(run("template", model, stdin=TALK)[1], expected)
            status, out, _ = run("template", model, stdin={"messages": TALK, "tools": tools})
            self.assertEqual((status, out), (0, "now " + json.dumps(tools)))
            self.assertEqual(run("template", model, "--name", "default", stdin={"messages": TALK, "tools": tools})[1], expected)

    def test_special_tokens_of_the_template_only(self):
        ids = run("template", self.model, "--ids", stdin=TALK)[1].split()
        self.assertEqual(ids.count("2"), 1)  # </s>

    def test_fields(self):
        talk = TALK + [{"role": "assistant", "content": "Yes"}]
        self.assertEqual(run("template", self.model, stdin={"messages": TALK, "add_generation_prompt": False})[1],
                         "<|user|>Hello </s> you</s>\n")
        self.assertEqual(run("template", self.model, stdin={"messages": talk, "continue_final_message": True})[1],
                         "<|user|>Hello </s> you</s>\n<|assistant|>Yes")
        file = self.write("t.jinja", "{{ x }} {{ strftime_now('%d %B %Y') }}")
        self.assertEqual(run("template", file, "--now", "2025-07-04T10:00:00",
                             stdin={"messages": TALK, "chat_template_kwargs": {"x": [True, None, 1.0]}})[1],
                         "[True, None, 1.0] 04 July 2025")
        self.assertEqual(run("template", file, "--raw", "--now", "2025-07-04T10:00:00", stdin={"x": 1})[1], "1 04 July 2025")

    def test_mistakes(self):
        broken = self.write("broken.jinja", "line\n{% if x %}")
        raising = self.write("raising.jinja", "{{ raise_exception('Only users talk') }}")
        for arguments, stdin, words in (
                (("template", DEMO), TALK, "chat template"), (("template", "/nowhere"), TALK, "/nowhere"),
                (("template", broken), TALK, "broken.jinja: line 2"), (("template", raising), TALK, "line 1: Only users talk"),
                (("template", self.model), "[", "standard input"), (("template", self.model), "3", "list of messages"),
                (("template", self.model), {}, "messages"), (("template", self.model, "--name", "x"), TALK, "found default"),
                (("template", self.model, "--token", "x"), TALK, "NAME=TEXT"), (("template", self.model, "--now", "x"), TALK, "--now")):
            status, out, err = run(*arguments, stdin=stdin)
            self.assertNotEqual(status, 0)
            self.assertEqual(out, "")
            self.assertEqual(err.count("\n"), 1, err)
            self.assertIn(words, err)


if __name__ == "__main__":
    unittest.main()
