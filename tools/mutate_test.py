#!/usr/bin/env python3
"""./dev mutate: what is found in a source, what is chosen of it, what is written, and who is to blame."""

import contextlib
import io
import pathlib
import re
import subprocess
import tempfile
import time
import unittest
from unittest import mock

from mutate import build, choose, find, judge, play, report

SOURCE = """
#define TRY(x) __extension__({ auto y = (x); y; })
void log_warn(const char*);
void CHECK(bool);
int ask(int);
struct Room {
  int planted = 0;
  int rows = 0;
};
constexpr int fixed(int a) { return a + 7; }
int f(Room& room, int a, int b) {
  if (a < b && !room.rows) return ask(a - 1);
  for (int i = a; i <= b; i += 2) {
    TRY(ask(i));
    room.rows = b;
  }
  if (int c = ask(a)) ask(c);
  log_warn("a < b");
  CHECK(a != b);
  if (room.planted > 3) room.rows = 4;
  if (room.planted > 2) {
    room.rows = 6;
  }
  static constexpr int nine = 9;
  switch (a) {
    case 5:
      return nine;
  }
  return true ? a * b : b;
}
"""
HEADER = str(pathlib.Path(__file__).resolve().parent / "mutate/mutant.h")


# Plays the tests that its filter names, as gtest does. A.Fails fails with mutant 3, A.Dies dies with 4,
# A.Once fails once, A.Worn each time.
PROGRAM = """#!/bin/sh
for name in $(echo "$*" | sed 's/.*filter=//; s/:/ /g'); do
  echo "[ RUN      ] $name"
  case $name-$MUTANT in
    A.Fails-3) echo "[  FAILED  ] $name, where"; exit 1;;
    A.Once-*) if mkdir "$0.once"; then echo "[  FAILED  ] $name"; exit 1; fi;;
    A.Worn-*) echo "[  FAILED  ] $name"; exit 1;;
    A.Dies-4) kill -11 $$;;
  esac
done
"""


def read(text):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "x.cc"
        path.write_text(text)
        unit = find.parse(path, ["-include", HEADER])
        return find.errors(unit), find.Finder("x.cc", path).walk(unit)


def mutant(start, end, operator="statement", path="a.cc"):
    return find.Mutant(path, start, end, 1, operator, "b", "a", f"({find.SWITCH})")


class Mutate(unittest.TestCase):
    def test_finds_what_a_test_can_notice(self):
        wrong, mutants = read(SOURCE)
        self.assertEqual(wrong, [])
        found = {(one.operator, one.before, one.after) for one in mutants}
        for expected in [
            ("boundary", "a < b", "a <= b"),
            ("boundary", "i <= b", "i < b"),
            ("condition", "a < b && !room.rows", "!(a < b && !room.rows)"),
            ("logic", "a < b && !room.rows", "a < b || !room.rows"),
            ("operand", "a < b && !room.rows", "!room.rows"),
            ("not", "!room.rows", "room.rows"),
            ("exit", "return ask(a - 1);", ""),
            ("arithmetic", "a - 1", "a"),
            ("arithmetic", "a - 1", "a + 1"),
            ("arithmetic", "i += 2", "i -= 2"),
            ("arithmetic", "a * b", "a + b"),
            ("constant", "2", "3"),
            ("constant", "true", "false"),
            ("statement", "TRY(ask(i));", ""),
            ("statement", "room.rows = b;", ""),
            ("statement", "ask(c);", ""),
        ]:
            self.assertIn(expected, found)

    def test_leaves_alone_what_no_test_asks_for(self):
        for one in read(SOURCE)[1]:
            self.assertNotRegex(one.before, r"^log_warn|^CHECK|planted|^a \+ 7|^a != b")
            self.assertNotIn(one.before, ("3", "4", "5", "6", "7", "9"))

    def test_what_is_written_is_a_program_again(self):
        mutants = read(SOURCE)[1]
        for one in mutants:
            text, spans = choose.rewrite(SOURCE, {7: one})
            self.assertEqual(read(text)[0], [], one)
            first, last = spans[7]
            self.assertIn("mutant::on(7)", "\n".join(text.split("\n")[first - 1 : last]))

    def test_lines_of_each_are_known(self):
        text = "one\ntwo\nthree\n"
        numbered = {1: mutant(0, 3), 2: mutant(8, 13)}
        numbered[1] = find.Mutant("a.cc", 0, 3, 1, "statement", "one", "", f"{{\n{find.SWITCH}\n}}")
        written, spans = choose.rewrite(text, numbered)
        self.assertEqual(written, "{\n::belfry::mutant::on(1)\n}\ntwo\n(::belfry::mutant::on(2))\n")
        self.assertEqual(spans, {1: (1, 3), 2: (5, 5)})

    def test_names_stay_when_lines_move(self):
        before = dict(choose.identify(read(SOURCE)[1]))
        after = dict(choose.identify(read("// A line more.\n\n" + SOURCE)[1]))
        self.assertEqual(set(before), set(after))
        self.assertEqual(len(before), len(read(SOURCE)[1]))

    def test_names_stay_when_the_same_change_comes_before(self):
        before = dict(choose.identify(read(SOURCE)[1]))
        inner = "{\n  room.rows = b;\n  return true ? a * b : b;\n}\n"
        for more in (
            SOURCE.replace("int f(", f"int e(Room& room, int a, int b) {inner}int f("),
            SOURCE.replace("int f(", f"struct E {{\nint f(Room& room, int a, int b) {inner}}};\nint f("),
            SOURCE.replace("  if (a < b &&", "  b = ask(a - 1);\n  if (a < b &&"),
        ):
            after = dict(choose.identify(read(more)[1]))
            self.assertGreater(len(after), len(before))
            for name, one in before.items():
                self.assertEqual((after[name].whole, after[name].after), (one.whole, one.after))
                self.assertEqual(one.line - after[name].line, SOURCE.count("\n") - more.count("\n"))

    def test_names_tell_apart_what_is_the_same(self):
        twice = SOURCE.replace("    room.rows = b;\n", "    room.rows = b;\n" * 2)
        self.assertEqual(len(dict(choose.identify(read(twice)[1]))), len(read(twice)[1]))

    def test_the_lot_is_the_same_for_the_same_seed(self):
        mutants = dict(choose.identify(read(SOURCE)[1]))
        first = list(choose.pick(mutants, 5, 1))
        self.assertEqual(len(first), 5)
        self.assertEqual(first, list(choose.pick(mutants, 5, 1)))
        self.assertNotEqual(first, list(choose.pick(mutants, 5, 2)))
        without = list(choose.pick(mutants, 5, 1, refused={first[0]}))
        self.assertNotIn(first[0], without)
        self.assertEqual(len(without), 5)

    def test_none_touches_anothers_text(self):
        mutants = {"a": mutant(0, 10), "b": mutant(5, 15), "c": mutant(10, 20)}
        mutants["d"] = mutant(0, 20, path="b.cc")
        for seed in range(50):
            taken = choose.pick(mutants, 4, seed)
            self.assertNotEqual({"a", "b"} & set(taken), {"a", "b"})
            self.assertNotEqual({"b", "c"} & set(taken), {"b", "c"})
            self.assertIn("d", taken)

    def test_each_room_by_its_code(self):
        self.assertEqual(choose.quotas({"log": 100, "net": 300}, 200), {"log": 50, "net": 150})
        self.assertGreaterEqual(sum(choose.quotas({"a": 1, "b": 1, "c": 1}, 200).values()), 200)

    def test_the_compiler_blames_a_mutant(self):
        spans = {"src/log/log.cc": {3: (10, 10), 4: (20, 22)}}
        said = "/t/src/log/log.cc:{}:5: {}: no\n"
        tree = pathlib.Path("/t")
        self.assertEqual(build.blamed(said.format(21, "error"), tree, spans), {4})
        self.assertEqual(build.blamed(said.format(11, "error"), tree, spans), set())
        both = said.format(10, "note") + said.format(20, "error")
        self.assertEqual(build.blamed(both, tree, spans), {4})
        self.assertEqual(build.blamed(said.format(10, "note") + said.format(1, "error"), tree, spans), {3})

    def judged(self, text, *tests, seconds=0.1):
        """What judges by a program of tests, which all mutants reach; and the program."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        program = pathlib.Path(folder.name) / "a_test"
        program.write_text(text)
        program.chmod(0o755)
        one = {"floor": "unit", "program": str(program), "seconds": seconds, "reached": [3, 4, 5]}
        judging = judge.Judge(None, [{**one, "name": name} for name in tests])
        return lambda number: judging.verdict(number, "log", ("unit",)), program

    def test_a_test_stops_a_mutant(self):
        verdict, program = self.judged(PROGRAM, "A.Once", "A.Fails", "A.Dies")
        self.assertEqual(verdict(3), {"floor": "unit", "by": "A.Fails", "how": "fails"})
        self.assertEqual(verdict(4), {"floor": "unit", "by": "A.Dies", "how": "ends by signal 11"})
        self.assertEqual(verdict(5), {"floor": None, "asked": 3, "doubts": []})
        self.assertEqual(verdict(6), {"floor": None, "asked": 0, "doubts": []})
        pathlib.Path(f"{program}.once").rmdir()
        once = {"floor": "unit", "by": "A.Once", "why": "passes alone"}
        self.assertEqual(verdict(5), {"floor": None, "asked": 3, "doubts": [once]})

    def test_what_fails_without_a_mutant_too_kills_none(self):
        verdict, program = self.judged(PROGRAM, "A.Worn", "A.Fails")
        worn = {"floor": "unit", "by": "A.Worn", "why": "fails without a mutant, too"}
        self.assertEqual(verdict(5), {"floor": None, "asked": 2, "doubts": [worn]})
        self.assertEqual(verdict(3), {"floor": "unit", "by": "A.Fails", "how": "fails"})
        program.unlink()
        self.assertEqual([one["by"] for one in verdict(3)["doubts"]], ["the start"] * 2)
        verdict, _ = self.judged("#!/bin/sh\nkill -11 $$\n", "A.Fails")
        self.assertEqual(verdict(3)["doubts"][0]["why"], "ends by signal 11 without a mutant, too")
        verdict, _ = self.judged("#!/bin/sh\n[ $MUTANT = 3 ] && exit 1\nexit 0\n", "A.Fails")
        self.assertIsNone(verdict(3)["floor"], "a control that plays no test")
        start = "#!/bin/sh\n[ $MUTANT = 3 ] && kill -11 $$\n"
        verdict, _ = self.judged(start + PROGRAM.split("\n", 1)[1], "A.Any")
        self.assertEqual(verdict(3), {"floor": "unit", "by": "the start", "how": "ends by signal 11"})

    def test_a_hang_kills_only_if_the_same_is_done_soon_without_a_mutant(self):
        slow = '#!/bin/sh\necho "[ RUN      ] A.Slow"\n[ $MUTANT = 0 ] && exec sleep {}\nsleep 60\n'
        with mock.patch.object(play, "LEAST_SECONDS", 0.4):
            verdict, _ = self.judged(slow.format(0), "A.Slow")
            self.assertEqual(verdict(3), {"floor": "unit", "by": "A.Slow", "how": "hangs"})
            verdict, _ = self.judged(slow.format(0.6), "A.Slow")
            self.assertEqual(verdict(3)["doubts"][0]["why"], "is nearly as slow without a mutant")

    def protocol(self, **files):
        """A tree with tests of the protocol, and a server that says which mutant it has."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        works = build.Works(pathlib.Path(folder.name))
        (works.root / "tests/protocol").mkdir(parents=True)
        works.build.mkdir(parents=True)
        server = "#!/bin/sh\necho $MUTANT\nprintf '\\0\\1' > ${MUTANTS_REACHED:-/dev/null}\n"
        (works.build / "belfry").write_text(server)
        (works.build / "belfry").chmod(0o755)
        head = "import { execFileSync } from 'node:child_process';\nimport { it } from 'node:test';\n"
        head += "const served = () => Number(execFileSync(process.env.BELFRY));\n"
        for name, text in files.items():
            (works.root / f"tests/protocol/{name}.test.mjs").write_text(head + text)
        return works

    def test_the_protocol_stops_a_mutant(self):
        fails = "it('{}', () => {{ if (served() === {}) throw new Error('no'); }});\n"
        waits = "it('waits', () => new Promise((done) => { setTimeout(done, served() * 20_000); }));\n"
        a, b, c = fails.format("three", 3) + waits, fails.format("none", 0), fails.format("nine", 9)
        works = self.protocol(a=a, b=b, c=c)
        with contextlib.redirect_stdout(io.StringIO()):
            plays, idle = judge.note_protocol(works, {})
        self.assertEqual([one["name"] for one in plays], ["a.test.mjs", "c.test.mjs"])
        self.assertEqual(idle, ["b.test.mjs"])
        self.assertEqual(plays[0]["reached"], [1])
        known = works.load("reached", {})["files"]
        self.assertEqual((known["a.test.mjs"], known["b.test.mjs"]), (plays[0], None))
        for one in plays:
            one["reached"] = [3]
        judging, began = judge.Judge(works, plays), time.monotonic()
        expected = {"floor": "protocol", "by": "a.test.mjs: three", "how": "fails"}
        self.assertEqual(judging.verdict(3, "net", ("protocol",)), expected)
        self.assertLess(time.monotonic() - began, 30, "it was played after it had failed")
        self.assertEqual(judging.verdict(4, "net", ("protocol",))["asked"], 0)

    def test_a_file_that_is_known_is_not_noted_again(self):
        works = self.protocol(a="it('x', () => served());\n")
        kept = {"files": {"a.test.mjs": {"name": "a.test.mjs", "reached": [7]}}}
        self.assertEqual(judge.note_protocol(works, kept), ([{"name": "a.test.mjs", "reached": [7]}], []))

    def ended(self, pattern):
        for _ in range(100):
            if subprocess.run(["pgrep", "-f", pattern], capture_output=True, check=False).returncode:
                return
            time.sleep(0.05)
        self.fail("a process of the test is left")

    def test_what_takes_too_long_is_ended_with_all_it_started(self):
        done = play.play(["sh", "-c", "sleep 87654 & sleep 87654"], seconds=0.2)
        self.assertEqual(done.code, None)
        self.ended("^sleep 87654$")

    def test_a_daemon_is_ended_too(self):
        done = play.play(["sh", "-c", "setsid sleep 87655 & sleep 0.3"])
        self.assertEqual(done.code, 0)
        self.ended("^sleep 87655$")

    def test_what_has_failed_is_not_played_to_its_end(self):
        stop = re.compile("^not ok", re.M)
        began = time.monotonic()
        done = play.play(["sh", "-c", "echo ok; sleep 0.4; echo not ok 2; sleep 87656"], stop=stop)
        self.assertEqual((done.code, done.text), (1, "ok\nnot ok 2\n"))
        self.assertLess(time.monotonic() - began, 20)
        done = play.play(["sh", "-c", "echo ok; sleep 0.4; echo more"], stop=stop)
        self.assertEqual((done.code, done.text), (0, "ok\nmore\n"))

    def test_what_is_left_in_files_goes_too(self):
        done = play.play(["sh", "-c", "mktemp -d; sleep 9"], stop=re.compile("\n"))
        self.assertEqual((done.code, done.text[:7]), (1, f"{tempfile.gettempdir()}/m-"[:7]))
        self.assertFalse(pathlib.Path(done.text.strip()).exists())

    def test_what_cannot_start_has_failed(self):
        self.assertEqual(play.play(["/no/such/program"]).code, play.CANNOT_START)

    def test_the_switch_tells_what_was_reached_whatever_ends_it(self):
        text = "#include <csignal>\nusing belfry::mutant::on;\n"
        text += "int main() { if (on(2)) return 2; on(5); raise(SIGKILL); }\n"
        with tempfile.TemporaryDirectory() as folder:
            source, program = pathlib.Path(folder) / "x.cc", pathlib.Path(folder) / "x"
            source.write_text(text)
            subprocess.run(["g++", "-std=c++20", "-include", HEADER, source, "-o", program], check=True)
            done, reached = play.noted([program])
            self.assertEqual((done.code, reached), (-9, [2, 5]))
            done, reached = play.noted([program], mutant=2)
            self.assertEqual((done.code, reached), (2, [2]))

    def test_who_survived_is_judged_again_when_tests_change(self):
        floors = (judge.UNIT, judge.CONTRACT)
        self.assertTrue(judge.wanted(None, "f", "s", floors))
        survived = {"asked": {floor: "s" for floor in floors}}
        self.assertFalse(judge.wanted(survived, "f", "s", floors))
        self.assertTrue(judge.wanted(survived, "f", "other", floors))
        self.assertTrue(judge.wanted(survived, "f", "s", (judge.POWER,)))

    def test_a_kill_holds_for_the_same_file_and_knows_its_state(self):
        floors, mutant = (judge.UNIT,), {"file": "f"}
        killed = {"floor": "unit", "by": "A.B", "how": "fails"}
        kept = judge.record(None, killed, mutant, floors, "s", "c")
        self.assertEqual(kept, {**killed, "file": "f", "state": "s", "commit": "c"})
        self.assertFalse(judge.wanted(kept, "f", "other", floors))
        self.assertTrue(judge.wanted(kept, "other", "s", floors))
        self.assertTrue(judge.wanted(killed, "f", "s", floors), "of which file is not known")
        doubt = {"floor": "unit", "by": "A.C", "why": "passes alone"}
        alive = judge.record(kept, {"floor": None, "doubts": [doubt]}, mutant, floors, "t", "d")
        self.assertEqual(alive, {"asked": {"unit": "t"}, "doubts": [doubt]})
        alive = judge.record(alive, {"floor": None, "doubts": []}, mutant, (judge.POWER,), "u", "e")
        self.assertEqual(alive, {"asked": {"unit": "t", "power loss": "u"}, "doubts": [doubt]})
        alive = judge.record(alive, {"floor": None, "doubts": []}, mutant, floors, "u", "e")
        self.assertEqual(alive["doubts"], [])

    def test_verdicts_are_kept_one_by_one_and_tell_their_state(self):
        works = self.protocol()
        one = {"room": "log", "file": "f", "path": "a", "line": 1, "operator": "not"}
        mutants = {number: {"name": f"m{number}", **one} for number in (3, 4, 5)}
        verdicts = {3: {"floor": "unit", "by": "A", "how": "fails"}, 4: {"floor": None, "doubts": []}}

        def verdict(_, number, *__):
            return verdicts[number]  # 5 is an error of ours

        with (
            mock.patch.object(judge, "notes", return_value=[]),
            mock.patch.object(judge.Judge, "verdict", verdict),
            contextlib.redirect_stdout(io.StringIO()),
            self.assertRaises(KeyError),
        ):
            judge.judge(works, mutants, ("s", "b", "c"), (judge.UNIT,), 1)
        kept = {"m3": {**verdicts[3], "file": "f", "state": "s", "commit": "c"}}
        kept["m4"] = {"asked": {"unit": "s"}, "doubts": []}
        self.assertEqual(works.load("results", {}), kept)

    def test_of_the_protocol_two_are_played_at_once(self):
        works, now, most = self.protocol(), [], []
        (works.root / "tests/protocol/package-lock.json").touch()
        (works.root / "tests/protocol/node_modules").mkdir()
        (works.root / "tests/protocol/node_modules/.package-lock.json").touch()
        one = {"room": "log", "file": "f", "path": "a", "line": 1, "operator": "not"}
        mutants = {number: {"name": f"m{number}", **one} for number in range(6)}

        def verdict(_, number, *__):
            now.append(number)
            most.append(len(now))
            time.sleep(0.05)
            now.remove(number)
            return {"floor": None, "doubts": []}

        with (
            mock.patch.object(judge, "notes", return_value=[]),
            mock.patch.object(judge.Judge, "verdict", verdict),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            for floor, expected in (("protocol", 2), ("unit", 4)):
                judge.judge(works, mutants, ("s", "b", "c"), (floor,), 4)
                self.assertEqual(max(most), expected, floor)

    def test_the_build_is_as_hard_as_a_release(self):
        found = build.flags(pathlib.Path(__file__).resolve().parent.parent).split()
        self.assertTrue({"-O1", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=3"} < set(found))
        self.assertNotIn("-O2", found)

    def test_the_report_marks_kills_of_another_state(self):
        works = self.protocol()
        (works.root / "docs/reports").mkdir(parents=True)
        one = {"room": "log", "path": "src/log/log.cc", "line": 7, "before": "x", "after": "", "file": "f"}
        mutants = {number: {"name": name, **one} for number, name in enumerate("abcd")}
        kill = {"floor": "unit", "by": "A.B", "how": "hangs", "file": "f", "state": "s", "commit": "1a"}
        results = {"a": kill, "b": {**kill, "state": "t"}, "c": {**kill, "file": "g"}}
        works.save("results", results | {"d": {"asked": {}, "doubts": [{}]}})
        works.save("reached", {"idle": {"protocol": ["x.test.mjs"]}})
        self.assertEqual(report.write(works, mutants, 1, 2000, "t"), (2, 3), "c is to be judged again")
        text = (works.root / "docs/reports/mutants.md").read_text()
        self.assertIn("| `1a` | unit | 1 |\n", text)
        self.assertNotIn("| `b` |", text)
        for remark in ("1 were killed in an earlier", "With 1 of the", "1 more are", "none: x.test.mjs."):
            self.assertIn(remark, text)

    def test_the_report_counts(self):
        mutants = {1: {"name": "a", "room": "log"}, 2: {"name": "b", "room": "log"}}
        mutants[2] |= {"path": "src/log/log.cc", "line": 7, "before": "a | b", "after": ""}
        results = {"a": {"floor": "unit"}, "b": {"asked": {}}}
        self.assertIn("| all | 2 | 1 | 0 | 0 | 0 | 0 | 1 | 50 % |", list(report.table(mutants, results)))
        reasons = {"b": {"kind": "equivalent", "reason": "it is so"}}
        self.assertEqual(
            list(report.survivors(mutants, results, reasons))[2:],
            ["| `b` | `src/log/log.cc:7` | `a \\| b` | nothing | equivalent: it is so |"],
        )


if __name__ == "__main__":
    unittest.main(verbosity=0)
