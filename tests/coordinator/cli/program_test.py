"""The program as a user meets it: help, version, completion, and what it says to mistakes. argv[1] is the binary."""
import os
import re
import subprocess
import sys
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("COLONNADE_")}


def run(*arguments, **environment):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=60,
                          stdin=subprocess.DEVNULL, env={**ENVIRONMENT, **environment})
    return done.returncode, done.stdout, done.stderr


def commands():
    return re.findall(r"^  (\w+) ", run("--help")[1].split("commands:")[1], re.MULTILINE)


class Program(unittest.TestCase):
    def assert_one_line(self, status, out, err, expected_status, *parts):
        self.assertEqual(status, expected_status, err)
        self.assertEqual(out, "")
        self.assertEqual(err.count("\n"), 1, err)
        for part in ("colonnade: ",) + parts:
            self.assertIn(part, err)

    def test_help_and_version(self):
        self.assertEqual(run("--help"), run("help"))
        self.assertEqual(run("--help")[0], 0)
        self.assertEqual(run()[0], 2)
        self.assertRegex(run("--version")[1], r"^colonnade \d+\.\d+\.\d+\n$")

    def test_every_command_has_help(self):
        self.assertIn("completion", commands())
        for command in commands():
            with self.subTest(command=command):
                status, out, err = run(command, "--help")
                self.assertEqual((status, err), (0, ""))
                self.assertIn(f"usage: colonnade {command}", out)
                self.assertEqual(out, run("help", command)[1])
                too_wide = [line for line in out.splitlines() if len(line) > 110]
                self.assertEqual(too_wide, [])

    def test_every_command_refuses_unknown_options(self):
        for command in commands():
            with self.subTest(command=command):
                self.assert_one_line(*run(command, "--hepl"), 2, f"{command}: unknown option --hepl", "--help?")

    def test_unknown_command(self):
        self.assert_one_line(*run("complation"), 2, 'unknown command "complation"', "did you mean completion?")
        self.assert_one_line(*run("help", "xyzzy"), 2, 'unknown command "xyzzy"')

    def test_environment_is_checked(self):
        self.assert_one_line(*run("completion", "bash", COLONNADE_LOG_LEVEL="loud"), 2, "COLONNADE_LOG_LEVEL", "loud")

    def test_completion_is_valid_bash(self):
        status, script, _ = run("completion", "bash")
        self.assertEqual(status, 0)
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        for command in commands():
            self.assertIn(f"    {command})", script)

    def test_full_disk_is_no_success(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([PROGRAM, "completion", "bash"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("could not write", done.stderr)


if __name__ == "__main__":
    unittest.main()
