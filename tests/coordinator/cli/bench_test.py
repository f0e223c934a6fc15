"""colonnade bench as a user meets it: what it prints and what it refuses. Nothing here depends on how fast anything is.
argv[1] is the binary, argv[2] the demo model."""
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

DEMO = os.path.abspath(sys.argv.pop(2))
PROGRAM = os.path.abspath(sys.argv.pop(1))
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("COLONNADE_")}
SHAPE = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 256, "intermediate_size": 512,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 512,
         "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "tie_word_embeddings": False}


def run(*arguments):
    done = subprocess.run([PROGRAM, "bench", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=150,
                          stdin=subprocess.DEVNULL, env=ENVIRONMENT)
    return done.returncode, done.stdout, done.stderr


class Bench(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="colonnade-bench-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.shape = self.folder / "config.json"
        self.shape.write_text(json.dumps(SHAPE), encoding="utf-8")

    def refused(self, result, *parts, status=2):
        self.assertEqual(result[0], status, result[2])
        self.assertEqual(result[1], "")
        lines = [line for line in result[2].splitlines() if line.startswith("colonnade: ")]
        self.assertEqual(len(lines), 1, result[2])
        for part in parts:
            self.assertIn(part, lines[0])

    def test_a_sweep_of_a_synthetic_model(self):
        plot = self.folder / "plot.svg"
        status, out, err = run("--synthetic", self.shape, "--values", "int8", "--sparsity", "0,0.9", "--batch", "1,3", "--pp", 16,
                               "--tg", 4, "--repetitions", 2, "--layouts", "1x1,2x1", "--format", "json", "--plot", plot)
        self.assertEqual(status, 0, err)
        self.assertIn("of memory (weights", err)
        rows = json.loads(out)
        self.assertEqual([(r["sparsity"], r["ranks"], r["test"], r["batch"]) for r in rows],
                         [(s, n, t, b) for s in (0.0, 0.9) for n in (1, 2) for t, b in (("pp16", 1), ("tg4", 1), ("tg4", 3))])
        projections = 2 * (256 * 256 * 2 + 256 * 128 * 2 + 3 * 256 * 512)
        for row in rows:
            self.assertGreater(row["tokens_per_second"], 0)
            self.assertEqual(row["structure"], "unstructured" if row["sparsity"] else "dense")
            if row["test"] == "pp16":
                continue
            self.assertGreater(row["fraction_of_read_bandwidth"], 0)
            if row["sparsity"] == 0:  # a byte a weight, the head too, and scales; no row of the embedding
                self.assertGreater(row["bytes_per_step"], projections + 512 * 256)
                self.assertLess(row["bytes_per_step"], 1.15 * (projections + 512 * 256))
            else:
                self.assertLess(row["bytes_per_step"], 0.6 * projections + 1.15 * 512 * 256)
        first = [r for r in rows if r["ranks"] == 1 and r["sparsity"] == 0]
        self.assertTrue(all(r["ratio"] == 1.0 for r in first))
        picture = xml.etree.ElementTree.parse(plot).getroot()
        self.assertEqual(len(picture.findall("{http://www.w3.org/2000/svg}polyline")), 2 * 3)

    def test_csv_of_a_real_model(self):
        status, out, err = run(DEMO, "--cache", self.folder, "--pp", 0, "--tg", 4, "--repetitions", 1, "--layouts", "1x1",
                               "--format", "csv", "--values", "int8")
        self.assertEqual(status, 0, err)
        rows = list(csv.DictReader(io.StringIO(out)))
        self.assertEqual(len(rows), 1)
        self.assertEqual((rows[0]["model"], rows[0]["test"], rows[0]["sparsity"]), ("demo", "tg4", "0.8500"))

    def test_balanced_structures_and_a_forced_format(self):
        status, out, err = run("--synthetic", self.shape, "--values", "int8", "--structure", "4:64", "--weight-format", "permute-int8",
                               "--pp", 0, "--tg", 2, "--repetitions", 1, "--format", "json", "--layouts", "1x1")
        self.assertEqual(status, 0, err)
        row = json.loads(out)[0]
        self.assertEqual((row["structure"], row["sparsity"]), ("4:64", 0.9375))
        self.assertTrue(row["weights"].startswith("permute-int8 "), row["weights"])

    def test_blocks_of_four(self):
        status, out, err = run("--synthetic", self.shape, "--values", "int8", "--structure", "1x4", "--sparsity", "0.75", "--pp", 0, "--tg", 2,
                               "--repetitions", 1, "--format", "json", "--layouts", "1x1")
        self.assertEqual(status, 0, err)
        row = json.loads(out)[0]
        self.assertEqual((row["structure"], row["sparsity"]), ("1x4", 0.75))
        status, out, err = run("kernels", "--weight-format", "bitmask-int8", "--tokens", "1", "--sparsity", "0.5", "--structure", "1x4,2:4",
                               "--cols", 256, "--repetitions", 1, "--isa", "scalar", "--format", "csv")
        self.assertEqual(status, 0, err)
        self.assertEqual({(r["structure"], r["density"]) for r in csv.DictReader(io.StringIO(out))}, {("1x4", "0.5000"), ("2:4", "0.5000")})

    def test_files_that_cannot_be_written_are_refused_before_anything_is_measured(self):
        for option, what in (("--plot", ("--synthetic", self.shape)), ("--write-costs", ("kernels",))):
            for path, why in ((self.folder, "a directory"), (self.folder / "none" / "file", f"there is no directory {self.folder / 'none'}")):
                self.refused(run(*what, option, path), f"{option}: expected a file that can be written, found {path}: {why}")

    def test_kernels_and_their_costs(self):
        costs = self.folder / "costs.json"
        status, out, err = run("kernels", "--weight-format", "int8,bitmask-int8", "--tokens", "1,4", "--sparsity", "0.5",
                               "--structure", "unstructured", "--cols", 256, "--repetitions", 1, "--isa", "scalar", "--format", "csv",
                               "--write-costs", costs)
        self.assertEqual(status, 0, err)
        rows = list(csv.DictReader(io.StringIO(out)))
        self.assertEqual({(r["format"], r["density"]) for r in rows}, {("int8", "1.0000"), ("bitmask-int8", "0.5000")})
        table = json.loads(costs.read_text())
        self.assertEqual(len(table["costs"]), 4)
        self.assertTrue(all(c["core_seconds_per_weight"] > 0 and c["memory_core_seconds_per_weight"] > 0 for c in table["costs"]))
        status, out, err = run("--synthetic", self.shape, "--values", "int8", "--sparsity", "0.5", "--costs", costs, "--isa", "scalar",
                               "--pp", 0, "--tg", 1, "--repetitions", 1, "--layouts", "1x1", "--format", "json")
        self.assertEqual(status, 0, err)
        self.assertNotIn("permute", json.loads(out)[0]["weights"])  # nobody has measured it

    def test_joins(self):
        status, out, err = run("join", "--ranks", 3, "--format", "json")
        self.assertEqual(status, 0, err)
        rows = json.loads(out)["rows"]
        self.assertEqual({r["what"] for r in rows}, {"team: start and end of a piece of work", "team: barrier",
                                                     "team: sum of each core's part", "join of ranks", "message between ranks 0 and 1"})
        self.assertTrue(all(0 < r["median_us"] <= r["p99_us"] for r in rows))

    def test_what_does_not_fit_is_refused_before_it_starts(self):
        self.shape.write_text(json.dumps({**SHAPE, "hidden_size": 1 << 17, "num_attention_heads": 1024, "num_hidden_layers": 1,
                                          "vocab_size": 1 << 23}), encoding="utf-8")
        self.refused(run("--synthetic", self.shape, "--values", "f32", "--pp", 8, "--tg", 8), "8.1 TiB of memory", "are free", status=1)

    def test_mistakes(self):
        self.refused(run(), "expected a model")
        self.refused(run("--synthetic", "llama-9"), "llama-9", "llama-3.1-8b", status=1)
        self.refused(run("--synthetic", self.shape, "--sparsity", "1.5"), "--sparsity", "1.5")
        self.refused(run("--synthetic", self.shape, "--structure", "5:4"), "--structure", "5:4")
        self.refused(run("--synthetic", self.shape, "--structure", "1x3"), "--structure", "1x3")
        self.refused(run("--synthetic", self.shape, "--batch", "0"), "--batch")
        self.refused(run("--synthetic", self.shape, "--layouts", "2"), "--layouts")
        self.refused(run("--synthetic", self.shape, "--weight-format", "int9"), "--weight-format", "int9")
        self.refused(run("--synthetic", self.shape, "--values", "int8", "--weight-format", "bf16"), "--values int8")
        self.refused(run("--synthetic", self.shape, "--pp", 600), "context of 512")
        self.refused(run("--synthetic", self.shape, "--pp", 0, "--tg", 0), "--tg")
        self.refused(run(DEMO, "--sparsity", "0.5"), "--sparsity with --synthetic only")
        self.refused(run(DEMO, "--synthetic", "llama-3.1-8b"), "found both")
        self.refused(run("--synthetic", self.shape, "--costs", self.folder / "none.json"), "none.json", status=1)
        self.refused(run("kernels", "--weight-format", "int9"), "int9", "bf16")


unittest.main()
