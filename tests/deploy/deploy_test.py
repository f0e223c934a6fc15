"""The examples under deploy/ say what the program understands. usage: deploy_test.py PROGRAM SOURCE_DIRECTORY"""
import json
import pathlib
import re
import subprocess
import sys
import unittest

SOURCE = pathlib.Path(sys.argv.pop()).resolve()
PROGRAM = sys.argv.pop()
FILES = [path for path in (SOURCE / "deploy").rglob("*") if path.is_file() and "demo" not in path.parts]


def options_of(command):
    done = subprocess.run([PROGRAM, command, "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"--(?:\[no-\])?([a-z-]+)", done.stdout))


class Deploy(unittest.TestCase):
    def test_every_file_is_described(self):
        text = (SOURCE / "docs" / "deploy.md").read_text(encoding="utf-8")
        for path in FILES:
            self.assertIn(f"]({'../' + str(path.relative_to(SOURCE))})", text)

    def test_options_exist(self):
        known = {command: options_of(command) for command in ("serve", "doctor")}
        used = 0
        for path in [*FILES, SOURCE / "docs" / "deploy.md"]:
            for line in path.read_text(encoding="utf-8").splitlines():
                call = re.search(r"colonnade\S*[ ,]+(serve|doctor)[ ,](.*)", line)
                if not call:
                    continue
                for option in re.findall(r"--([a-z-]+)", call[2].split("`")[0]):
                    used += 1
                    self.assertIn(option, known[call[1]], f"{path}: {line}")
        self.assertGreater(used, 8)

    def test_environment_variables_exist(self):
        known = {"COLONNADE_" + option.upper().replace("-", "_") for option in options_of("serve")}
        for path in [*FILES, SOURCE / "docs" / "deploy.md"]:
            for name in re.findall(r"COLONNADE_[A-Z_]+[A-Z]", path.read_text(encoding="utf-8")):
                if name != "COLONNADE_NAME":  # stands for any of them
                    self.assertIn(name, known, path)

    def test_metrics_of_the_dashboard_exist(self):
        dashboard = json.loads((SOURCE / "deploy" / "grafana" / "colonnade.json").read_text(encoding="utf-8"))
        sources = "".join(path.read_text(encoding="utf-8") for path in (SOURCE / "coordinator").glob("*.cc"))
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        metrics = {re.sub(r"_bucket$", "", name) for e in expressions for name in re.findall(r"colonnade_[a-z_]+", e)}
        self.assertGreater(len(metrics), 10)
        for metric in metrics:
            self.assertIn(f'"{metric}"', sources)


if __name__ == "__main__":
    unittest.main()
