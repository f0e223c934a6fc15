"""colonnade doctor on this machine and under mpirun. usage: doctor_test.py PROGRAM DEMO_MODEL"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

DEMO = os.path.abspath(sys.argv.pop())
PROGRAM = os.path.abspath(sys.argv.pop())
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_", "SLURM_", "COLONNADE_"))}
ENVIRONMENT.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def run(*arguments, **environment):
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=90, stdin=subprocess.DEVNULL,
                          env={**ENVIRONMENT, **environment})
    return done.returncode, done.stdout, done.stderr


def doctor(*arguments):
    status, out, err = run(PROGRAM, "doctor", "--json", *arguments)
    return status, json.loads(out) if out else None, err


class Doctor(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def test_this_machine(self):
        status, report, _ = doctor(DEMO)
        self.assertEqual(status, 0, report)
        self.assertTrue(report["ok"])
        (host,) = report["hosts"]
        self.assertEqual(host["host"], os.uname().nodename)
        self.assertEqual(host["system"], os.uname().release)
        self.assertEqual(host["shm_bytes"], shutil.disk_usage("/dev/shm").total)
        weights = sum(file.stat().st_size for file in pathlib.Path(DEMO).glob("*.safetensors"))
        self.assertEqual(host["model_bytes"], weights)
        status, out, _ = run(PROGRAM, "doctor")
        self.assertEqual(status, 0)
        self.assertRegex(out, r"(?m)^kernels +\w+$")
        self.assertRegex(out, r"ready[^\n]*\n$")

    def test_checksum_of_a_model_follows_its_content(self):
        model = self.folder / "model"
        shutil.copytree(DEMO, model)
        first = doctor(model)[1]["hosts"][0]["model_checksum"]
        self.assertEqual(first, doctor(DEMO)[1]["hosts"][0]["model_checksum"])
        with open(model / "config.json", "a", encoding="utf-8") as file:
            file.write(" ")
        self.assertNotEqual(first, doctor(model)[1]["hosts"][0]["model_checksum"])

    def test_a_model_that_cannot_be_served(self):
        (self.folder / "empty").mkdir()
        for model, words in (("/nowhere", "No such file"), (self.folder / "empty", "config.json"), (__file__, "directory")):
            status, report, _ = doctor(model)
            self.assertEqual(status, 1)
            self.assertFalse(report["ok"])
            self.assertEqual(report["findings"][0]["severity"], "failure")
            self.assertIn(words, report["findings"][0]["message"])

    def test_a_packed_model_that_is_damaged(self):
        packed = self.folder / "packed"
        status, _, err = run(PROGRAM, "pack", DEMO, "-o", packed)
        self.assertEqual(status, 0, err)
        self.assertTrue(doctor(packed)[1]["ok"])
        manifest = packed / "manifest.colonnade"
        content = bytearray(manifest.read_bytes())
        content[len(content) // 2] ^= 1
        manifest.write_bytes(content)
        self.assertEqual(doctor(packed)[0], 1)

    def test_little_shared_memory_and_few_files_are_told(self):
        status, out, _ = run("sh", "-c", f"ulimit -n 100; exec {PROGRAM} doctor")
        self.assertEqual(status, 0)
        self.assertIn("ulimit -n is 100", out)

    def test_ranks_of_one_host_are_one_host(self):
        if not shutil.which("mpirun"):
            self.skipTest("needs mpirun")
        status, out, err = run("mpirun", "--oversubscribe", "-n", "3", PROGRAM, "doctor", "--json")
        self.assertEqual(status, 0, err)
        report = json.loads(out)
        self.assertEqual(len(report["hosts"]), 1)
        self.assertIn("MPI", report["hosts"][0]["transport"])
        hosts = self.folder / "hosts"
        hosts.write_text("localhost slots=1\n", encoding="utf-8")
        status, report, err = doctor("--hosts", hosts)
        self.assertEqual(status, 0, err)
        self.assertEqual(len(report["hosts"]), 1)

    def test_mistakes(self):
        for arguments, words in ((("--hosts", "/nowhere"), "/nowhere"), (("--timeout", "0"), "--timeout")):
            status, report, err = doctor(*arguments)
            self.assertNotEqual(status, 0)
            self.assertIsNone(report)
            self.assertIn(words, err)
            self.assertEqual(err.count("\n"), 1, err)


if __name__ == "__main__":
    unittest.main()
