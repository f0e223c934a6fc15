"""The server as its operator meets it: start, many clients, a rank that dies or hangs, signals, what is left behind.
usage: serve_test.py PROGRAM DEMO_MODEL"""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

DEMO = os.path.abspath(sys.argv.pop())
PROGRAM = os.path.abspath(sys.argv.pop())
PROMPT = "Once upon a time"
SCRATCH = tempfile.TemporaryDirectory()
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("COLONNADE_")}
ENVIRONMENT.update(XDG_CACHE_HOME=SCRATCH.name, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def processes():
    """(pid, parent, command line) of everything that runs."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                command = file.read().replace("\0", " ").strip()
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if command:
            found.append((int(pid), parent, command))
    return found


def descendants(pid):
    found, todo, everyone = [], [pid], processes()
    while todo:
        parent = todo.pop()
        for child, its_parent, command in everyone:
            if its_parent == parent:
                found.append((child, command))
                todo.append(child)
    return found


class Server:
    def __init__(self, *options, launcher=()):
        self.temporary = tempfile.mkdtemp(dir=SCRATCH.name, prefix="t")  # short: sockets lie in it
        self.log = tempfile.NamedTemporaryFile("w+", dir=SCRATCH.name)
        command = [*launcher, PROGRAM, "serve", DEMO, "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env={**ENVIRONMENT, "TMPDIR": self.temporary},
                                        stdin=subprocess.DEVNULL)
        self.port = None

    def text(self):
        with open(self.log.name, encoding="utf-8") as file:
            return file.read()

    def wait_for(self, pattern, seconds=60, count=1):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = re.findall(pattern, self.text())
            if len(found) >= count:
                return found[-1]
            if self.process.poll() is not None and len(re.findall(pattern, self.text())) < count:
                break
            time.sleep(0.02)
        raise AssertionError(f"waited for {pattern!r} in:\n{self.text()}")

    def ready(self):
        self.port = int(self.wait_for(r"ready after .*: http://127\.0\.0\.1:(\d+)"))
        return self

    def ranks(self):
        return [pid for pid, command in descendants(self.process.pid) if f"{PROGRAM} worker" in command and "mpirun" not in command]

    def request(self, body, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        return connection, connection.getresponse()

    def complete(self, prompt=PROMPT, max_tokens=16, **fields):
        connection, response = self.request({"prompt": prompt, "max_tokens": max_tokens, "temperature": 0, **fields})
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def metric(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE).group(1))

    def end(self, number=signal.SIGTERM, seconds=20):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)


def stream_text(response):
    """Text of a stream, and the error that ended it or None."""
    text = ""
    for line in response:
        line = line.decode().strip()
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        event = json.loads(line[6:])
        if "error" in event:
            return text, event["error"]
        text += "".join(choice["text"] for choice in event["choices"])
    return text, None


class Serve(unittest.TestCase):
    def start(self, *options, launcher=()):
        server = Server(*options, launcher=launcher)
        self.addCleanup(lambda: server.process.poll() is None and (server.process.kill(), server.process.wait()))
        return server

    def check_nothing_left(self, server, pids):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and any(os.path.exists(f"/proc/{pid}") for pid in pids):
            time.sleep(0.05)
        self.assertEqual([p for p in processes() if p[0] in pids], [])
        self.assertEqual(os.listdir(server.temporary), [])

    def test_32_streams_with_clients_that_leave(self):
        server = self.start("--ranks", "2").ready()
        prompts = [PROMPT + " there" * (i % 7) + f" number {i}" for i in range(32)]
        lengths = [4 + 7 * (i % 9) for i in range(32)]
        results = [None] * 32

        def client(i):
            connection, response = server.request({"prompt": prompts[i], "max_tokens": lengths[i], "temperature": 0.8,
                                                   "seed": i, "stream": True})
            if i % 4 == 3:
                response.read(40)
                connection.close()
                results[i] = "left"
                return
            results[i] = stream_text(response)
            connection.close()

        threads = [threading.Thread(target=client, args=(i,)) for i in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        for i in range(32):
            status, alone = server.complete(prompts[i], lengths[i], temperature=0.8, seed=i)
            self.assertEqual(status, 200, alone)
            if results[i] != "left":
                self.assertEqual(results[i], (alone["choices"][0]["text"], None), i)
        deadline = time.monotonic() + 10
        while server.metric("colonnade_kv_pages_used") != 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(server.metric("colonnade_kv_pages_used"), 0)
        self.assertEqual(server.end(), 0, server.text())

    def break_a_rank(self, number, *options):
        server = self.start("--ranks", "2", *options).ready()
        expected = server.complete()
        first_ranks = server.ranks()
        self.assertEqual(len(first_ranks), 2, descendants(server.process.pid))
        connection, response = server.request({"prompt": PROMPT, "max_tokens": 1900, "temperature": 0, "stream": True})
        response.readline()
        began = time.monotonic()
        os.kill(first_ranks[1], number)
        _, error = stream_text(response)
        self.assertIsNotNone(error, "the stream ended without an error")
        self.assertIn("the worker job ended while it computed this request", error["message"])
        connection.close()
        # Who comes in between waits for the next job.
        self.assertEqual(server.complete()[1]["choices"], expected[1]["choices"])
        self.assertLess(time.monotonic() - began, 40)
        self.assertNotEqual(server.ranks(), first_ranks)
        last_ranks = server.ranks()
        self.assertEqual(server.end(), 0, server.text())
        self.check_nothing_left(server, first_ranks + last_ranks)

    def test_a_killed_rank(self):
        self.break_a_rank(signal.SIGKILL)

    def test_a_rank_that_hangs(self):
        self.break_a_rank(signal.SIGSTOP, "--heartbeat-timeout", "2", "--step-timeout", "3")

    def test_one_rank_needs_no_mpirun(self):
        server = self.start("--ranks", "1").ready()
        self.assertFalse([command for _, command in descendants(server.process.pid) if "mpirun" in command])
        self.assertEqual(server.complete()[0], 200)
        os.kill(server.ranks()[0], signal.SIGKILL)
        server.wait_for("rank 0  ready|info  ready", count=2)
        self.assertEqual(server.complete()[0], 200)
        self.assertEqual(server.end(signal.SIGINT), 0, server.text())

    def test_a_signal_drains_and_a_second_one_stops(self):
        server = self.start("--ranks", "2").ready()
        pids = [pid for pid, _ in descendants(server.process.pid)]
        connection, response = server.request({"prompt": PROMPT, "max_tokens": 400, "temperature": 0, "stream": True,
                                               "ignore_eos": True})
        response.readline()
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("stopping: 1 requests")
        with self.assertRaises(OSError):
            for _ in range(100):  # the door closes a moment after the word
                socket.create_connection(("127.0.0.1", server.port), 2).close()
                time.sleep(0.05)
        text, error = stream_text(response)
        self.assertIsNone(error)
        self.assertGreater(len(text), 200)
        connection.close()
        self.assertEqual(server.process.wait(20), 0, server.text())
        self.check_nothing_left(server, pids)

        server = self.start("--ranks", "2").ready()
        connection, response = server.request({"prompt": PROMPT, "max_tokens": 1900, "temperature": 0, "stream": True})
        response.readline()
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("stopping: 1 requests")
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(20), 1)
        self.assertLess(time.monotonic() - began, 8)
        connection.close()

    def test_when_the_server_is_killed_its_ranks_end(self):
        server = self.start("--ranks", "2").ready()
        pids = [pid for pid, _ in descendants(server.process.pid)]
        self.assertGreaterEqual(len(pids), 3)
        server.process.kill()
        server.process.wait()
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and any(p[0] in pids for p in processes()):
            time.sleep(0.05)
        self.assertEqual([p for p in processes() if p[0] in pids], [])

    def test_under_mpirun(self):
        server = self.start(launcher=("mpirun", "--oversubscribe", "-n", "3")).ready()
        self.assertIn("3 ranks (as launched)", server.text())
        status, answer = server.complete()
        self.assertEqual((status, answer["choices"][0]["text"][:12]), (200, " there was a"))
        # mpirun itself would kill its ranks a second after a signal; rank 0 ends the job in peace.
        for pid, _ in descendants(server.process.pid):
            with open(f"/proc/{pid}/environ", encoding="utf-8") as file:
                if "OMPI_COMM_WORLD_RANK=0\0" in file.read():
                    os.kill(pid, signal.SIGTERM)
        self.assertEqual(server.process.wait(20), 0, server.text())
        self.assertIn("\nstopped", server.text())
        self.check_nothing_left(server, [])

    def test_what_cannot_start_says_why(self):
        taken = socket.create_server(("127.0.0.1", 0))
        for options, status, message in (
                (["--port", str(taken.getsockname()[1])], 1, "in use"),
                (["--ranks", "2", "--stages", "3"], 2, "stages"),
                (["--hosts", "/nowhere/hosts"], 1, "/nowhere/hosts"),
                (["--context", "999999"], 2, "--context: expected at most 2048"),
                (["--ranks", "1", "--isa", "mmx"], 2, "mmx")):
            server = self.start(*options)
            self.assertEqual(server.process.wait(30), status, server.text())
            last = server.text().strip().splitlines()[-1]
            self.assertTrue(last.startswith("colonnade: "), last)
            self.assertIn(message, last)
        taken.close()


if __name__ == "__main__":
    unittest.main()
