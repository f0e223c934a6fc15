"""The recipe of scripts/train, a few steps of a tiny model: what it writes is what colonnade reads. PyTorch's losses and logits
and the engine's are two computations of one model.

usage: train_test.py PROGRAM SOURCE_DIRECTORY
"""
import json
import pathlib
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop()).resolve() if len(sys.argv) == 3 else None
PROGRAM = sys.argv.pop() if SOURCE else None
TRAIN = SOURCE / "scripts" / "train" if SOURCE else None
SHAPE = ["--dim", "48", "--hidden-dim", "32", "--n-layers", "2", "--n-heads", "4", "--n-kv-heads", "2", "--head-dim", "16", "--n-experts", "4"]
STEPS = ["--steps", "12", "--windows", "4", "--part", "2", "--window-tokens", "32", "--warmup", "2", "--precision", "float32"]
PRUNING = ["--sparsity", "0.8", "--prune-from", "2", "--prune-to", "8", "--prune-every", "2"]
VALUE_BYTES = {"F32": 4, "BF16": 2}


def python_with_torch():
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            if subprocess.run([python, "-c", "import torch, numpy, regex"], capture_output=True).returncode == 0:
                return python
        except OSError:
            pass
    return None


PYTHON = python_with_torch()


def recipe(step, *arguments, expect=0):
    done = subprocess.run([PYTHON, TRAIN / step, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != expect:
        raise AssertionError(f"{step}: status {done.returncode}, {done.stdout}{done.stderr}")
    return done.stderr if expect else done.stdout


def colonnade(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


def read_tensors(path):
    """(shape, bytes) by name, read without the recipe's own reader."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    return {name: (t["shape"], VALUE_BYTES[t["dtype"]], data[8 + length + t["data_offsets"][0] : 8 + length + t["data_offsets"][1]])
            for name, t in header.items() if name != "__metadata__"}


class Recipe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="colonnade-train-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        pages = sorted((SOURCE / "docs").glob("*.md"))
        (cls.folder / "text.txt").write_text("\n<|endoftext|>\n".join(page.read_text(encoding="utf-8") for page in pages), encoding="utf-8")
        cls.held_out = cls.folder / "held-out.txt"
        cls.held_out.write_text((SOURCE / "README.md").read_text(encoding="utf-8")[:2500] + "\n<|endoftext|>\n \u00e9t\u00e9 \u2014 na\u00efve\r\n\t 3.14  x\n",
                                encoding="utf-8")
        cls.data = cls.folder / "data"
        recipe("prepare", "--text", cls.folder / "text.txt", "--vocabulary", 400, "-o", cls.data)
        cls.run_folder = cls.folder / "run"
        recipe("train", cls.data, "-o", cls.run_folder, *SHAPE, *STEPS, *PRUNING, "--keep", 6)
        cls.model = cls.folder / "model"
        recipe("export", cls.data, cls.run_folder / "state.pt", "-o", cls.model, "--dtype", "float32")

    def test_the_engine_computes_what_pytorch_computes(self):
        tokens = [0, 17, 300, 399, 42, 42, 256, 1, 257]
        ids = ",".join(map(str, tokens))
        expected = json.loads(recipe("evaluate", self.model, self.held_out, "--window", 64, "--logits", ids))
        exact = ["--values", "f32", "--kv", "f32", "--cache", self.folder / "cache", "--json"]
        found = colonnade("perplexity", self.model, self.held_out, "--window", 64, *exact)
        self.assertEqual(found["tokens"], expected["tokens"])  # both tokenizers
        self.assertEqual(found["bytes"], expected["bytes"])
        self.assertAlmostEqual(found["mean_nll"], expected["mean_nll"], delta=1e-3)
        self.assertAlmostEqual(found["bits_per_byte"], expected["bits_per_byte"], delta=1e-3)
        self.assertLess(expected["mean_nll"], 5.95)  # ln 400 is 5.99: something was learned
        (self.folder / "ids.txt").write_text(ids)
        logits = colonnade("logits", self.model, "--tokens", ids, *exact)["logits"]
        self.assertEqual(len(logits), len(tokens))
        for ours, theirs in zip(logits, expected["logits"]):
            for a, b in zip(ours, theirs):
                self.assertAlmostEqual(a, b, delta=2e-3)

    def test_exactly_the_projections_are_sparse(self):
        n_pruned = 0
        for name, (shape, size, data) in read_tensors(self.model / "model.safetensors").items():
            zeros = sum(data[i : i + size] == bytes(size) for i in range(0, len(data), size))
            n = len(data) // size
            if "_proj." in name:
                self.assertEqual(zeros, round(0.8 * n), name)
                n_pruned += 1
            else:
                self.assertEqual(zeros, 0, name)
        self.assertEqual(n_pruned, 2 * (4 + 4 * 3))

    def test_zeros_in_blocks_of_four(self):
        out = self.folder / "blocks"
        recipe("train", self.data, "-o", out, *SHAPE, *STEPS, *PRUNING, "--structure", "1x4")
        recipe("export", self.data, out / "state.pt", "-o", self.folder / "model-blocks", "--dtype", "float32")
        for name, (shape, size, data) in read_tensors(self.folder / "model-blocks" / "model.safetensors").items():
            if "_proj." not in name:
                continue
            self.assertEqual(shape[-1] % 4, 0, name)
            zeros = [sum(data[j : j + size] == bytes(size) for j in range(i, i + 4 * size, size))
                     for i in range(0, len(data), 4 * size)]
            self.assertLessEqual(set(zeros), {0, 4}, name)
            self.assertEqual(zeros.count(4), round(0.8 * len(zeros)), name)
        message = recipe("train", self.data, "-o", out, *SHAPE, *STEPS, *PRUNING, expect=1)
        self.assertIn("expected the --structure with which the run began, 1x4, found unstructured", message)

    def test_a_run_that_was_stopped_goes_on_to_the_same_weights(self):
        again = self.folder / "again"
        again.mkdir()
        shutil.copyfile(self.run_folder / "state-6.pt", again / "state.pt")
        recipe("train", self.data, "-o", again, *SHAPE, *STEPS, *PRUNING)
        recipe("export", self.data, again / "state.pt", "-o", self.folder / "model-again", "--dtype", "float32")
        self.assertEqual((self.folder / "model-again" / "model.safetensors").read_bytes(), (self.model / "model.safetensors").read_bytes())

    def test_a_run_in_pieces_ends_with_the_same_weights(self):
        pieces = self.folder / "pieces"
        command = ("train", self.data, "-o", pieces, *SHAPE, *STEPS, *PRUNING)
        for step in (1, 2):
            self.assertIn(f"train: stopped after step {step}; ", recipe(*command, "--stop-after", 0))
        self.assertIn("12 steps, density", recipe(*command, "--stop-after", 1e6))
        recipe("export", self.data, pieces / "state.pt", "-o", self.folder / "model-pieces", "--dtype", "float32")
        self.assertEqual((self.folder / "model-pieces" / "model.safetensors").read_bytes(), (self.model / "model.safetensors").read_bytes())

    def test_a_rate_that_is_too_high_is_told_and_nothing_is_saved(self):
        wild = self.folder / "wild"
        message = recipe("train", self.data, "-o", wild, *SHAPE, *STEPS, "--muon-rate", 1e30, expect=1)
        self.assertRegex(message, r"\Atrain: step \d+: expected finite losses, found .*\n\Z")
        self.assertFalse((wild / "state.pt").exists())

    def test_a_run_branches_off_and_learns_from_another(self):
        branch = self.folder / "branch"
        recipe("train", self.data, "-o", branch, *SHAPE, *STEPS[2:], "--steps", 8, "--start", self.run_folder / "state-6.pt",
               "--teacher", self.run_folder / "state.pt")
        lines = [json.loads(line) for line in (branch / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        self.assertEqual(lines[-1]["step"], 8)
        self.assertEqual(lines[-1]["zeros"], 0)
        self.assertLess(lines[-1]["loss"], 6)

    def test_what_is_wrong_is_said_in_one_line(self):
        broken = self.folder / "broken"
        shutil.copytree(self.model, broken)
        weights = (self.model / "model.safetensors").read_bytes()
        for name, data in {"no": b"", "cut": weights[:-1], "header": struct.pack("<Q", 1 << 62) + weights[8:]}.items():
            (broken / "model.safetensors").write_bytes(data)
            message = recipe("evaluate", broken, self.held_out, expect=1)
            self.assertRegex(message, r"\Aevaluate: .*expected .*found .*\n\Z", name)
        (broken / "state.pt").write_bytes(weights[:100])
        for arguments in (["-o", broken], ["-o", self.folder / "x", "--sparsity", 1.5], ["-o", self.run_folder, "--dim", 64],
                          ["-o", self.run_folder, *PRUNING, "--seed", 2], ["-o", self.run_folder, *PRUNING, "--sparsity", 0.7],
                          ["-o", self.folder / "x", "--start", self.run_folder / "state.pt"]):
            message = recipe("train", self.data, *SHAPE, *STEPS, *arguments, expect=1)
            self.assertRegex(message, r"\Atrain: .*expected .*found .*\n\Z")
        self.assertRegex(recipe("export", self.data, self.run_folder / "state.pt", "-o", self.model, expect=1), r"\Aexport: .*exists\n\Z")

    def test_a_state_runs_no_code(self):
        trace, state = self.folder / "trace", self.folder / "foreign.pt"

        class Opens:
            def __reduce__(self):
                return open, (str(trace), "w")

        state.write_bytes(pickle.dumps(Opens(), protocol=2))
        message = recipe("export", self.data, state, "-o", self.folder / "x", expect=1)
        self.assertRegex(message, r"\Aexport: .*expected .*found .*\n\Z")
        self.assertFalse(trace.exists())


if __name__ == "__main__":
    if PYTHON is None:
        print("skipped: Python has no PyTorch, NumPy and regex here; scripts/install_packages --train installs them")
        sys.exit(77)
    unittest.main()
