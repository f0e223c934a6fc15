"""An encoder served to clients, against vectors that another implementation computed.
usage: embed_test.py PROGRAM GOLDEN_BERT"""
import base64
import http.client
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

GOLDEN = os.path.abspath(sys.argv.pop())
PROGRAM = os.path.abspath(sys.argv.pop())
SCRATCH = tempfile.TemporaryDirectory()
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("COLONNADE_")}
ENVIRONMENT.update(XDG_CACHE_HOME=SCRATCH.name, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
MODEL = os.path.join(SCRATCH.name, "bert")


def make_model():
    """The golden's weights and a WordPiece tokenizer for its 280 tokens: letters stand for 5 and the numbers after it."""
    shutil.copytree(GOLDEN, MODEL)
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
    vocabulary.update({chr(ord("a") + i): 5 + i for i in range(26)})
    vocabulary.update({f"##{i}": i for i in range(31, 280)})
    special = [{"id": i, "content": token, "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
               for token, i in vocabulary.items() if token.startswith("[")]
    framed = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
              {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]
    tokenizer = {
        "version": "1.0", "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": framed, "pair": framed,
                           "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                                              "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                  "vocab": vocabulary}}
    with open(os.path.join(MODEL, "tokenizer.json"), "w", encoding="utf-8") as file:
        json.dump(tokenizer, file)


def golden_tensor(name):
    with open(os.path.join(GOLDEN, "golden.safetensors"), "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))[name]
        begin, end = header["data_offsets"]
        file.seek(8 + length + begin)
        kind = "i" if header["dtype"] == "I32" else "f"
        return list(struct.unpack(f"<{(end - begin) // 4}{kind}", file.read(end - begin)))


class Server:
    def __init__(self, *options):
        self.log = tempfile.NamedTemporaryFile("w+", dir=SCRATCH.name)
        command = [PROGRAM, "serve", MODEL, "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=ENVIRONMENT, stdin=subprocess.DEVNULL)
        self.port = None
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.port is None:
            self.log.seek(0)
            found = re.search(r"ready after .*:(\d+)\s*$", self.log.read(), re.M)
            if found:
                self.port = int(found.group(1))
            elif self.process.poll() is not None:
                break
            else:
                time.sleep(0.05)
        if self.port is None:
            self.log.seek(0)
            self.process.kill()
            raise AssertionError("the server did not start:\n" + self.log.read())

    def post(self, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        try:
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.log.close()
        return status


def difference(a, b):
    assert len(a) == len(b), (len(a), len(b))
    return max(abs(x - y) for x, y in zip(a, b))


class EmbedTest(unittest.TestCase):
    def check_server(self, *options):
        tokens, expected = golden_tensor("tokens"), golden_tensor("embedding_mean_norm")
        server = Server("--kv", "f32", "--values", "f32", *options)
        try:
            status, answer = server.post("/v1/embeddings", {"input": tokens})
            self.assertEqual(status, 200, answer)
            self.assertLess(difference(answer["data"][0]["embedding"], expected), 1e-4)
            self.assertEqual(answer["usage"], {"prompt_tokens": len(tokens), "total_tokens": len(tokens)})
            # Many lengths together, the golden among them; more tokens than one step takes.
            inputs = [tokens[: 1 + i % len(tokens)] for i in range(100)]
            status, answer = server.post("/v1/embeddings", {"input": inputs, "encoding_format": "base64"})
            self.assertEqual(status, 200, answer)
            vectors = [list(struct.unpack("<64f", base64.b64decode(one["embedding"]))) for one in answer["data"]]
            self.assertLess(difference(vectors[len(tokens) - 1], expected), 1e-4)
            self.assertLess(difference(vectors[3], vectors[3 + len(tokens)]), 1e-6)
            # Texts: [CLS] a b [SEP].
            _, text = server.post("/v1/embeddings", {"input": "A b"})
            _, ids = server.post("/v1/embeddings", {"input": [2, 5, 6, 3]})
            self.assertEqual(text["data"], ids["data"])
            status, answer = server.post("/v1/completions", {"prompt": "a"})
            self.assertEqual(status, 400)
            self.assertIn("is an encoder", answer["error"]["message"])
            status, answer = server.post("/v1/embeddings", {"input": [5] * 65})
            self.assertEqual((status, answer["error"]["code"]), (400, "context_length_exceeded"))
        finally:
            self.assertEqual(server.stop(), 0)

    def test_one_rank(self):
        self.check_server()

    def test_three_ranks(self):
        self.check_server("--ranks", "3")

    def test_embed_command(self):
        run = subprocess.run([PROGRAM, "embed", MODEL, "a b", "c"], env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
        self.assertEqual(run.returncode, 0, run.stderr)
        lines = [json.loads(line) for line in run.stdout.splitlines()]
        self.assertEqual([len(line) for line in lines], [64, 64])
        self.assertAlmostEqual(sum(x * x for x in lines[0]), 1, places=4)

    def test_run_says_what_an_encoder_is(self):
        run = subprocess.run([PROGRAM, "run", MODEL, "a b"], env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("encoder", run.stderr)


make_model()
unittest.main(verbosity=2)
