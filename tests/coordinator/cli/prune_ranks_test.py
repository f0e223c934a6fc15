"""colonnade prune on several ranks. argv[1] is the binary, argv[2] the repository."""
import contextlib
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
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("COLONNADE_", "OMPI_"))}
ENVIRONMENT.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1")


def run(*arguments, launcher=()):
    done = subprocess.run([*launcher, PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=200,
                          stdin=subprocess.DEVNULL, env=ENVIRONMENT)
    return done.returncode, done.stdout, done.stderr


def process_of_rank(out, rank):
    """The process that is this rank of the prune into `out`, or None."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if arguments[0] == os.fsencode(PROGRAM) and os.fsencode(out) in arguments and b"OMPI_COMM_WORLD_RANK=%d" % rank in environment:
            return int(folder.name)
    return None


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class PruneRanks(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="colonnade-prune-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.text = self.folder / "text.txt"
        self.text.write_text("One day the fox went down to the river to see the moon. " * 2000)
        self.options = self.with_windows(20)

    def with_windows(self, count):
        return ("--sparsity", "0.95", "--refit", "--calibration", self.text, "--calibration-length", "64", "--threads", "1",
                "--calibration-windows", str(count))

    def test_same_bytes(self):
        alone = self.folder / "alone"
        self.assertEqual(run("prune", DEMO, "-o", alone, *self.options)[0], 0)
        # Begun on two ranks, finished on three by the user's own mpirun.
        out = self.folder / "ranks"
        status, _, err = run("prune", DEMO, "-o", out, *self.options, "--ranks", "2", "--stop-after-layers", "1")
        self.assertEqual(status, 1, err)
        self.assert_one_error(err, "stopped after 1 layers")
        mpirun = ("mpirun", "-n", "3", "--bind-to", "none")
        status, report, err = run("prune", DEMO, "-o", out, *self.options, launcher=mpirun)
        self.assertEqual(status, 0, err)
        self.assertIn("95.", report)
        self.assertEqual(contents(out), contents(alone))

    def test_one_slot(self):
        hosts = self.folder / "hosts"
        hosts.write_text("localhost slots=1\n")
        options = ("--method", "magnitude", "--threads", "1")
        alone = self.folder / "alone"
        self.assertEqual(run("prune", DEMO, "-o", alone, *options)[0], 0)
        for name, ranks in (("slot", ()), ("rank", ("--ranks", "1"))):
            out = self.folder / name
            status, report, err = run("prune", DEMO, "-o", out, *options, "--hosts", hosts, *ranks)
            self.assertEqual(status, 0, err)
            self.assertIn("% of 6451200 weights are zero", report)
            self.assertEqual(contents(out), contents(alone))

    def test_other_options(self):
        out = self.folder / "out"
        rank = (PROGRAM, "prune", DEMO, "-o", out, "--threads", "1", "--method")
        mpirun = ("mpirun", "--bind-to", "none", "-n", "1", *rank, "magnitude", ":", "-n", "1", *rank, "wanda")
        done = subprocess.run([*map(str, mpirun)], capture_output=True, text=True, check=False, timeout=200, stdin=subprocess.DEVNULL, env=ENVIRONMENT)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual([line for line in done.stderr.splitlines() if line.startswith("colonnade: ")],
                         ["colonnade: rank 1: prune: expected --method magnitude as on rank 0, found --method wanda"])
        self.assertFalse(out.exists())

    def assert_one_error(self, err, *parts):
        lines = [line for line in err.splitlines() if "info " not in line]
        self.assertEqual(len(lines), 1, err)
        for part in parts:
            self.assertIn(part, lines[0])

    def test_lost_rank(self):
        for attempt in range(5):  # more text each time, should the job have ended before it was hit
            out = self.folder / f"lost-{attempt}"
            options = self.with_windows(60 << attempt)
            with subprocess.Popen([PROGRAM, "prune", DEMO, "-o", out, *options, "--ranks", "3"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=ENVIRONMENT) as job:
                while job.poll() is None and not (out / "model-00001-of-00006.safetensors").exists():
                    time.sleep(0.005)
                rank = process_of_rank(out, 1)
                if rank is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(rank, signal.SIGKILL)
                err = job.stderr.read()
            if job.returncode == 0 or (out / "config.json").exists():  # it had done its work
                continue
            self.assertEqual(job.returncode, 1, err)
            self.assert_one_error(err, "3 ranks", "signal 9", "goes on where it was")
            self.assertFalse((out / "config.json").exists())
            self.assertIsNone(process_of_rank(out, 0))
            status, _, err = run("prune", DEMO, "-o", out, *options, "--ranks", "2")
            self.assertEqual(status, 0, err)
            self.assertRegex(err, r"going on with an interrupted prune, [1-5] of 5 layers are done")
            alone = self.folder / "alone"
            self.assertEqual(run("prune", DEMO, "-o", alone, *options)[0], 0)
            self.assertEqual(contents(out), contents(alone))
            return
        self.fail("five jobs ended before a rank could be killed")

    def test_mistakes(self):
        out = self.folder / "out"
        status, _, err = run("prune", DEMO, "-o", out, *self.options, "--ranks", "0")
        self.assertEqual(status, 2)
        self.assert_one_error(err, "ranks", "0")
        status, _, err = run("prune", self.folder / "nothing", "-o", out, *self.options, "--ranks", "3")
        self.assertEqual(status, 1, err)
        self.assert_one_error(err, "nothing")
        status, _, err = run("prune", DEMO, "-o", out, "--calibration", self.folder / "none.txt", "--ranks", "2")
        self.assertEqual(status, 1, err)
        self.assert_one_error(err, "none.txt")
        out.mkdir()
        (out / "mine").write_text("")
        status, _, err = run("prune", DEMO, "-o", out, *self.options, "--ranks", "2")
        self.assertEqual(status, 2, err)
        self.assert_one_error(err, "mine")
        status, _, err = run("prune", DEMO, "-o", out, *self.options, "--hosts", self.folder / "hostfile")
        self.assertEqual(status, 1, err)
        self.assert_one_error(err, "hostfile")


if __name__ == "__main__":
    if shutil.which("mpirun") is None:
        print("skipped: there is no mpirun")
        sys.exit(77)
    unittest.main()
