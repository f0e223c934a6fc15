#!/usr/bin/env python3
"""colonnade perplexity: windows, strides and bits per byte of the demo model.

usage: perplexity_test.py COLONNADE SOURCE_DIRECTORY
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
DEMO = SOURCE / "deploy" / "demo"
TEXT = "Once upon a time there was a king who had three sons, and the youngest of them was called Hans. " * 12


class Perplexity(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="colonnade-test-")
        self.text = pathlib.Path(self.folder.name) / "text"
        self.text.write_text(TEXT)

    def tearDown(self):
        self.folder.cleanup()

    def run_program(self, *arguments):
        command = [PROGRAM, "perplexity", DEMO, self.text, "--cache", pathlib.Path(self.folder.name) / "cache", *arguments]
        return subprocess.run([str(a) for a in command], capture_output=True, text=True, timeout=120)

    def measure(self, *arguments):
        done = self.run_program("--json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_bits_per_byte_are_those_of_the_scored_text(self):
        whole = self.measure("--window", "1024")
        self.assertEqual(whole["windows"], 1)
        # All but what the first token stands for, when nothing begins a text.
        self.assertLessEqual(abs(whole["bytes"] - len(TEXT.strip())), 12)
        bits = whole["mean_nll"] * whole["tokens"] / math.log(2) / whole["bytes"]
        self.assertAlmostEqual(whole["bits_per_byte"], bits, places=9)

    def test_a_stride_scores_every_token_once(self):
        apart = self.measure("--window", "64")
        strided = self.measure("--window", "64", "--stride", "16")
        whole = self.measure("--window", "1024")
        self.assertGreater(strided["windows"], 2 * apart["windows"])
        self.assertEqual(strided["tokens"], whole["tokens"])
        self.assertEqual(strided["bytes"], whole["bytes"])
        # The text repeats itself: more context predicts it better.
        self.assertLess(strided["perplexity"], apart["perplexity"])
        self.assertEqual(self.measure("--window", "64", "--stride", "64")["perplexity"], apart["perplexity"])

    def test_distance_from_a_reference_is_that_of_the_logits(self):
        same = self.measure("--window", "64", "--reference", DEMO)
        self.assertEqual(same["kl_divergence"], 0)
        self.assertEqual(same["top_1_agreement"], 1)
        self.text.write_text("Once upon a time there was a king who had three sons")
        found = self.measure("--values", "int4", "--reference", DEMO)
        tokens = self.tokens(found["tokens"])
        wanted, model = self.logits(tokens), self.logits(tokens, "--values", "int4")
        divergence, same = 0.0, 0
        for p, q in zip(wanted[:-1], model[:-1]):
            log_p, log_q = (self.log_softmax(row) for row in (p, q))
            divergence += sum(math.exp(a) * (a - b) for a, b in zip(log_p, log_q))
            same += p.index(max(p)) == q.index(max(q))
        self.assertGreater(found["kl_divergence"], 1e-4)
        self.assertAlmostEqual(found["kl_divergence"], divergence / (len(tokens) - 1), places=5)
        self.assertAlmostEqual(found["top_1_agreement"], same / (len(tokens) - 1), places=9)

    def tokens(self, n_scored):
        done = subprocess.run([PROGRAM, "tokenize", str(DEMO), "--text", self.text.read_text(), "--json"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        tokens = json.loads(done.stdout)["tokens"]
        self.assertEqual(len(tokens), n_scored + 1)
        return tokens

    def logits(self, tokens, *arguments):
        command = [PROGRAM, "logits", DEMO, "--tokens", ",".join(map(str, tokens)), "--json", "--cache",
                   pathlib.Path(self.folder.name) / "cache", *arguments]
        done = subprocess.run([str(a) for a in command], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["logits"]

    @staticmethod
    def log_softmax(row):
        largest = max(row)
        total = largest + math.log(sum(math.exp(x - largest) for x in row))
        return [x - total for x in row]

    def test_mistakes(self):
        for arguments in (["--stride", "-1"], ["--window", "64", "--stride", "65"]):
            done = self.run_program(*arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn("--stride", done.stderr)
        self.text.write_text("")
        done = self.run_program()
        self.assertEqual(done.returncode, 2)
        self.assertIn("found no document", done.stderr)
        for text in (self.folder.name, "/dev/zero"):  # a directory, and a text without end
            done = subprocess.run([PROGRAM, "perplexity", DEMO, text], capture_output=True, text=True, timeout=120, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr, rf"\Acolonnade: {text}: .*\n\Z")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
