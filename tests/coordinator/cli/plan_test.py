"""colonnade plan as a user meets it. usage: plan_test.py PROGRAM DEMO_MODEL"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

DEMO = sys.argv.pop()
PROGRAM = os.path.abspath(sys.argv.pop())
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("COLONNADE_")}
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 256, "num_hidden_layers": 6,
          "num_attention_heads": 8, "num_key_value_heads": 2, "intermediate_size": 1024, "vocab_size": 3000,
          "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "tie_word_embeddings": False, "hidden_act": "silu"}


def run(*arguments):
    done = subprocess.run([PROGRAM, "plan", *arguments], capture_output=True, text=True, check=False, timeout=60,
                          stdin=subprocess.DEVNULL, env=ENVIRONMENT)
    return done.returncode, done.stdout, done.stderr


def plan(*arguments):
    status, out, err = run(*arguments, "--json")
    assert status == 0, err
    return json.loads(out)


class Plan(unittest.TestCase):
    def test_every_layer_is_covered_by_the_runs_of_its_stage(self):
        for arguments in (["llama-3.1-8b", "--ranks", "5", "--stages", "2"], ["qwen3-30b-a3b", "--ranks", "7"],
                          ["llama-3.2-1b", "--ranks", "11", "--stages", "3"]):
            found = plan(*arguments, "--values", "int8", "--memory", "0")
            self.assertEqual(len(found["ranks"]), int(arguments[2]))
            self.assertEqual([s["first_layer"] for s in found["stages"]],
                             [sum(s["n_layers"] for s in found["stages"][:i]) for i in range(len(found["stages"]))])
            self.assertEqual(sum(s["n_layers"] for s in found["stages"]), found["n_layers"])
            for stage in found["stages"]:
                for layer in range(stage["first_layer"], stage["first_layer"] + stage["n_layers"]):
                    runs = [r for rank in stage["ranks"] for r in found["ranks"][rank]["runs"] if r["layer"] == layer]
                    heads = [h for r in runs if r["kind"] == "attention" for h in range(r["first_head"], r["last_head"] + 1)]
                    self.assertEqual(heads, list(range(32)))
                    self.assertTrue(any(r["kind"] == "feed_forward" for r in runs))
            self.assertLess(found["imbalance_percent"], 10)

    def test_a_pruned_model_is_planned_before_it_exists(self):
        dense = plan("llama-3.2-1b", "--values", "int8", "--memory", "0")
        pruned = plan("llama-3.2-1b", "--values", "int8", "--memory", "0", "--sparsity", "0.9", "--structure", "n:64")
        # Groups of 512 neurons instead of 256, where index-permute or gaps are chosen.
        self.assertEqual(dense["n_paths"] - pruned["n_paths"], 16 * (8192 // 256 - 8192 // 512))
        head = 128256 * 2048  # stays dense
        self.assertLess(pruned["model_bytes"] - head, 0.75 * (dense["model_bytes"] - head))
        self.assertEqual(run("llama-3.2-1b", "--sparsity", "2")[0], 2)
        self.assertEqual(run("llama-3.2-1b", "--sparsity", "0.5", "--structure", "5:4")[0], 2)
        blocks = plan("llama-3.2-1b", "--values", "int8", "--memory", "0", "--sparsity", "0.9", "--structure", "1x4")
        self.assertLess(blocks["model_bytes"] - head, 0.75 * (dense["model_bytes"] - head))

    def test_bytes_add_up(self):
        found = plan("llama-3.1-8b", "--ranks", "3", "--values", "int8", "--memory", "64G", "--context", "8192", "--kv", "f32")
        # 32 layers x 8 KV heads x 128 x 2 (keys and values) x 4 bytes for each of 8192 tokens.
        self.assertEqual(sum(rank["kv_bytes"] for rank in found["ranks"]), 32 * 8 * 128 * 2 * 4 * 8192)
        weights = sum(rank["weight_bytes"] for rank in found["ranks"])
        self.assertEqual(weights, found["model_bytes"] + sum(found["extra_copies"].values()))
        # 8030261248 parameters, of which the embedding has 16 bits.
        self.assertAlmostEqual(found["model_bytes"] / (8030261248 + 128256 * 4096), 1, delta=0.01)  # and row scales
        for rank in found["ranks"]:
            self.assertEqual(rank["total_bytes"], rank["weight_bytes"] + rank["kv_bytes"] + rank["buffer_bytes"])
            self.assertEqual(rank["memory_bytes"], 64 << 30)

    def test_a_config_alone_is_enough(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "config.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(CONFIG, file)
            for named in (path, folder):
                status, out, err = run(named, "--ranks", "3", "--stages", "2", "--memory", "1G", "--layers")
                self.assertEqual(status, 0, err)
                for words in ("6 layers", "3 ranks in 2 stages", "stage 0: embedding, layers 0-", ", head on rank",
                              "KV cache of 2048 tokens in bf16", "held more than once", "imbalance ", "rank 0 layer 0: heads 0-"):
                    self.assertIn(words, out)

    def test_the_demo_model(self):
        found = plan(DEMO, "--ranks", "2", "--memory", "1G")
        self.assertEqual(found["family"], "qwen3_moe")
        self.assertTrue(all(rank["runs"] for rank in found["ranks"]))

    def test_another_machine_gives_ranks_and_memory(self):
        found = plan("llama-3.2-1b", "--topology", "pack:2 numa:1(memory=64GB) core:4 pu:1")
        self.assertEqual(len(found["ranks"]), 2)
        self.assertGreater(found["ranks"][0]["memory_bytes"], 50 << 30)

    def test_described_machines_are_predicted(self):
        # Six channels of 8 bytes at 4000 MT/s give three quarters of 192 GB/s; an 8B model has 7.5 G weights a token.
        machine = "sockets=2,cores=32,channels=6,rate=4000,memory=64G"
        found = plan("llama-3.1-8b", "--values", "int8", "--context", "64", "--topology", machine, "--batch", "1,16", "--prompt", "0")
        self.assertEqual([rank["memory_bytes"] for rank in found["ranks"]], [32 << 30, 32 << 30])
        one, many = found["predicted"]
        self.assertEqual((one["batch"], many["batch"], one["bound_by"]), (1, 16, "memory bandwidth"))
        self.assertAlmostEqual(sum(one["parts"].values()), one["seconds"], delta=1e-9)
        ideal = 2 * 0.75 * 6 * 4000e6 * 8 / (7.505e9 + 8 * 4096 * 4)
        self.assertLess(one["tokens_per_second"], ideal)
        self.assertGreater(one["tokens_per_second"], 0.7 * ideal)
        self.assertGreater(many["tokens_per_second"], 2 * one["tokens_per_second"])
        status, out, err = run("qwen3-30b-a3b", "--values", "int4", "--sparsity", "0.75", "--topology",
                               "hosts=3,cores=48,bandwidth=300G,memory=256G,network=100G,latency=5")
        self.assertEqual(status, 0, err)
        for words in ("predicted for 3 ranks of 48 cores, 300.0 GB/s each, 3 hosts joined by 12.5 GB/s and 5.00 us", "answers, batch 64",
                      "prompt of 512", "bound by", "experts", "busiest rank"):
            self.assertIn(words, out)

    def test_this_machine_is_predicted_and_others_are_not(self):
        self.assertEqual(len(plan(DEMO, "--batch", "1,2")["predicted"]), 3)
        for arguments in (["--ranks", "2", "--memory", "1G"], ["--topology", "pack:2 numa:1(memory=64GB) core:4 pu:1"]):
            self.assertNotIn("predicted", plan(DEMO, *arguments))

    def test_speeds(self):
        found = plan("llama-3.2-1b", "--ranks", "3", "--speeds", "1,1,2", "--memory", "0")
        slow, _, fast = (rank["weight_bytes"] for rank in found["ranks"])
        self.assertAlmostEqual(fast / slow, 2, delta=0.1)
        machine = ("--values", "int8", "--topology", "sockets=2,cores=8,bandwidth=100G,memory=64G", "--batch", "1", "--prompt", "0")
        even, half = plan("llama-3.2-1b", *machine), plan("llama-3.2-1b", *machine, "--speeds", "0.5,0.5")
        # All but joins takes twice as long.
        self.assertAlmostEqual(half["predicted"][0]["seconds"] / even["predicted"][0]["seconds"], 2, delta=0.1)

    def test_ranks_that_share_cores_are_no_faster(self):
        machine = ("--values", "int4", "--topology", "cores=4,bandwidth=400G,memory=64G", "--batch", "64", "--prompt", "0")
        few, many = (plan("llama-3.2-1b", *machine, "--ranks", n)["predicted"][0] for n in ("4", "16"))
        self.assertEqual(few["bound_by"], "kernels")
        self.assertGreater(many["seconds"], 0.97 * few["seconds"])

    def test_long_prompts_take_no_longer_to_predict(self):
        machine = ("--values", "int4", "--topology", "cores=32,bandwidth=300G,memory=64G", "--memory", "0", "--context", "1000000", "--batch", "")
        def seconds(n, step):
            return plan("llama-3.2-1b", *machine, "--prompt", str(n), "--max-step-tokens", str(step))["predicted"][0]["seconds"]
        # Up to 64 steps are predicted one by one, of more some stand for their neighbours. Time is a*n + b*n*n either way.
        short, twice, long = (seconds(n, 512) for n in (16384, 32768, 1 << 19))
        n = (1 << 19) / 16384
        squares = (twice - 2 * short) / 2
        self.assertAlmostEqual(long / (n * (short - squares) + n * n * squares), 1, delta=0.01)
        self.assertGreater(seconds(1_000_000, 1), long)

    def test_refusals(self):
        for arguments, status, words in (
                (["llama-3.1-405b", "--ranks", "2", "--memory", "64G"], 1,
                 ["the model does not fit", "weights", "KV cache of 4096 tokens", "buffers", "has 64.0 GiB", "all 2 ranks need"]),
                (["llama-3.2-1b", "--ranks", "2", "--stages", "3", "--memory", "0"], 2, ["3 stages need at least as many ranks, found 2"]),
                (["llama-3.2-1b", "--ranks", "40", "--stages", "17", "--memory", "0"], 2, ["17 stages", "16 layers"]),
                (["llama-3.2-1b", "--ranks", "2", "--speeds", "1,x"], 2, ["--speeds", "\"x\""]),
                (["llama-3.2-1b", "--ranks", "2", "--speeds", "1,2,3"], 2, ["expected 2 numbers", "found 3"]),
                (["llama-3.2-1b", "--ranks", "2", "--speeds", "1,0", "--memory", "0"], 2, ["--speeds", "from 0.001 to 1000", "found \"0\""]),
                (["llama-3.2-1b", "--topology", "cores=4,memory=8G"], 2, ["--topology", "channels and rate, or bandwidth"]),
                (["llama-3.2-1b", "--topology", "cores=4,memory=lots"], 2, ["memory", "lots"]),
                (["llama-3.2-1b", "--topology", "hosts=4096,sockets=4096,nodes=2,cores=4,bandwidth=9G,memory=8G,network=1G"], 2, ["at most 65536", "33554432"]),
                (["llama-3.2-1b", "--topology", "cores=4,bandwidth=9G,memory=1"], 2, ["memory", "1.0 MiB"]),
                (["llama-3.2-1b", "--topology", "cores=4,bandwidth=9G,memory=8G,speed=1e-300"], 2, ["speed", "0.001"]),
                (["llama-3.2-1b", "--prompt", "1000001"], 2, ["--prompt", "1000001"]),
                (["llama-3.2-1b", "--batch", "1,x"], 2, ["--batch", "\"x\""]),
                (["llama-3.2-1b", "--costs", "/nothing/here"], 1, ["/nothing/here"]),
                (["nothing/here"], 1, ["nothing/here does not exist", "llama-3.1-8b"]),
                (["llama-3.2-1b", "--values", "int3"], 2, ["int3"])):
            got, out, err = run(*arguments)
            self.assertEqual((got, out), (status, ""), err)
            self.assertEqual(err.count("\n"), 1, err)
            for word in words:
                self.assertIn(word, err)


if __name__ == "__main__":
    unittest.main()
