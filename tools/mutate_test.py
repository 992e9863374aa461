#!/usr/bin/env python3
"""./dev mutate: what is found in a source, what is chosen of it, what is written, and who is to blame."""

import pathlib
import subprocess
import tempfile
import time
import unittest

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


# Plays the tests that its filter names, as gtest does. A.Fails fails with mutant 3, A.Once fails once.
PROGRAM = """#!/bin/sh
for name in $(echo "$*" | sed 's/.*filter=//; s/:/ /g'); do
  echo "[ RUN      ] $name"
  case $name-$MUTANT in
    A.Fails-3) echo "[  FAILED  ] $name, where"; exit 1;;
    A.Once-*) if mkdir "$0.once"; then echo "[  FAILED  ] $name"; exit 1; fi;;
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

    def test_a_test_stops_a_mutant(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "a_test"
            program.write_text(PROGRAM)
            program.chmod(0o755)
            plays = [
                {"floor": "unit", "program": str(program), "name": name, "seconds": 0.1, "reached": reached}
                for name, reached in [("A.Once", [3, 5]), ("A.Fails", [3]), ("A.Dies", [3, 4, 5])]
            ]
            judging = judge.Judge(None, plays)

            def verdict(number):
                return judging.verdict(number, "log", ("unit",))

            self.assertEqual(verdict(3), {"floor": "unit", "by": "A.Fails", "how": "fails"})
            self.assertEqual(verdict(4), {"floor": "unit", "by": "A.Dies", "how": "ends by signal 11"})
            self.assertEqual(verdict(5), {"floor": None, "asked": 2})
            pathlib.Path(f"{program}.once").rmdir()
            self.assertEqual(verdict(5), {"floor": None, "asked": 2})
            self.assertEqual(verdict(6), {"floor": None, "asked": 0})

    def test_what_takes_too_long_is_ended_with_all_it_started(self):
        done = play.play(["sh", "-c", "sleep 87654 & sleep 87654"], seconds=0.2)
        self.assertEqual((done.code, judge.how(done)), (None, "takes too long"))
        for _ in range(100):
            if subprocess.run(["pgrep", "-f", "^sleep 87654$"], capture_output=True, check=False).returncode:
                return
            time.sleep(0.05)
        self.fail("a process of the test is left")

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
        self.assertTrue(judge.wanted(None, "s", floors))
        self.assertFalse(judge.wanted({"floor": "unit", "by": "x"}, "other", floors))
        survived = {"asked": {floor: "s" for floor in floors}}
        self.assertFalse(judge.wanted(survived, "s", floors))
        self.assertTrue(judge.wanted(survived, "other", floors))
        self.assertTrue(judge.wanted(survived, "s", (judge.POWER,)))

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
