#!/usr/bin/env python3
"""What a change is, in repositories that are made up; and which fuzz targets it touches."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import dev_base
import dev_fuzz

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOUR = 3600
BEGAN = 1_700_000_000


class Repository:
    """Commits with a date of their own, each of one file."""

    def __init__(self, folder):
        self.root = pathlib.Path(folder)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments, date=BEGAN):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
            "GIT_AUTHOR_DATE": f"@{date} +0000",
            "GIT_COMMITTER_DATE": f"@{date} +0000",
        }
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, path, hours):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{hours}")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", path, date=BEGAN + hours * HOUR)
        return self.git("rev-parse", "HEAD")

    def change(self, **environment):
        base, _ = dev_base.base_of(self.root, environment)
        return base, dev_base.changed(self.root, base)


class Base(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.repository = Repository(folder.name)
        self.folder = pathlib.Path(folder.name)

    def clone(self, *options):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        subprocess.run(
            ["git", "clone", "--quiet", *options, f"file://{self.folder}", folder.name], check=True
        )
        copy = Repository.__new__(Repository)
        copy.root = pathlib.Path(folder.name)
        return copy

    def test_a_branch_is_what_came_after_it_left_main(self):
        left = self.repository.commit("a", 0)
        self.repository.git("checkout", "--quiet", "-b", "work")
        self.repository.commit("b", 100)
        self.repository.commit("c", 200)
        self.assertEqual(self.repository.change(), (left, ["b", "c"]))
        # So it is in a clone, where no main stands beside it but origin's, and origin/HEAD is the branch.
        self.assertEqual(self.clone().change(), (left, ["b", "c"]))

    def test_main_that_has_landed_is_its_last_day_by_its_own_dates(self):
        self.repository.commit("a", 0)
        base = self.repository.commit("b", 76)
        self.repository.commit("c", 77)
        self.repository.commit("d", 100)
        self.assertEqual(self.repository.change(), (base, ["c", "d"]))
        self.assertEqual(self.clone().change(), (base, ["c", "d"]))

    def test_a_merge_brings_its_branch_however_old(self):
        base = self.repository.commit("a", 0)
        self.repository.git("checkout", "--quiet", "-b", "work")
        self.repository.commit("b", 1)
        self.repository.git("checkout", "--quiet", "main")
        self.repository.git("merge", "--quiet", "--no-ff", "work", date=BEGAN + 500 * HOUR)
        self.assertEqual(self.repository.change(), (base, ["b"]))

    def test_what_is_ahead_of_origin_is_the_change(self):
        base = self.repository.commit("a", 0)
        copy = self.clone()
        copy.commit("b", 1)
        self.assertEqual(copy.change(), (base, ["b"]))

    def test_what_is_not_committed_belongs_to_it(self):
        self.repository.commit("a", 0)
        base = self.repository.commit("b", 50)
        self.repository.commit("c", 90)
        (self.folder / "b").write_text("changed")
        (self.folder / "new").write_text("new")
        self.assertEqual(self.repository.change(), (base, ["b", "c", "new"]))

    def test_if_nothing_is_known_everything_counts(self):
        self.repository.commit("a", 0)
        self.repository.commit("b", 23)
        self.assertEqual(self.repository.change(), (None, None))
        self.repository.commit("c", 100)
        self.assertEqual(self.clone("--depth=1").change(), (None, None), "a shallow clone")
        self.assertEqual(dev_fuzz.touched(None), sorted(dev_fuzz.SOURCES))

    def test_a_shallow_clone_that_cuts_off_where_it_left_main_knows_nothing(self):
        self.repository.commit("a", 0)
        self.repository.git("checkout", "--quiet", "-b", "work")
        for hours in (1, 50, 100):
            self.repository.commit(f"b{hours}", hours)
        self.repository.git("checkout", "--quiet", "main")
        self.repository.commit("c", 60)
        self.repository.git("checkout", "--quiet", "work")
        copy = self.clone("--depth=2", "--no-single-branch")
        self.assertIsNotNone(dev_base.commit(copy.root, "origin/main"))
        self.assertEqual(copy.change(), (None, None))
        copy.git("branch", "main", "HEAD")  # a main that stands beside it knows no more
        self.assertEqual(copy.change(), (None, None))

    def test_a_branch_without_a_main_knows_nothing(self):
        self.repository.commit("a", 0)
        self.repository.git("checkout", "--quiet", "-b", "work")
        day_before = self.repository.commit("b", 1)
        self.repository.commit("c", 100)
        self.repository.git("checkout", "--quiet", "main")
        copy = self.clone("--single-branch", "--branch=work")
        self.assertEqual(copy.change(), (None, None))
        # On no branch it counts as landed.
        copy.git("checkout", "--quiet", "--detach")
        self.assertEqual(copy.change(), (day_before, ["c"]))

    def test_who_knows_better_says_so(self):
        base = self.repository.commit("a", 0)
        self.repository.commit("b", 1)
        self.assertEqual(self.repository.change(BELFRY_BASE="HEAD^"), (base, ["b"]))
        self.assertEqual(self.repository.change(BELFRY_BASE="nothing"), (None, None))


class Targets(unittest.TestCase):
    def test_what_a_change_touches(self):
        self.assertEqual(dev_fuzz.touched([]), [])
        self.assertEqual(dev_fuzz.touched(["README.md", "src/cli/people.cc"]), [])
        self.assertEqual(dev_fuzz.touched(["src/model/cursor.cc"]), ["cursor"])
        self.assertEqual(dev_fuzz.touched(["tests/fuzz/token.cc"]), ["token"])
        shared = ["client_message", "cloud_event", "publish"]
        self.assertEqual(dev_fuzz.touched(["src/wire/json_text.h"]), shared)
        self.assertEqual(dev_fuzz.touched(["tests/fuzz/webhook_harness.h"]), ["event_grid", "signature"])
        self.assertEqual(dev_fuzz.touched(["src/model/CMakeLists.txt"]), ["cursor", "pattern"])
        self.assertEqual(dev_fuzz.touched(["tests/fuzz/corpus/http1/0a"]), ["http1"])
        self.assertEqual(dev_fuzz.touched(["tests/CMakeLists.txt", "web/cmake/x"]), [])

    def test_what_all_are_made_of_touches_all(self):
        for path in (
            "src/base/limits.h",
            "src/base/hash.cc",
            "CMakeLists.txt",
            "CMakePresets.json",
            "cmake/Dependencies.cmake",
            "tests/fuzz/CMakeLists.txt",
            "tests/fuzz/fuzz.h",
        ):
            self.assertEqual(dev_fuzz.touched([path]), sorted(dev_fuzz.SOURCES), path)

    def test_what_a_target_includes_touches_it(self):
        def included(file):
            for name in re.findall(r'^#include "([\w./]+)"', file.read_text(), re.M):
                found = [ROOT / place / name for place in ("src", "tests", "tests/fuzz")]
                path = next(path for path in found if path.is_file())
                yield path
                if path.parent == ROOT / "tests" / "fuzz":
                    yield from included(path)

        for name in dev_fuzz.SOURCES:
            for path in included(ROOT / "tests" / "fuzz" / f"{name}.cc"):
                self.assertIn(name, dev_fuzz.touched([str(path.relative_to(ROOT))]), path)

    def test_every_beginning_of_a_path_is_one_of_a_file(self):
        files = [str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*.*")]
        for name, sources in dev_fuzz.SOURCES.items():
            for source in sources:
                self.assertTrue(
                    any(path.startswith(source) for path in files), f"{name}: nothing begins with {source}"
                )
        for path, names in dev_fuzz.SHARED.items():
            self.assertTrue((ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file(), path)
            self.assertEqual(set(names) - set(dev_fuzz.SOURCES), set())

    def test_every_target_is_known(self):
        listed = (ROOT / "tests" / "fuzz" / "CMakeLists.txt").read_text()
        self.assertEqual(set(re.findall(r"^belfry_fuzz\((\w+)\.cc", listed, re.M)), set(dev_fuzz.SOURCES))


if __name__ == "__main__":
    unittest.main()
