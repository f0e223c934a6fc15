"""colonnade quality as a user meets it: its numbers are those of prune, pack, inspect and perplexity by hand. argv[1] is the binary, argv[2] the
repository."""
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree
from pathlib import Path

REPOSITORY = Path(sys.argv.pop(2)).resolve()
PROGRAM = os.path.abspath(sys.argv.pop(1))
DEMO = REPOSITORY / "deploy/demo"
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("COLONNADE_")}
TEXT = "Once upon a time there was a king who had three sons, and the youngest of them was called Hans. " * 6
CALIBRATION = "One day the fox went down to the river to see the moon. " * 100
WINDOW = ("--window", "64")


class Quality(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="colonnade-quality-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.out = self.folder / "out"
        self.text = self.folder / "text.txt"
        self.text.write_text(TEXT)
        calibration = self.folder / "calibration.txt"
        calibration.write_text(CALIBRATION)
        self.calibration = ("--calibration", calibration, "--calibration-windows", "4", "--calibration-length", "64")

    def run_program(self, *arguments):
        done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=150, stdin=subprocess.DEVNULL,
                              env=ENVIRONMENT)
        return done.returncode, done.stdout, done.stderr

    def output_of(self, *arguments):
        status, out, err = self.run_program(*arguments)
        self.assertEqual(status, 0, err)
        return out

    def quality(self, out, *arguments):
        return self.run_program("quality", DEMO, "-o", out, "--text", self.text, *WINDOW, *self.calibration, *arguments)

    def refused(self, result, *parts, status=2):
        self.assertEqual(result[0], status, result[2])
        self.assertEqual(result[1], "")
        lines = [line for line in result[2].splitlines() if line.startswith("colonnade: ")]
        self.assertEqual(len(lines), 1, result[2])
        for part in parts:
            self.assertIn(part, lines[0])

    def bytes_of_token(self, packed):
        """What a token reads, from what inspect says: all paths, the embedding as it is the head too, of experts those that are active."""
        config = json.loads((DEMO / "config.json").read_text())
        self.assertTrue(config["tie_word_embeddings"])
        total = 0
        for path in json.loads(self.output_of("inspect", packed, "--paths", "--json"))["paths"]:
            what = path["matrices"][0]["what"] if path["matrices"] else ""
            if what.startswith("feed-forward"):
                total += path["bytes"] * config["num_experts_per_tok"] / config["num_experts"]
            else:
                total += path["bytes"]
        return total

    def by_hand(self, name, prune, values):
        pruned, packed = self.folder / f"{name}-pruned", self.folder / f"{name}-packed"
        if prune:
            self.output_of("prune", DEMO, "-o", pruned, *prune, *self.calibration)
        self.output_of("pack", pruned if prune else DEMO, "-o", packed, "--values", values)
        found = json.loads(self.output_of("perplexity", packed, self.text, *WINDOW, "--reference", DEMO, "--cache", self.folder / "cache", "--json"))
        return found, self.bytes_of_token(packed)

    def test_numbers_are_those_of_the_steps_by_hand(self):
        status, out, err = self.quality(self.out, "--sparsity", "0.93", "--values", "int4", "--methods", "wanda,sparsegpt+refit", "--format", "json")
        self.assertEqual(status, 0, err)
        rows = {row["name"]: row for row in json.loads(out)["rows"]}
        self.assertEqual(list(rows), ["dense int4", "wanda 93 % int4", "sparsegpt+refit 93 % int4"])
        sparse = ("--sparsity", "0.93")
        cases = {"dense int4": ((), "int4"),
                 "wanda 93 % int4": ((*sparse, "--method", "wanda"), "int4"),
                 "sparsegpt+refit 93 % int4": ((*sparse, "--refit", "--values", "int4"), "int4")}
        for name, (prune, values) in cases.items():
            with self.subTest(name):
                wanted, token_bytes = self.by_hand(name.replace(" ", "-").replace("%", ""), prune, values)
                for key in ("perplexity", "perplexity_error", "mean_nll", "bits_per_byte", "tokens", "kl_divergence", "top_1_agreement"):
                    self.assertEqual(rows[name][key], wanted[key], key)
                self.assertAlmostEqual(rows[name]["bytes_per_token"] / token_bytes, 1, places=3)
        self.assertAlmostEqual(rows["wanda 93 % int4"]["sparsity"], 0.93, places=2)
        self.assertLess(rows["wanda 93 % int4"]["bytes_per_token"], rows["dense int4"]["bytes_per_token"])

        self.assertEqual(sorted(path.name for path in self.out.iterdir()), [".quality.json", "plot.svg", "points", "table.csv", "table.json", "table.md"])
        self.assertEqual(len(list((self.out / "points").iterdir())), 3)
        table = (self.out / "table.md").read_text()
        for name in rows:
            self.assertIn(f"| {name} |", table)
        with open(self.out / "table.csv", encoding="utf-8", newline="") as file:
            self.assertEqual([row["name"] for row in csv.DictReader(file)], list(rows))
        picture = xml.etree.ElementTree.parse(self.out / "plot.svg").getroot()
        words = [node.text for node in picture.iter("{http://www.w3.org/2000/svg}text")]
        for word in ("dense", "wanda", "sparsegpt+refit", "int4 values", "best of its size"):
            self.assertEqual(words.count(word), 1, word)

    def test_a_killed_run_goes_on(self):
        options = ("--sparsity", "0.9,0.95", "--values", "int8,int4", "--methods", "magnitude", "--no-compare", "--format", "csv")
        status, wanted, err = self.quality(self.out, *options)
        self.assertEqual(status, 0, err)
        killed = self.folder / "killed"
        process = subprocess.Popen([PROGRAM, *map(str, ("quality", DEMO, "-o", killed, "--text", self.text, *WINDOW, *self.calibration, *options))],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=ENVIRONMENT)
        while process.poll() is None and len(list(killed.glob("points/*.json"))) < 3:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = {path: path.stat().st_mtime_ns for path in killed.glob("points/*.json")}
        self.assertGreaterEqual(len(before), 3)
        status, out, err = self.quality(killed, *options)
        self.assertEqual(status, 0, err)
        self.assertEqual(out, wanted)
        for path, when in before.items():
            self.assertEqual(path.stat().st_mtime_ns, when, path)
        self.assertFalse((killed / "work").exists())
        for name in ("table.md", "table.csv", "table.json", "plot.svg"):
            self.assertEqual((killed / name).read_bytes(), (self.out / name).read_bytes(), name)

        # Another text is another measurement; a broken result is measured again.
        next(iter(before)).write_text("{")
        status, out, err = self.quality(killed, *options)
        self.assertEqual((status, out), (0, wanted), err)
        self.assertIn("measured again", err)
        self.text.write_text(TEXT[:200])
        status, out, err = self.quality(killed, *options)
        self.assertEqual(status, 0, err)
        self.assertNotEqual(out, wanted)

    def test_other_models_and_structures(self):
        packed = self.folder / "packed"
        self.output_of("pack", DEMO, "-o", packed, "--values", "int8")
        status, out, err = self.quality(self.out, "--sparsity", "0.9", "--values", "bf16,int4", "--methods", "magnitude", "--structure", "2:4,n:64",
                                        "--also", packed, "--also", DEMO, "--keep", "--format", "json")
        self.assertEqual(status, 0, err)
        rows = json.loads(out)["rows"]
        self.assertEqual([row["name"] for row in rows],
                         ["dense bf16", "dense int4", "demo bf16", "demo int4", "packed", "magnitude 2:4 bf16", "magnitude 2:4 int4",
                          "magnitude n:64 90 % bf16", "magnitude n:64 90 % int4"])
        self.assertEqual(rows[4]["values"], "int8")
        self.assertEqual((rows[0]["kl_divergence"], rows[0]["top_1_agreement"]), (0, 1))
        for key in ("perplexity", "bytes_per_token", "kl_divergence"):
            self.assertEqual(rows[1][key], rows[3][key])
        self.assertGreaterEqual(rows[5]["sparsity"], 0.5)
        self.assertTrue(any((self.out / "work").iterdir()))

    def test_mistakes(self):
        self.refused(self.run_program("quality", DEMO, "--text", self.text), "--output")
        self.refused(self.run_program("quality", DEMO, "-o", self.out), "--text")
        for option, value in (("--sparsity", "0.5,1.5"), ("--sparsity", "half"), ("--values", "int4,int3"), ("--methods", "wanda,obs"), ("--structure", "5:4"),
                              ("--values", "int4,,int8")):
            self.refused(self.quality(self.out, option, value), option)
        self.refused(self.quality(self.out, "--also", self.folder / "nothing"), "nothing", status=1)
        self.refused(self.run_program("quality", self.folder / "nothing", "-o", self.out, "--text", self.text, "--methods", "magnitude"), "nothing", status=1)
        self.refused(self.run_program("quality", REPOSITORY / "tests/data/golden/bert", "-o", self.out, "--text", self.text, "--methods", "magnitude"),
                     "encoder")
        self.assertFalse(self.out.exists())
        self.text.write_text("")
        self.refused(self.quality(self.out), "text.txt")
        self.refused(self.run_program("quality", DEMO, "-o", self.out, "--text", self.folder / "none.txt"), "none.txt", status=1)
        other = self.folder / "other"
        other.mkdir()
        (other / "mine").write_text("")
        self.text.write_text(TEXT)
        self.refused(self.quality(other), "mine")
        self.assertEqual([path.name for path in other.iterdir()], ["mine"])

    def test_directories_of_others_are_left_alone(self):
        # One that looks like ours but lacks the mark, and one whose mark says something else.
        for marked in (False, True):
            with self.subTest(marked):
                theirs = self.folder / f"theirs-{marked}"
                (theirs / "work").mkdir(parents=True)
                (theirs / "points").mkdir()
                (theirs / "work/thesis.tex").write_text("years")
                if marked:
                    (theirs / ".quality.json").write_text("{}")
                before = sorted(theirs.rglob("*"))
                self.refused(self.quality(theirs, "--sparsity", "0.9", "--values", "int8", "--methods", "magnitude", "--no-compare"),
                             ".quality.json", str(theirs))
                self.assertEqual(sorted(theirs.rglob("*")), before)

    def test_only_what_decides_a_result_measures_again(self):
        def measured(*options):
            """The points that a run measured anew."""
            before = {path: path.stat().st_mtime_ns for path in self.out.glob("points/*.json")}
            status, _, err = self.quality(self.out, "--sparsity", "0.95", "--values", "int8", "--no-compare", *options)
            self.assertEqual(status, 0, err)
            return sorted(path.name.rsplit("-", 1)[0] for path in self.out.glob("points/*.json") if before.get(path) != path.stat().st_mtime_ns)

        plain = ("--methods", "magnitude")
        self.assertEqual(measured(*plain), ["dense-int8", "magnitude-95-int8"])
        # Calibration is for others, and neither threads nor steps change a bit.
        self.assertEqual(measured("--methods", "magnitude,wanda"), ["wanda-95-int8"])
        for options in (("--threads", "1"), ("--max-step-tokens", "32"), ("--in-flight", "1"), ("--kv-tokens", "4096"), ("--documents", "7"),
                        ("--damping", "0.02"), ("--rate-spread", "0.1")):
            with self.subTest(options):
                self.assertEqual(measured(*plain, *options), [])
        self.calibration = (*self.calibration[:3], "5", *self.calibration[4:])
        self.assertEqual(measured("--methods", "magnitude,wanda"), ["wanda-95-int8"])
        # Two ranks add up in another order; another KV cache and other windows predict otherwise.
        for options in (("--ranks", "2", "--ranks-as", "threads"), ("--kv", "int8"), ("--window", "32")):
            with self.subTest(options):
                self.assertEqual(measured(*plain, *options), ["dense-int8", "magnitude-95-int8"])
        self.assertEqual(measured(*plain, "--kv-tokens", "32"), [])  # the same windows

    def test_windows_that_the_cache_has_no_room_for(self):
        options = ("--sparsity", "0.95", "--values", "int8", "--methods", "magnitude", "--no-compare", "--kv-memory", "64K")
        self.refused(self.quality(self.out, *options), "--window", "64", status=1)


if __name__ == "__main__":
    unittest.main()
