"""A checkpoint four times larger than the memory that prune and pack may have is pruned and packed; killed in the middle and started again, both give
the same bytes. The limit is RLIMIT_DATA: memory of the process itself; mapped files, which the system may drop at any time, do not count.
argv[1] is the binary, argv[2] the repository."""
import os
import resource
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
sys.path.insert(0, str(REPOSITORY / "tests/support"))
from make_checkpoint import make_checkpoint  # pylint: disable=wrong-import-position

ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("COLONNADE_")}
LIMIT_BYTES = 64 << 20  # some 30 MiB of it are stacks and what every process needs
THREADS = ("--threads", "2")


def limit_memory():
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))


def start(*arguments):
    return subprocess.Popen([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                            env=ENVIRONMENT, preexec_fn=limit_memory)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class MemoryLimit(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="colonnade-limit-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def finish(self, *arguments):
        process = start(*arguments)
        _, err = process.communicate(timeout=250)
        self.assertEqual(process.returncode, 0, err)
        return err

    def kill_in_the_middle(self, is_under_way, out, *arguments):
        """Starts the program and kills it in the middle of its work; once more where it had ended before that was seen."""
        for _ in range(5):
            process = start(*arguments, "-o", out)
            while process.poll() is None and not is_under_way():
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            _, err = process.communicate()
            if process.returncode == -signal.SIGKILL and not (out / "config.json").exists() and not any(out.glob("manifest*")):
                return
            self.assertIn(process.returncode, (0, -signal.SIGKILL), err)
            shutil.rmtree(out)
        self.fail("five processes ended before they could be killed")

    def assert_same_files(self, one, other):
        wanted, found = contents(one), contents(other)
        self.assertEqual(list(found), list(wanted))
        for name, content in wanted.items():
            self.assertTrue(found[name] == content, name)

    def test_prune_and_pack(self):
        source = self.folder / "source"
        layers = 40
        total = make_checkpoint(source, layers=layers, dim=512, hidden=1408)
        self.assertGreater(total, 3.8 * LIMIT_BYTES)

        whole, resumed = self.folder / "whole", self.folder / "resumed"
        prune = ("--method", "magnitude", "--sparsity", "0.75", *THREADS)
        self.finish("prune", source, "-o", whole, *prune)
        self.kill_in_the_middle(lambda: len(list(resumed.glob("*.safetensors"))) >= layers // 4, resumed, "prune", source, *prune)
        self.assertIn("going on with an interrupted prune", self.finish("prune", source, "-o", resumed, *prune))
        self.assert_same_files(whole, resumed)

        packed, again = self.folder / "packed", self.folder / "again"
        pack = ("--values", "int8", *THREADS)
        self.finish("pack", resumed, "-o", packed, *pack)
        half = sum(path.stat().st_size for path in packed.glob("*.paths")) / 2
        self.kill_in_the_middle(lambda: sum(path.stat().st_size for path in again.glob("*.paths")) > half, again, "pack", resumed, *pack)
        self.finish("pack", resumed, "-o", again, *pack)
        self.assert_same_files(packed, again)


if __name__ == "__main__":
    unittest.main()
