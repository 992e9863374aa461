#!/usr/bin/env python3
"""How failures are counted, and played once more, with results that are made up."""

import contextlib
import io
import os
import pathlib
import tempfile
import time
import unittest
from unittest import mock

import dev_play
import dev_test
from dev_tally import FLAKY_MAX, REPLAYED_MAX, Outcome, Tally

PASSED = Outcome(1, 0)


def failed(name):
    """A test that fails, and passes the second time."""
    return Outcome(0, 1, [(name, "no luck")], lambda: Outcome(1, 0, names=[name]))


def end_of(*floors):
    """(exit code, what was printed, the tally) of floors, each (name, outcomes)."""
    tally, out = Tally(), io.StringIO()
    with contextlib.redirect_stdout(out):
        for name, outcomes in floors:
            tally.units(name, outcomes, time.monotonic())
        code = tally.end()
    return code, out.getvalue(), tally


class Replays(unittest.TestCase):
    def test_what_passes_the_second_time_is_flaky(self):
        code, text, tally = end_of(("release", [PASSED, failed("one")]))
        self.assertEqual(code, 0)
        self.assertIn("\n2 passed, 0 failed, 1 flaky\nFLAKY release: one: no luck\n", text)
        self.assertEqual((tally.rows[0].passed, tally.rows[0].failed), (2, 0))
        self.assertNotIn("FAILED", text)

    def test_more_than_three_of_them_fail_the_run(self):
        flaky = [failed(f"test {number}") for number in range(FLAKY_MAX + 1)]
        code, text, _ = end_of(("release", [PASSED, *flaky[:FLAKY_MAX]]))
        self.assertEqual(code, 0, text)
        code, text, _ = end_of(("release", [PASSED, *flaky[:2]]), ("web", flaky[2:]))
        self.assertEqual(code, 1)
        self.assertIn("5 passed, 0 failed, 4 flaky", text)
        self.assertIn("FAILED: 4 tests are flaky, at most 3 may be", text)
        self.assertTrue(all(f"FLAKY {floor}: " in text for floor in ("release", "web")))

    def test_the_tests_of_one_file_count_each(self):
        names = [(f"file: {number}", "") for number in range(4)]
        then = Outcome(10, 0, names=[f"file: {number}" for number in range(10)])
        code, text, _ = end_of(("protocol", [Outcome(6, 4, names, lambda: then)]))
        self.assertEqual(code, 1)
        self.assertIn("10 passed, 0 failed, 4 flaky", text)

    def test_what_fails_again_has_failed(self):
        for then in (Outcome(0, 1), Outcome(0, 0), Outcome(5, 1), Outcome(4, 0)):
            first = Outcome(5, 1, [("one", "no luck")], lambda then=then: then)
            code, text, tally = end_of(("protocol", [PASSED, first]))
            self.assertEqual(code, 1, then)
            self.assertIn("\n6 passed, 1 failed\nFAILED protocol: one: no luck\n", text)
            self.assertEqual(tally.flaky, [])

    def test_who_is_missing_the_second_time_has_not_passed(self):
        def flaky(before, after, reasons=("one",)):
            then = Outcome(len(after), 0, names=list(after))
            told = [(name, "no luck") for name in reasons]
            first = Outcome(len(before), len(told), told, lambda: then, list(before))
            return end_of(("protocol", [first]))[0] == 0

        self.assertTrue(flaky(["two"], ["one", "two"]))
        self.assertFalse(flaky(["two"], ["two", "three"]))
        self.assertFalse(flaky(["two"], ["two"]))
        self.assertFalse(flaky([], ["one"], ["one", "two"]))
        self.assertFalse(flaky(["one"], ["one"]), "of two that have one name, one is missing")
        self.assertTrue(flaky(["one"], ["one", "one"]))

    def test_it_is_played_at_the_end_one_after_the_other(self):
        story = []

        def again(name):
            return lambda: story.append(name) or Outcome(1, 0, names=[name])

        tally = Tally()
        with contextlib.redirect_stdout(io.StringIO()):
            for floor in ("release", "web"):
                one = Outcome(0, 1, [(floor, "")], again(floor))
                tally.units(floor, [PASSED, one], time.monotonic())
                story.append(f"end of {floor}")
            tally.end()
        self.assertEqual(story, ["end of release", "end of web", "release", "web"])

    def test_what_would_come_to_the_same_is_not_played_again(self):
        code, text, _ = end_of(("web format", [Outcome(0, 1)]), ("release", [PASSED]))
        self.assertEqual(code, 1)
        self.assertNotIn("once more", text)

    def test_many_failures_are_no_accident(self):
        many = [failed(f"test {number}") for number in range(REPLAYED_MAX + 1)]
        code, text, tally = end_of(("release", [PASSED, *many]))
        self.assertEqual((code, tally.flaky), (1, []))
        self.assertNotIn("once more", text)

    def test_a_race_of_the_second_play_fails_the_run(self):
        tally = Tally()
        with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):

            def again():
                (pathlib.Path(name) / "race.1").write_text("WARNING: ThreadSanitizer: data race")
                return Outcome(1, 0, names=["one"])

            tally.at_the_end("tsan races", lambda: dev_test.reported(pathlib.Path(name)))
            tally.units("tsan server", [Outcome(0, 1, [("one", "")], again)], time.monotonic())
            code = tally.end()
        self.assertEqual(code, 1)
        rows = [(row.floor, row.failed) for row in tally.rows]
        self.assertEqual(rows, [("tsan server", 0), ("tsan races", 1)])
        self.assertEqual(tally.rows[1].outcomes[0].reasons, [("race.1", "a race: see above")])

    def test_nothing_played_is_no_success(self):
        tally, out = Tally(), io.StringIO()
        with contextlib.redirect_stdout(out):
            tally.nothing("fuzz", "nothing was played")
            code = tally.end()
        self.assertEqual(code, 1)
        self.assertRegex(out.getvalue(), r"\nfuzz +0 +0 +0  nothing was played\n")


TAP = """TAP version 13
# Subtest: a suite
    # Subtest: does it
    not ok 1 - does it
      ---
      failureType: 'testCodeFailure'
      error: 'it did not'
      ...
    1..1
not ok 1 - a suite
  ---
  failureType: 'subtestsFailed'
  error: '1 subtest failed'
  ...
# pass 3
# fail {fail}
# cancelled {cancelled}
# skipped {skipped}
"""


class Runners(unittest.TestCase):
    def test_ctest(self):
        report = """<testsuite>
          <testcase name="a.One/0" status="run"/>
          <testcase name="a.Two" status="fail"><system-out>x.cc:3: Failure</system-out></testcase>
          <testcase name="a.Three" status="fail">
            <system-out>WARNING: ThreadSanitizer: data race</system-out></testcase>
          <testcase name="a.Four" status="notrun"/></testsuite>"""
        again = []
        with contextlib.redirect_stdout(io.StringIO()):
            found = list(dev_play.ctest_outcomes(report, again.append, {}))
        self.assertEqual([(one.passed, one.failed) for one in found], [(1, 0), (0, 1), (0, 1), (0, 1)])
        self.assertEqual([one.names for one in found], [["a.One/0"], [], [], []])
        self.assertEqual(found[1].reasons, [("a.Two", "x.cc:3: Failure")])
        self.assertIsNone(found[2].again, "a race that was seen is there")
        found[1].again()
        found[3].again()
        self.assertEqual(again, ["a.Two", "a.Four"])
        self.assertEqual(dev_play.exactly("a.One/0(x)"), r"^a\.One/0\(x\)$")

    def test_ctest_does_not_play_again_what_is_found_by_chance(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            tests = {
                "a.fails": "exit 1",
                "a.slow": "sleep 9",
                "a.signal": "kill -SEGV $$",
                "a.kill": "kill -KILL $$",
                "a.check": "echo 'CHECK failed: a at b.cc:1'; kill -ABRT $$",
                "a.property": "echo 'Falsifiable after 3 tests'; exit 1",
                "a.passes": "exit 0",
            }
            lines = [f'add_test({test} sh -c "{text}")\n' for test, text in tests.items()]
            lines += ["set_tests_properties(a.slow PROPERTIES TIMEOUT 1)\n"]
            (folder / "CTestTestfile.cmake").write_text("".join(lines))
            with contextlib.redirect_stdout(io.StringIO()):
                found = dev_play.ctest_folder(folder, dict(os.environ))
        again = {one.reasons[0][0]: one.again for one in found if one.failed}
        self.assertEqual(again.keys(), tests.keys() - {"a.passes"})
        self.assertEqual({test for test, play in again.items() if play}, {"a.fails", "a.slow"})
        said = {test: reason for one in found for test, reason in one.reasons}
        self.assertEqual((said["a.signal"], said["a.kill"]), ("SEGFAULT", "Subprocess killed"))

    def of_rooms(self, rooms, *lines):
        """What ctest comes to, of those rooms, where these lines say which tests there are."""
        tally = Tally()
        with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
            folder = pathlib.Path(name) / "build" / "tsan"
            folder.mkdir(parents=True)
            (folder / "CTestTestfile.cmake").write_text("\n".join(lines))
            dev_play.ctest(pathlib.Path(name), "tsan", tally, rooms)
        row = tally.rows[0]
        return row.passed, row.failed, [reason for one in row.outcomes for reason in one.reasons]

    def test_of_each_room_that_was_asked_for_a_test_is_played(self):
        tests = ["add_test(base.A true)", "add_test(log.A false)", "add_test(log_not.A true)"]
        self.assertEqual(self.of_rooms(["base"], *tests), (1, 0, []))
        self.assertEqual(self.of_rooms(["base", "log"], *tests)[:2], (1, 1))
        told = [("net", "none of its tests was played")]
        self.assertEqual(self.of_rooms(["base", "net"], *tests), (1, 1, told))
        self.assertEqual(self.of_rooms([], *tests)[:2], (2, 1))

    def test_the_code_of_ctest_counts(self):
        told = [("ctest", "ended with 8 after 0 tests")]
        self.assertEqual(self.of_rooms([], ""), (0, 1, told), "no test at all")
        with tempfile.TemporaryDirectory() as name:
            stub = pathlib.Path(name) / "ctest"
            case = '<testsuite><testcase name="base.A" status="run"/></testsuite>'
            stub.write_text(f"#!/bin/sh\necho '{case}' > $2/tests.xml\nexit 3\n")
            stub.chmod(0o755)
            with mock.patch.dict(os.environ, PATH=f"{name}:{os.environ['PATH']}"):
                played = self.of_rooms([], "")
        self.assertEqual(played, (1, 1, [("ctest", "ended with 3 after 1 tests")]))

    def test_node_does_not_play_again_what_is_found_by_chance(self):
        for text, again in [("no luck", True), ("CHECK failed: a at b.cc:1", False)]:
            with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
                folder = pathlib.Path(name)
                test = f"import {{ it }} from 'node:test'; it('x', () => {{ throw new Error('{text}'); }});"
                (folder / "x.test.mjs").write_text(test)
                outcome = dev_play.node_file(folder, "x.test.mjs", dict(os.environ))
            self.assertEqual((outcome.failed, outcome.again is not None), (1, again), text)

    def test_node(self):
        def outcome(fail=0, cancelled=0, skipped=0, code=0):
            text = TAP.format(fail=fail, cancelled=cancelled, skipped=skipped)
            one = dev_play.tap_outcome(text, code, "x.test.mjs")
            return one.passed, one.failed, one.reasons

        told = [("x.test.mjs: a suite > does it", "'it did not'")]
        self.assertEqual(outcome(fail=1, code=1), (3, 1, told))
        self.assertEqual(outcome(fail=1, cancelled=2, code=1), (3, 3, told))
        self.assertEqual(outcome(skipped=1)[:2], (3, 1), "what was skipped has failed")
        self.assertEqual(outcome()[:2], (3, 0))
        self.assertEqual(outcome(code=1)[:2], (3, 1))
        empty = dev_play.tap_outcome("", 0, "x.test.mjs")
        self.assertEqual((empty.passed, empty.failed), (0, 1), "a file without a test")

    def test_node_names_what_passed(self):
        ok, skipped = "ok 1 - {0}\n  ---\n  duration_ms: 1\n  ...\n", "ok 1 - c # SKIP\n"
        inner = "# Subtest: a\n    # Subtest: b\n    ok 1 - b\n" + ok.format("a")
        tap = inner + inner.replace("a\n", "other\n") + "# Subtest: c\n" + skipped + "# pass 2\n"
        passed = ["a > b", "a", "other > b", "other"]
        expected = ["x.test.mjs", *(f"x.test.mjs: {name}" for name in passed)]
        self.assertEqual(dev_play.tap_outcome(tap, 0, "x.test.mjs").names, expected)
        self.assertEqual(dev_play.tap_outcome(tap, 1, "x.test.mjs").names, expected[1:])

    def test_a_hook_that_fails_is_one_failure(self):
        one = "    not ok 1 - inner\n      failureType: '{}'\n      error: 'why'\n"
        tap = one.format("cancelledByParent") + one.format("testCodeFailure").replace("inner", "own")
        self.assertEqual(list(dev_play.reasons(tap)), [("own", "'why'")])

    def test_vitest(self):
        def file(name, *statuses, status="passed"):
            tests = [{"status": one, "fullName": str(at)} for at, one in enumerate(statuses)]
            return {"name": f"/web/{name}", "status": status, "assertionResults": tests}

        report = {
            "testResults": [
                file("a", "passed", "passed"),
                file("b", "passed", "failed", "skipped", status="failed"),
                file("c", status="failed"),
                file("d"),
            ]
        }
        found = list(dev_play.vitest_outcomes(report, "/web", str.upper))
        counts = [(one.passed, one.failed) for one in found]
        self.assertEqual(counts, [(2, 0), (1, 2), (0, 1), (0, 1)])
        self.assertEqual(found[1].reasons, [("b: 1", "failed"), ("b: 2", "skipped")])
        self.assertEqual(found[1].again(), "B")
        self.assertEqual([one.names for one in found], [["a", "a: 0", "a: 1"], ["b: 0"], [], []])
        by_chance = ["Error: Property failed after 1 tests\n{ seed: 1 }"]
        report["testResults"][1]["assertionResults"][1]["failureMessages"] = by_chance
        self.assertIsNone(list(dev_play.vitest_outcomes(report, "/web", str.upper))[1].again)

    def test_an_error_that_no_test_waited_for_is_not_forgotten_beside_a_test_that_failed(self):
        """The test passes alone; the error does not come again."""
        play = """#!/bin/sh
for word; do case $word in --outputFile.json=*) report=${word#*=};; --*|run) ;; *) name=$word;; esac; done
status=${name:+passed}
test "$name" || echo "Vitest caught 1 unhandled error during the test run."
tests='[{"status":"%s","fullName":"one"}]'
printf '{"testResults":[{"name":"%s/a","status":"%s","assertionResults":'"$tests"'}]}' \\
  "$PWD" "${status:-failed}" "${status:-failed}" > "$report"
test "$name"
"""
        for said, code in [(play, 1), (play.replace("Vitest caught", "It was"), 0)]:
            with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()) as out:
                folder = pathlib.Path(name).resolve()
                (folder / "vitest").write_text(said)
                (folder / "vitest").chmod(0o755)
                tally = Tally()
                dev_play.vitest(folder, dict(os.environ), folder / "vitest", tally, folder / "report.json")
                self.assertEqual(tally.end(), code, out.getvalue())


if __name__ == "__main__":
    unittest.main()
