"""SIGINT and SIGTERM end commands that have started ranks, and nothing of their jobs stays. argv[1] is the binary, argv[2] the repository."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

REPOSITORY = Path(sys.argv.pop(2)).resolve()
PROGRAM = os.path.abspath(sys.argv.pop(1))
DEMO = REPOSITORY / "deploy/demo"
SENTENCE = "One day the fox went down to the river to see the moon. "


class StopJobs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="colonnade-stop-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.temporary = self.folder / "temporary"
        self.temporary.mkdir()
        self.text = self.folder / "text.txt"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("COLONNADE_", "OMPI_"))}
        self.environment.update(TMPDIR=str(self.temporary), OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")

    def start(self, *arguments):
        return subprocess.Popen([PROGRAM, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                text=True, env=self.environment)

    def environments(self):
        """Of all processes that this test has started: they have its temporary folder."""
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                found = dict(line.split("=", 1) for line in os.fsdecode((folder / "environ").read_bytes()).split("\0") if "=" in line)
            except OSError:
                continue
            if found.get("TMPDIR") == str(self.temporary):
                yield found

    def stop(self, number, is_under_way, *arguments):
        """Starts the command and stops it once `is_under_way` says so of the environments of its processes. Its status and what it said; more
        text each time, should it have ended before."""
        for attempt in range(5):
            self.text.write_text(SENTENCE * (10000 << attempt))
            with self.start(*arguments) as process:
                shared_memory = set()
                while process.poll() is None:
                    found = list(self.environments())
                    shared_memory.update(one["OMPI_MCA_btl_vader_backing_directory"] for one in found if "OMPI_MCA_btl_vader_backing_directory" in one)
                    if shared_memory and is_under_way(found):
                        break
                    time.sleep(0.01)
                process.send_signal(number)
                err = process.stderr.read()
            if process.returncode == 0:
                continue
            deadline = time.monotonic() + 20
            while list(self.environments()):  # what was killed takes a moment to be gone
                self.assertLess(time.monotonic(), deadline, "a process of the job lives on")
                time.sleep(0.05)
            self.assertEqual(list(self.temporary.iterdir()), [])
            self.assertEqual([name for name in shared_memory if os.path.exists(name)], [])
            return process.returncode, err
        self.fail("five commands ended before they could be stopped")

    @staticmethod
    def has_rank(found):
        return any(one.get("OMPI_COMM_WORLD_RANK") == "1" for one in found)

    def test_prune(self):
        out = self.folder / "out"
        prune = ("prune", DEMO, "-o", out, "--refit", "--calibration", self.text, "--calibration-windows", "4000", "--calibration-length", "64",
                 "--threads", "1", "--ranks", "2")
        for number, is_under_way in ((signal.SIGTERM, lambda found: True), (signal.SIGINT, self.has_rank),
                                     (signal.SIGTERM, lambda found: list(out.glob("*.safetensors")))):
            with self.subTest(number):
                status, err = self.stop(number, is_under_way, *prune)
                self.assertEqual(status, 128 + number, err)
                errors = [line for line in err.splitlines() if "info " not in line]
                self.assertEqual(errors, [f"colonnade: prune: stopped by signal {number:d}. The same command goes on where it was"])
                self.assertFalse((out / "config.json").exists())

    def test_perplexity(self):
        packed = self.folder / "packed"
        self.assertEqual(subprocess.run([PROGRAM, "pack", DEMO, "-o", packed, "--values", "int8"], capture_output=True, check=False).returncode, 0)
        for number, is_under_way in ((signal.SIGINT, lambda found: True), (signal.SIGTERM, self.has_rank)):
            status, err = self.stop(number, is_under_way, "perplexity", packed, self.text, "--ranks", "2", "--threads", "1")
            self.assertEqual(status, -number, err)
            self.assertNotIn("colonnade: ", err)

    def test_quality(self):
        status, err = self.stop(signal.SIGTERM, self.has_rank, "quality", DEMO, "-o", self.folder / "out", "--text", self.text, "--sparsity", "0.9",
                                "--values", "int8", "--methods", "magnitude", "--ranks", "2", "--threads", "1")
        self.assertEqual(status, -signal.SIGTERM, err)
        self.assertNotIn("colonnade: ", err)


if __name__ == "__main__":
    if shutil.which("mpirun") is None:
        print("skipped: there is no mpirun")
        sys.exit(77)
    unittest.main()
