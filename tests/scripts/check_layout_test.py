"""scripts/check_layout catches each kind of violation, and a clean tree passes."""
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "check_layout")

CLEAN = {
    "engine/base/check.h": "// Checks.\n#pragma once\n",
    "engine/model/config.h": "// Config.\n#pragma once\n",
    "shard/plan.h": '// The plan.\n#pragma once\n#include "engine/model/config.h"\n',
    "shard/pack.cc": '#include <xxhash.h>\n#include "engine/base/check.h"\n#include "shard/manifest.pb.h"\n',
    "worker/comm_mpi.cc": "#include <mpi.h>\n",
    "engine/kernels/avx2.cc": "#include <immintrin.h>\n",
    "engine/platform/memory.cc": "#include <numa.h>\nint x = madvise(p, n, 14);\n",
    "coordinator/scheduler.cc": '#include "shard/plan.h"\n#include "engine/model/config.h"\n#include "worker/control.pb.h"\n',
    "coordinator/cli/main.cc": '#include "worker/loader.h"\n#include "engine/kernels/kernels.h"\n',
    "tests/shard/pack_test.cc": "#include <catch2/catch.hpp>\n",
}


def run(changes):
    """Status and output of the script on the clean tree with some files replaced or added."""
    with tempfile.TemporaryDirectory() as root:
        for path, content in {**CLEAN, **changes}.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(content)
        done = subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


class CheckLayout(unittest.TestCase):
    def assert_caught(self, path, content, message):
        status, output = run({path: content})
        self.assertEqual(status, 1, output)
        self.assertIn(path + ":", output)
        self.assertIn(message, output)
        self.assertIn("1 violation", output)

    def test_clean_tree_passes(self):
        status, output = run({})
        self.assertEqual(status, 0, output)
        self.assertIn("0 violations", output)

    def test_engine_may_not_include_upwards(self):
        self.assert_caught("engine/model/step.cc", '#include "shard/plan.h"\n', "engine/model may not include shard/plan.h")
        self.assert_caught("engine/base/log.cc", '#include "engine/text/x.h"\n', "engine/base may not include engine/text/x.h")

    def test_shard_may_not_include_worker(self):
        self.assert_caught("shard/pack2.cc", '#include "worker/loader.h"\n', "shard may not include worker/loader.h")

    def test_worker_may_not_include_coordinator(self):
        self.assert_caught("worker/loop.cc", '#include "coordinator/api.h"\n', "worker may not include coordinator/api.h")

    def test_coordinator_keeps_off_worker_and_pack(self):
        self.assert_caught("coordinator/api.cc", '#include "worker/loader.h"\n', "coordinator may not include worker/loader.h")
        self.assert_caught("coordinator/api.cc", '#include "shard/pack.h"\n', "coordinator may not include shard/pack.h")

    def test_nobody_includes_the_composition_root(self):
        self.assert_caught("coordinator/api.cc", '#include "coordinator/cli/command.h"\n', "may not include coordinator/cli/command.h")

    def test_manifest_messages_stay_in_shard(self):
        self.assert_caught("worker/loop.cc", '#include "shard/manifest.pb.h"\n', "stays inside shard")

    def test_libraries_have_one_door(self):
        for path, header in [
            ("worker/loop.cc", "mpi.h"), ("tests/worker/loop_test.cc", "mpi.h"),
            ("engine/platform/team.cc", "hwloc.h"), ("engine/model/step.cc", "immintrin.h"),
            ("engine/formats/int8.cc", "arm_neon.h"), ("engine/platform/team.cc", "numa.h"),
            ("worker/link.cc", "boost/asio.hpp"), ("engine/text/bpe.cc", "nlohmann/json.hpp"),
            ("engine/base/log.cc", "google/protobuf/message.h"), ("worker/load.cc", "xxhash.h"),
        ]:
            with self.subTest(path=path, header=header):
                self.assert_caught(path, f"#include <{header}>\n", f"<{header}> may only be included in")

    def test_madvise_only_in_memory(self):
        self.assert_caught("worker/loader.cc", "int x = madvise(p, n, 14);\n", "madvise may only be called in")
        self.assertEqual(run({"worker/loader.cc": "// not madvise(2)\n"})[0], 0)

    def test_quoted_includes_start_at_the_root(self):
        self.assert_caught("shard/pack2.cc", '#include "plan.h"\n', "not a path from the repository root")

    def test_long_file(self):
        self.assert_caught("worker/loop.cc", "\n" * 601, "601 lines, the limit is 600")
        self.assertEqual(run({"worker/loop.cc": "\n" * 600})[0], 0)

    def test_empty_names(self):
        for name in ["shard/string_util.cc", "tests/shard/helpers.mjs", "worker/manager.h"]:
            with self.subTest(name=name):
                self.assert_caught(name, "// x\n#pragma once\n", "a file name says what is inside")
        self.assertEqual(run({"shard/utilisation.cc": "\n"})[0], 0)

    def test_a_type_is_defined_once(self):
        twice = "// P.\n#pragma once\nnamespace colonnade {\nclass Progress final : Base {\n};\n}  // namespace colonnade\n"
        status, output = run({"engine/base/a.h": twice, "engine/base/b.h": twice})
        self.assertEqual(status, 1)
        self.assertIn("engine/base/b.h:4: colonnade::Progress is also defined in engine/base/a.h:4", output)
        hidden = "namespace colonnade {\nnamespace {\nstruct Progress {\n};\n}  // namespace\n}  // namespace colonnade\n"
        elsewhere = twice.replace("namespace colonnade", "namespace colonnade::shard")
        declared = "// P.\n#pragma once\nnamespace colonnade {\nclass Progress;\n}  // namespace colonnade\n"
        self.assertEqual(run({"engine/base/a.h": twice, "engine/base/b.cc": hidden, "shard/b.h": elsewhere,
                              "engine/base/c.h": declared})[0], 0)

    def test_texts_name_real_places(self):
        self.assert_caught("docs/map.md", "see `shard/plan.h`, `shard/`\nand `shard/gone.cc`", "docs/map.md:2: names shard/gone.cc")
        self.assertEqual(run({"README.md": "`shard/plan.h` `shard/<name>.cc` `shard/x*` `other/thing`\n"})[0], 0)

    def test_headers(self):
        self.assert_caught("shard/x.h", "// X.\n", "needs #pragma once")
        self.assert_caught("shard/x.h", "#pragma once\n", "first line is a comment")

    def test_python(self):
        self.assert_caught("scripts/plot.py", "import json\n", "begins with a text that states its job")
        self.assert_caught("scripts/plot", "#!/usr/bin/env python3\nimport json\n", "begins with a text that states its job")
        self.assert_caught("scripts/plot.py", '"""Plots."""\nimport torch\n', "torch may only be imported in scripts/train/")
        self.assertEqual(run({"scripts/train/loop.py": '"""Trains."""\nfrom torch import nn\n', "scripts/go": "#!/bin/sh\nimport\n"})[0], 0)

    def test_a_tree_without_sources_is_an_error(self):
        with tempfile.TemporaryDirectory() as root:
            done = subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    unittest.main()
