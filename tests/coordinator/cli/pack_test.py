"""colonnade pack and inspect as a user meets them. argv[1] is the binary, argv[2] the repository."""
import json
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
SHARED = Path(os.environ.get("COLONNADE_SHARED", REPOSITORY / "../shared"))
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("COLONNADE_")}


def run(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=100,
                          stdin=subprocess.DEVNULL, env=ENVIRONMENT)
    return done.returncode, done.stdout, done.stderr


class Pack(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="colonnade-pack-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.out = self.folder / "packed"

    def pack_demo(self, *options):
        status, out, err = run("pack", DEMO, "-o", self.out, *options)
        self.assertEqual(status, 0, err)
        return out, err

    def assert_refused(self, result, *parts, expected_status=1):
        status, out, err = result
        self.assertEqual(status, expected_status, err)
        lines = [line for line in err.splitlines() if line.startswith("colonnade: ")]
        self.assertEqual(len(lines), 1, err)
        for part in parts:
            self.assertIn(part, lines[0])

    def test_pack_and_inspect(self):
        out, err = self.pack_demo("--format", "int8", "--threads", "2")
        self.assertIn("77 paths", out)
        self.assertIn("of disk (", err)
        self.assertIn("of memory", err)
        status, text, _ = run("inspect", self.out)
        self.assertEqual(status, 0)
        self.assertIn("8 experts of 256 neurons, 2 active", text)
        self.assertRegex(text, r"feed-forward, down +int8 +40 +1966080 +15\.00 %")

        report = json.loads(run("inspect", self.out, "--json", "--paths", "--verify")[1])
        self.assertEqual(report["name"], "demo")
        self.assertEqual(report["parameters"], 7247744)
        # 0.15000465… of the projection weights are not zero, by the model's own expected.json.
        projections = [row for row in report["rows"] if row["what"].startswith(("attention", "feed-forward"))]
        weights = sum(row["weights"] for row in projections)
        density = sum(row["weights"] * row["density"] for row in projections) / weights
        self.assertAlmostEqual(density, json.loads((DEMO / "expected.json").read_text())["projection_density"], places=9)
        self.assertEqual(len(report["paths"]), report["n_paths"])
        self.assertEqual(report["verified"]["bytes"], report["blob_bytes"])
        self.assertEqual(sum(path["bytes"] for path in report["paths"]), report["blob_bytes"])
        self.assertIn("tokenizer.json", report["source_files"])
        self.assertTrue(all(path["offset"] % 4096 == 0 for path in report["paths"]))

    def test_formats_are_chosen_by_zeros_and_costs(self):
        def formats(*options):
            self.pack_demo(*options)
            rows = json.loads(run("inspect", self.out, "--json")[1])["rows"]
            shutil.rmtree(self.out)
            return {row["what"]: row for row in rows if not row["what"].startswith("norms")}

        if "avx2" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
            self.skipTest("by the scalar kernels' costs zeros are not worth it")
        # 85 % of the projections are zero, nothing of the embedding, which is also the head.
        chosen = formats("--values", "int8")
        self.assertEqual(chosen["embedding"]["format"], "int8")
        dense = formats("--values", "int8", "--format", "int8")
        self.assertEqual({row["format"] for row in dense.values()}, {"int8"})
        for what in ("feed-forward, gate", "feed-forward, up", "feed-forward, down"):
            self.assertTrue(chosen[what]["format"].endswith("-int8"), chosen[what])
            self.assertLess(chosen[what]["bytes"], 0.5 * dense[what]["bytes"])
            self.assertLess(chosen[what]["predicted_us_per_token"], dense[what]["predicted_us_per_token"])
            self.assertIn("int8", chosen[what]["alternatives_us_per_token"])
        self.assertEqual(formats("--values", "int8", "--head-values", "f32")["embedding"]["format"], "f32")

        # Where only dense int8 was measured, nothing else is chosen.
        costs = self.folder / "costs.json"
        costs.write_text(json.dumps({"version": 1, "cores": 1, "core_bytes_per_second": 1e9, "costs": [
            {"isa": "scalar", "format": "int8", "structure": "dense", "density": 1, "tokens": 1, "bits_per_weight": 8,
             "core_seconds_per_weight": 1e-10, "memory_core_seconds_per_weight": 0}]}), encoding="utf-8")
        measured = formats("--values", "int8", "--costs", costs, "--isa", "scalar")
        self.assertEqual({row["format"] for row in measured.values()}, {"int8"})

    def test_a_damaged_blob_is_found_by_verify(self):
        self.pack_demo()
        with open(self.out / "model-00000.paths", "r+b") as file:
            file.seek(4096 * 100)
            byte = file.read(1)
            file.seek(4096 * 100)
            file.write(bytes([byte[0] ^ 1]))
        self.assertEqual(run("inspect", self.out)[0], 0)
        self.assert_refused(run("inspect", self.out, "--verify"), "blob of", "checksum", "model-00000.paths")

    def test_a_gguf_file_is_a_model(self):
        golden = SHARED / "golden/llama/llama.Q4_0.gguf"
        if not golden.exists():
            self.skipTest(f"{golden} is not there")
        source = self.folder / "small.gguf"
        shutil.copy(golden, source)
        status, text, _ = run("inspect", source)
        self.assertEqual(status, 0)
        self.assertRegex(text, r"Q4_0 +16 +126976 +69\.8 KiB +4\.500")
        report = json.loads(run("inspect", source, "--json", "--paths")[1])
        self.assertEqual(report["parameters"], 127296)
        self.assertIn("model.layers.1.mlp.down_proj.weight", [tensor["name"] for tensor in report["tensors"]])
        status, out, err = run("pack", source, "-o", self.out, "--values", "f32")
        self.assertEqual(status, 0, err)
        self.assertEqual(json.loads(run("inspect", self.out, "--json")[1])["name"], "small")
        for model in (source, self.out):
            status, out, err = run("run", model, "a b", "--max-tokens", "3", "--cache", self.folder / "cache")
            self.assertEqual(status, 0, err)
        text = self.folder / "text"
        text.write_text("once upon a time " * 4)
        self.assertIn("perplexity", run("perplexity", source, text, "--cache", self.folder / "cache")[1])
        self.assertEqual(run("tokenize", source, "--text", "a b")[1], run("tokenize", self.out, "--text", "a b")[1])
        with open(source, "r+b") as file:
            file.truncate(60000)
        self.assert_refused(run("inspect", source), "small.gguf: tensor", "truncated?")
        self.assert_refused(run("inspect", source, "--verify"), "is not packed", expected_status=2)

    def test_mistakes(self):
        self.assert_refused(run("pack", DEMO), "--output", expected_status=2)
        self.assert_refused(run("pack", self.folder / "none", "-o", self.out), "none/config.json", "No such file")
        (self.folder / "manifest.colonnade").write_text("")
        self.assert_refused(run("pack", self.folder, "-o", self.out), "found a packed model", expected_status=2)
        (self.folder / "manifest.colonnade").unlink()
        self.assert_refused(run("inspect", self.folder), "expected a packed model with manifest.colonnade")
        self.assert_refused(run("pack", DEMO, "-o", self.out, "--values", "int3"), "int3", "bf16", expected_status=2)
        self.assert_refused(run("pack", DEMO, "-o", self.out, "--values", "bf16", "--format", "int8"), "--format int8", "--values bf16",
                            expected_status=2)
        self.assert_refused(run("pack", DEMO, "-o", self.out, "--costs", self.folder / "none.json"), "none.json")
        self.assertFalse(self.out.exists())

    def test_a_truncated_source_leaves_nothing(self):
        source = self.folder / "source"
        shutil.copytree(DEMO, source)
        os.truncate(source / "model.safetensors", 2000000)
        self.assert_refused(run("pack", source, "-o", self.out), "model.safetensors", "truncated")
        self.assertFalse(self.out.exists())

    def test_a_killed_pack_does_not_open(self):
        for delay in (0.0, 0.005, 0.01, 0.02, 0.03, 0.05):
            shutil.rmtree(self.out, ignore_errors=True)
            process = subprocess.Popen([PROGRAM, "pack", str(DEMO), "-o", str(self.out), "--values", "f32"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
            end = time.monotonic() + 30
            while not (self.out / "model-00000.paths").exists() and process.poll() is None and time.monotonic() < end:
                time.sleep(0.001)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.wait()
            # Either it had finished, then it is whole, or it does not open.
            status, _, err = run("inspect", self.out, "--verify")
            finished = (self.out / "manifest.colonnade").exists()
            self.assertEqual(status, 0 if finished else 1, err)
            if not finished:
                self.pack_demo()
                self.assertEqual(run("inspect", self.out, "--verify")[0], 0)

    def test_the_demo_model_is_what_make_demo_writes(self):
        source = SHARED / "models/tales/sparse"
        if not source.exists():
            self.skipTest(f"needs {source}")
        subprocess.run([sys.executable, REPOSITORY / "scripts/make_demo", source, self.out], check=True,
                       stdout=subprocess.DEVNULL)
        for path in self.out.iterdir():
            self.assertEqual(path.read_bytes(), (DEMO / path.name).read_bytes(), path.name)


unittest.main()
