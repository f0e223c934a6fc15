"""colonnade tokenize and detokenize as a user meets them. usage: tokenize_test.py PROGRAM DEMO_MODEL"""
import json
import subprocess
import sys
import tempfile
import unittest

DEMO = sys.argv.pop()
PROGRAM = sys.argv.pop()


def run(*arguments, stdin=b""):
    done = subprocess.run([PROGRAM, *arguments], input=stdin, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


class Tokenize(unittest.TestCase):
    def test_ids_of_the_vocabulary(self):
        with open(f"{DEMO}/tokenizer.json", encoding="utf-8") as file:
            vocabulary = json.load(file)["model"]["vocab"]
        _, out, _ = run("tokenize", DEMO, "--text", "Once upon a time", "--json")
        answer = json.loads(out)
        self.assertEqual(answer["pieces"][0], "<s>")
        self.assertEqual("".join(answer["pieces"][1:]), "▁Once▁upon▁a▁time")
        self.assertEqual([vocabulary[piece] for piece in answer["pieces"]], answer["tokens"])
        self.assertEqual(answer["count"], len(answer["tokens"]))

    def test_special_tokens(self):
        self.assertEqual(run("tokenize", f"{DEMO}/tokenizer.json", "--text", "</s>", "--no-special")[1], b"2\n")
        self.assertEqual(run("tokenize", DEMO, "--text", "</s>")[1], b"1 2\n")
        self.assertGreater(len(run("tokenize", DEMO, "--text", "</s>", "--plain")[1].split()), 3)
        self.assertEqual(run("detokenize", DEMO, "1", "2")[1], b"")
        self.assertEqual(run("detokenize", DEMO, "--special", "1,2")[1], b"<s></s>")

    def test_packed_model(self):
        with tempfile.TemporaryDirectory() as folder:
            packed = f"{folder}/packed"
            self.assertEqual(run("pack", DEMO, "-o", packed)[0], 0)
            self.assertEqual(run("tokenize", packed, "--text", "Once upon"), run("tokenize", DEMO, "--text", "Once upon"))

    def test_any_bytes_go_round(self):
        content = bytes(range(256)) + "  zwölf 😀\n\n".encode() + b"\xe2\x82"
        status, ids, _ = run("tokenize", DEMO, "--plain", stdin=content)
        self.assertEqual(status, 0)
        self.assertEqual(run("detokenize", DEMO, stdin=ids), (0, content, ""))
        self.assertEqual(json.loads(run("detokenize", DEMO, "--json", stdin=ids)[1])["text"][-1], "\ufffd")

    def test_mistakes(self):
        for arguments, words in ((("detokenize", DEMO, "4096"), "0 to 4095"), (("detokenize", DEMO, "x"), '"x"'),
                                 (("tokenize", "/nowhere", "--text", "a"), "/nowhere"),
                                 (("tokenize", __file__, "--text", "a"), "expected a SentencePiece model")):
            status, out, err = run(*arguments)
            self.assertNotEqual(status, 0)
            self.assertEqual(out, b"")
            self.assertEqual(err.count("\n"), 1)
            self.assertIn(words, err)


if __name__ == "__main__":
    unittest.main()
