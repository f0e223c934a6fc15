"""colonnade prune as a user meets it. argv[1] is the binary, argv[2] the repository."""
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

REPOSITORY = Path(sys.argv.pop(2)).resolve()
PROGRAM = os.path.abspath(sys.argv.pop(1))
DEMO = REPOSITORY / "deploy/demo"
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("COLONNADE_")}


def run(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=200,
                          stdin=subprocess.DEVNULL, env=ENVIRONMENT)
    return done.returncode, done.stdout, done.stderr


class Prune(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="colonnade-prune-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.out = self.folder / "pruned"

    def assert_refused(self, result, *parts, expected_status=2):
        status, _, err = result
        self.assertEqual(status, expected_status, err)
        lines = [line for line in err.splitlines() if line.startswith("colonnade: ")]
        self.assertEqual(len(lines), 1, err)
        for part in parts:
            self.assertIn(part, lines[0])

    def test_prune_pack_and_interrupt(self):
        text = self.folder / "text.txt"
        text.write_text("One day the fox went down to the river to see the moon. " * 400)
        options = ("--sparsity", "0.95", "--refit", "--values", "int4", "--calibration", text, "--calibration-windows", "4",
                   "--calibration-length", "64", "--threads", "2")
        status, out, err = run("prune", DEMO, "-o", self.out, *options)
        self.assertEqual(status, 0, err)
        self.assertRegex(out, r"95\.\d+ % of 6451200 weights are zero")
        self.assertIn("256 tokens in 4 windows", err)
        self.assertIn("of memory", err)
        resumed = self.folder / "resumed"
        self.assert_refused(run("prune", DEMO, "-o", resumed, *options, "--stop-after-layers", "2"), "stopped", expected_status=1)
        self.assertFalse((resumed / "config.json").exists())
        self.assert_refused(run("prune", DEMO, "-o", resumed, *options, "--damping", "0.02"), "other options")
        self.assertEqual(run("prune", DEMO, "-o", resumed, *options)[0], 0)
        names = sorted(path.name for path in self.out.iterdir())
        self.assertEqual(sorted(path.name for path in resumed.iterdir()), names)
        for name in names:
            self.assertEqual((resumed / name).read_bytes(), (self.out / name).read_bytes(), name)

        status, out, err = run("pack", self.out, "-o", self.folder / "packed", "--values", "int4")
        self.assertEqual(status, 0, err)
        report = json.loads(run("inspect", self.folder / "packed", "--json")[1])
        for row in report["rows"]:
            if row["what"].startswith(("attention", "feed-forward")):
                self.assertIn(row["format"], ("gap-int4", "permute-int4", "bitmask-int4"))

    def test_built_in_text(self):
        status, _, err = run("prune", DEMO, "-o", self.out, "--method", "wanda", "--sparsity", "0.9", "--layout", "sparse-bitmask")
        self.assertEqual(status, 0, err)
        self.assertIn("built-in text", err)
        self.assertIn("sparse-bitmask", (self.out / "config.json").read_text())

    def test_blocks_of_four(self):
        dense = REPOSITORY / "tests/data/golden/llama3"  # the demo has zeros already
        status, out, err = run("prune", dense, "-o", self.out, "--method", "magnitude", "--structure", "1x4", "--sparsity", "0.75")
        self.assertEqual(status, 0, err)
        name = "model.layers.1.self_attn.q_proj.weight"
        file = json.loads((self.out / "model.safetensors.index.json").read_text())["weight_map"][name]
        content = (self.out / file).read_bytes()
        size = int.from_bytes(content[:8], "little")
        tensor = json.loads(content[8:8 + size])[name]
        begin, end = tensor["data_offsets"]
        self.assertEqual((tensor["dtype"], tensor["shape"][1] % 4), ("BF16", 0))
        blocks = [content[at:at + 8] for at in range(8 + size + begin, 8 + size + end, 8)]
        zeros = [sum(block[i:i + 2] == bytes(2) for i in range(0, 8, 2)) for block in blocks]
        self.assertLessEqual(set(zeros), {0, 4})
        self.assertEqual(zeros.count(4), 0.75 * len(blocks))

        status, out, err = run("bench", self.out, "--cache", self.folder, "--values", "int8", "--pp", 0, "--tg", 1, "--repetitions", 1, "--layouts", "1x1",
                               "--format", "json")
        self.assertEqual(status, 0, err)
        self.assertEqual(json.loads(out)[0]["structure"], "1x4")
        packed = next(path for path in self.folder.iterdir() if (path / "manifest.colonnade").exists())
        paths = json.loads(run("inspect", packed, "--paths", "--json")[1])
        matrices = [m for path in paths["paths"] for m in path["matrices"] if m["what"].startswith(("attention", "feed-forward"))]
        kept = sum(m["block_density"] * m["rows"] * m["cols"] for m in matrices) / sum(m["rows"] * m["cols"] for m in matrices)
        self.assertAlmostEqual(kept, 0.25, delta=0.001)
        self.assertTrue(all(m["density"] <= m["block_density"] for m in matrices))

    def test_a_disk_without_room(self):
        def limit_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        command = ("prune", DEMO, "-o", self.out, "--method", "magnitude")
        done = subprocess.run([PROGRAM, *map(str, command)], capture_output=True, text=True, check=False, timeout=200, stdin=subprocess.DEVNULL,
                              env=ENVIRONMENT, preexec_fn=limit_files)
        self.assert_refused((done.returncode, done.stdout, done.stderr), "model-00001-of-00006.safetensors", "File too large", expected_status=1)
        self.assertEqual([path.name for path in self.out.iterdir() if not path.name.startswith(".")], [])
        self.assertEqual(run(*command)[0], 0)

    def test_mistakes(self):
        self.assert_refused(run("prune", DEMO), "--output")
        self.assert_refused(run("prune", DEMO, "-o", self.out, "--sparsity", "1.5"), "sparsity", "1.5")
        self.assert_refused(run("prune", DEMO, "-o", self.out, "--structure", "5:4"), "structure", "5:4")
        self.assert_refused(run("prune", DEMO, "-o", self.out, "--structure", "4x1"), "expected unstructured, 1x4, n:M or N:M", "4x1")
        self.assert_refused(run("prune", DEMO, "-o", self.out, "--structure", "2:4", "--sparsity", "0.7"), "2:4", "0.7")
        self.assert_refused(run("prune", DEMO, "-o", self.out, "--method", "wandas"), "method", "wanda")
        self.assert_refused(run("prune", DEMO, "-o", self.out, "--calibration", self.folder / "none.txt"), "none.txt", expected_status=1)
        empty = self.folder / "empty.txt"
        empty.write_text("")
        self.assert_refused(run("prune", DEMO, "-o", self.out, "--calibration", empty), "empty.txt")
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        self.assert_refused(run("prune", DEMO, "-o", self.out, "--calibration", pipe), "pipe", "regular file")
        self.assert_refused(run("prune", self.folder / "nothing", "-o", self.out), "nothing", expected_status=1)
        self.assertFalse(self.out.exists())
        self.out.mkdir()
        (self.out / "mine").write_text("")
        self.assert_refused(run("prune", DEMO, "-o", self.out, "--method", "magnitude"), "mine")


if __name__ == "__main__":
    unittest.main()
