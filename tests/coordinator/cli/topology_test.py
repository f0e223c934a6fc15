"""colonnade topology as a user and an MPI launcher meet it. usage: topology_test.py PROGRAM"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

PROGRAM = os.path.abspath(sys.argv.pop())
LAUNCHER_VARIABLES = ("OMPI_", "PMIX_", "SLURM_", "COLONNADE_")
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(LAUNCHER_VARIABLES)}
ENVIRONMENT.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def run(*arguments, **environment):
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
                          env={**ENVIRONMENT, **environment})
    return done.returncode, done.stdout, done.stderr


def topology(*arguments, before=(), **environment):
    status, out, err = run(*before, PROGRAM, "topology", "--json", *arguments, **environment)
    assert status == 0, err
    return json.loads(out)


def cpus(found):
    return sorted(cpu for core in found["cores"] for cpu in core["cpus"])


class Topology(unittest.TestCase):
    def test_another_machine(self):
        machine = "pack:2 numa:1(memory=64GB) l3:2(size=32MB) core:4 pu:2"
        found = topology("--file", machine)
        self.assertEqual((found["packages"], len(found["nodes"]), len(found["cores"])), (2, 2, 16))
        self.assertEqual([rank["cpus"] for rank in found["ranks"]], [list(range(0, 16, 2)), list(range(16, 32, 2))])
        found = topology("--file", machine, "--ranks", "5")
        self.assertEqual(sorted(cpu for rank in found["ranks"] for cpu in rank["cpus"]), list(range(0, 32, 2)))
        text = run(PROGRAM, "topology", "--file", machine)[1]
        for words in ("16 cores (32 CPUs: 0-31) in 2 packages, 2 NUMA nodes, 4 L3 groups", "CPUs 0-14:2", "limits      none"):
            self.assertIn(words, text)

    def test_this_machine_within_an_affinity_mask(self):
        allowed = sorted(os.sched_getaffinity(0))
        self.assertTrue(set(cpus(topology())) <= set(allowed))
        if len(allowed) > 1 and shutil.which("taskset"):
            found = topology(before=("taskset", "-c", str(allowed[-1])))
            self.assertEqual(cpus(found), [allowed[-1]])
            self.assertIn("CPU affinity of this process", " ".join(found["limits"]))
        found = topology(SLURM_CPUS_PER_TASK="1")
        self.assertEqual(found["cpus_per_rank"], 1)
        self.assertEqual(len(found["ranks"][0]["cpus"]), 1)

    def test_default_binding_of_mpirun_is_not_taken_for_a_grant(self):
        if not shutil.which("mpirun") or len(os.sched_getaffinity(0)) < 2:
            self.skipTest("needs mpirun and two CPUs")
        whole = cpus(topology())
        script = f'{PROGRAM} topology --json > "$0/$OMPI_COMM_WORLD_RANK"'

        def of_ranks(*options):
            folder = f"/tmp/colonnade-topology-test-{os.getpid()}"
            os.makedirs(folder, exist_ok=True)
            try:
                status, _, err = run("mpirun", "-n", "2", *options, "sh", "-c", script, folder)
                self.assertEqual(status, 0, err)
                return [cpus(json.loads(pathlib.Path(folder, str(rank)).read_text(encoding="utf-8"))) for rank in range(2)]
            finally:
                shutil.rmtree(folder)

        self.assertEqual(of_ranks(), [whole, whole])
        self.assertEqual(of_ranks("--bind-to", "none"), [whole, whole])
        first, second = of_ranks("--bind-to", "core")
        self.assertFalse(set(first) & set(second))

    def test_mistakes(self):
        for arguments, words in ((("--file", "seven dwarfs"), "'seven dwarfs'"), (("--file", "pack:1000000 core:1000000 pu:1"), "at most 16384"),
                                 (("--file", "pack:2 [numa(memory=4G)] core:8193 pu:1"), "at most 16384"),
                                 (("--file", "numa:1(memory=99999999999999999999999) core:2 pu:1"), "expected a description"),
                                 (("--ranks", "0"), "--ranks"),
                                 (("--measure", "--file", "core:1 pu:1"), "--measure")):
            status, out, err = run(PROGRAM, "topology", *arguments)
            self.assertEqual((status, out), (2, ""))
            self.assertIn(words, err)
            self.assertEqual(err.count("\n"), 1)
        self.assertIn("SLURM_CPUS_PER_TASK", run(PROGRAM, "topology", SLURM_CPUS_PER_TASK="many")[2])


if __name__ == "__main__":
    unittest.main()
