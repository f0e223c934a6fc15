"""Two machines, made of namespaces: mpirun starts ranks on both, they find each other over TCP, text comes out.
usage: two_hosts_test.py PROGRAM DEMO_MODEL"""
import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from virtual_hosts import VirtualHosts, why_not  # noqa: E402

DEMO = os.path.abspath(sys.argv.pop())
PROGRAM = os.path.abspath(sys.argv.pop())
PROMPT = "Once upon a time there was"

# Asks the server on the host where it runs: path and body as arguments, answer as JSON on stdout.
ASK = """
import json, sys, urllib.request
path, body = sys.argv[1:]
request = urllib.request.Request("http://127.0.0.1:8080" + path, body.encode() or None, {"Content-Type": "application/json"})
print(urllib.request.urlopen(request, timeout=60).read().decode())
"""


def greedy(*arguments):
    return [PROGRAM, "run", DEMO, PROMPT, "--temperature", "0", "--max-tokens", "24", *arguments]


class TwoHosts(unittest.TestCase):
    def setUp(self):
        self.hosts = VirtualHosts(3)  # of which most tests use two
        self.hosts.__enter__()
        self.addCleanup(self.hosts.__exit__)
        self.hostfile = self.hosts.hostfile(slots=2, hosts=[0, 1])

    def ask(self, path, body=None):
        command = [sys.executable, "-c", ASK, path, json.dumps(body) if body else ""]
        status, out, err = self.hosts.run(0, command)
        self.assertEqual(status, 0, err)
        return json.loads(out)

    def serve(self, *command):
        """Starts a server on the first host and waits until it is ready; returns a function that reads its output."""
        self.server, path = self.hosts.start(0, command)

        def printed():
            with open(path, encoding="utf-8") as file:
                return file.read()

        self.wait_until_healthy(printed)
        return printed

    def wait_until_healthy(self, printed):
        deadline = time.monotonic() + 120
        while self.hosts.run(0, [sys.executable, "-c", ASK, "/health", ""])[0] != 0:
            self.assertIsNone(self.server.poll(), printed())
            self.assertLess(time.monotonic(), deadline, printed())
            time.sleep(0.3)

    def check_completion(self):
        answer = self.ask("/v1/completions", {"prompt": PROMPT, "max_tokens": 24, "temperature": 0})["choices"][0]["text"]
        alone = self.hosts.run(0, greedy("--ranks", "1"))[1]
        self.assertIn(answer.strip(), alone)
        self.assertGreater(len(answer.split()), 3)

    def test_doctor_sees_both(self):
        status, out, err = self.hosts.run(0, [PROGRAM, "doctor", DEMO, "--hosts", self.hostfile, "--json"])
        self.assertEqual(status, 0, out + err)
        report = json.loads(out)
        self.assertEqual([host["host"] for host in report["hosts"]], self.hosts.names[:2])
        self.assertIn("tcp", report["hosts"][0]["transport"])
        self.assertGreater(report["hosts"][1]["round_trip_us"], 0)

    def test_doctor_names_a_host_that_is_down(self):
        self.hosts.cut(1)
        started = time.monotonic()
        status, out, err = self.hosts.run(0, [PROGRAM, "doctor", "--hosts", self.hostfile, "--timeout", "10"])
        self.assertEqual((status, out), (1, ""))
        self.assertIn(self.hostfile, err)
        self.assertLess(time.monotonic() - started, 30)

    def test_run(self):
        alone = self.hosts.run(0, greedy("--ranks", "1"))
        self.assertEqual(alone[0], 0, alone[2])
        status, out, err = self.hosts.run(0, greedy("--ranks", "4", "--hosts", self.hostfile))
        self.assertEqual(status, 0, err)
        self.assertEqual(out, alone[1])

    def test_serve(self):
        printed = self.serve(PROGRAM, "serve", DEMO, "--hosts", self.hostfile, "--ranks", "3")
        self.check_completion()
        self.assertIn("tcp", printed())

    def test_coordinator_on_a_host_without_ranks(self):
        printed = self.serve(PROGRAM, "serve", DEMO, "--hosts", self.hosts.hostfile(slots=1, hosts=[1, 2]), "--ranks", "2")
        self.check_completion()
        self.assertIn("tcp", printed())

    def test_serve_under_mpirun(self):
        printed = self.serve("mpirun", "--hostfile", self.hostfile, "-n", "4", "--map-by", "node", PROGRAM, "serve", DEMO)
        self.check_completion()
        self.assertIn("tcp", printed())

    def test_a_host_that_drops_out_and_comes_back(self):
        printed = self.serve(PROGRAM, "serve", DEMO, "--hosts", self.hosts.hostfile(slots=1, hosts=[0, 1]), "--ranks", "2")
        self.check_completion()
        self.hosts.cut(1)
        deadline = time.monotonic() + 60
        while self.hosts.run(0, [sys.executable, "-c", ASK, "/health", ""])[0] == 0:
            self.assertLess(time.monotonic(), deadline, "a host is gone and nobody noticed\n" + printed())
            time.sleep(0.5)
        self.hosts.cut(1, connected=True)
        self.wait_until_healthy(printed)
        self.check_completion()


if __name__ == "__main__":
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    unittest.main()
