"""How the tests of each runner are played, counted, and played once more: ctest, node --test, vitest."""

import json
import os
import re
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor

from dev_tally import Outcome, together

FILE_SECONDS = 420  # of a file of tests; T8 alone is minutes
# What was seen by chance is there, whether it is seen again or not: by a sanitizer, by a CHECK, or by a
# property (RapidCheck's, fast-check's), which draws other values each time.
CAUGHT = re.compile(r"^Vitest caught \d+ unhandled error", re.M)  # whichever test it was: found by chance
FOUND = re.compile(
    r"\b(Address|Leak|Thread|UndefinedBehavior)Sanitizer\b|: runtime error: "
    r"|\bCHECK failed\b|\bFalsifiable\b|\bProperty failed\b|\bthe server ended by itself\b"
)
# What ctest says of a test that ended by itself, or never ran. All else that it says are signals.
WITHOUT_SIGNAL = {"Failed", "Timeout", "Not Run", "Disabled"}


def exactly(name):
    """The regular expression of CMake's for one name."""
    return "^" + re.sub(r"([][.^$*+?()|\\])", r"\\\1", name) + "$"


def ctest_signals(log):
    """Of what ctest says at its end, since its report does not tell it: the signals that ended tests."""
    last = log.rpartition("The following tests FAILED:")[2]
    endings = dict(re.findall(r"^\t *\d+ - (.+?) \(([\w ]+)\)", last, re.M))
    return {name: ending for name, ending in endings.items() if ending not in WITHOUT_SIGNAL}


def ctest_outcomes(report, one, signals):
    """Of ctest's report: an outcome for each test."""
    for case in ElementTree.fromstring(report).iter("testcase"):
        name, output = case.get("name"), case.findtext("system-out") or ""
        if case.get("status") == "run":
            yield Outcome(1, 0, names=[name])
            continue
        print(f"FAILED {name}")
        print(output[-4000:])
        said = [line for line in output.split("\n") if "Failure" in line or "ERROR" in line]
        again = None if name in signals or FOUND.search(output) else lambda name=name: one(name)
        reason = said[0].strip() if said else signals.get(name, "see above")
        yield Outcome(0, 1, [(name, reason)], again)


def ctest_folder(folder, environment, names=None):
    """Outcomes of the tests of a build folder, or of those whose names match."""
    report, log = folder / "tests.xml", folder / "tests.log"
    for old in (report, log):
        old.unlink(missing_ok=True)
    command = ["ctest", "--test-dir", str(folder), "--quiet", "--no-tests=error", "--output-on-failure"]
    command += ["--output-junit", str(report), "--output-log", str(log)]
    command += ["-j", str(os.cpu_count() or 2), "--timeout", "600"]
    command += ["-R", names] if names else []
    code = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False).returncode

    def one(name):
        return together(ctest_folder(folder, environment, exactly(name)))

    signals = ctest_signals(log.read_text(errors="replace") if log.exists() else "")
    outcomes = list(ctest_outcomes(report.read_text(), one, signals)) if report.exists() else []
    if not any(outcome.failed for outcome in outcomes) and (code != 0 or not outcomes):
        outcomes.append(Outcome(0, 1, [("ctest", f"ended with {code} after {len(outcomes)} tests")]))
    return outcomes


def unplayed(rooms, outcomes):
    """A failure for each room of which no test was played, passed or not."""
    played = {name.split(".")[0] for one in outcomes for name in [*one.names, *dict(one.reasons)]}
    for room in sorted(set(rooms) - played):
        yield Outcome(0, 1, [(room, "none of its tests was played")])


def ctest(root, preset, tally, rooms=(), images=None):
    """The tests of a preset, or those of some rooms."""
    began = time.monotonic()
    environment = dict(
        os.environ,
        ASAN_OPTIONS="detect_leaks=1",
        UBSAN_OPTIONS="print_stacktrace=1",
        TSAN_OPTIONS="halt_on_error=1",
        **({"BELFRY_POWER_IMAGES": str(images)} if images else {}),
    )
    chosen = f"^({'|'.join(rooms)})[.]" if rooms else None
    outcomes = ctest_folder(root / "build" / preset, environment, chosen)
    tally.units(preset, [*outcomes, *unplayed(rooms, outcomes)], began)


def failures(tap):
    """Of TAP: each test that failed, with what it said."""
    lines, out = tap.split("\n"), []
    for at, line in enumerate(lines):
        if re.match(r"\s*not ok ", line):
            out += lines[at : at + 30] + [""]
    return "\n".join(out)[:40000]


def results(tap):
    """Of TAP, for each test and suite: (its name behind those of its suites, "ok" or not, what is said)."""
    suites = []
    result = r"^( *)(?:# Subtest: (.*)|(not ok|ok) \d+ - (.*?)( # .*)?\n((?:\1  .*\n)*))"
    for found in re.finditer(result, tap, re.M):
        depth = len(found[1]) // 4
        if found[2] is not None:
            suites[depth:] = [found[2]]
        else:
            ending = "skipped" if found[5] and found[3] == "ok" else found[3]
            yield " > ".join([*suites[:depth], found[4]]), ending, found[6]


def reasons(tap):
    """Of TAP: (name, error) of each test that failed by itself, not because one inside or around it did."""
    for name, ending, said in results(tap):
        error = re.search(r"^ *error: (?:\|-\n)?\s*(.*)$", said, re.M)
        if ending == "not ok" and not re.search("failureType: '(subtestsFailed|cancelledByParent)'", said):
            yield name, error[1] if error else "no error was told"


def tap_outcome(tap, code, name):
    """What a file of tests came to. What was skipped or given up has failed."""
    found = re.findall(r"^# (pass|fail|cancelled|skipped|todo) (\d+)$", tap, re.M)
    counts = {kind: int(value) for kind, value in found}
    failed = sum(counts.get(kind, 0) for kind in ("fail", "cancelled", "skipped", "todo"))
    if failed == 0 and (code != 0 or counts.get("pass", 0) == 0):
        failed = 1
    told = [(f"{name}: {test}", error) for test, error in reasons(tap)] if failed else []
    if failed and not told:
        told = [(name, "a test was skipped" if code == 0 else "it ended without a word")]
    passed = [f"{name}: {test}" for test, ending, _ in results(tap) if ending == "ok"]
    return Outcome(counts.get("pass", 0), failed, told, names=passed if failed else [name, *passed])


def node_file(folder, name, environment):
    """One file of tests, by Node's own runner."""
    command = ["node", "--test", "--test-reporter=tap", f"--test-timeout={FILE_SECONDS * 1000}"]
    # A client that a failed test left open must not keep everybody waiting.
    command += ["--test-force-exit", name]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        try:
            code = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                timeout=FILE_SECONDS + 60,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
        out.seek(0)
        errors.seek(0)
        tap, said = out.read(), errors.read()
    outcome = tap_outcome(tap, code, name)
    if outcome.failed:
        print(failures(tap), said[-4000:], sep="\n", flush=True)
        if not FOUND.search(tap + said):
            outcome.again = lambda: node_file(folder, name, environment)
    return outcome


def node_tests(floor, folder, environment, tally, concurrency=2, patterns=("*.test.mjs",)):
    """The *.test.mjs of a folder, so many files at a time."""
    began, seconds = time.monotonic(), {}
    files = sorted(str(path.relative_to(folder)) for pattern in patterns for path in folder.glob(pattern))

    def play(name):
        start = time.monotonic()
        outcome = node_file(folder, name, environment)
        seconds[name] = time.monotonic() - start
        return outcome

    with ThreadPoolExecutor(max_workers=concurrency) as pool:
        outcomes = list(pool.map(play, files))
    slowest = sorted(seconds, key=seconds.get, reverse=True)[:5]
    print(f"-- {floor}: longest: {', '.join(f'{name} {seconds[name]:.0f} s' for name in slowest)}")
    tally.units(floor, outcomes or [Outcome(0, 1, [(floor, "there is no test")])], began)


def vitest_outcomes(report, folder, one):
    """Of vitest's report: an outcome for each file, which `one` plays again. What was skipped has failed."""
    for file in report.get("testResults", []):
        name = os.path.relpath(file["name"], folder)
        tests = file["assertionResults"]
        wrong = [test for test in tests if test["status"] != "passed"]
        told = [
            (f"{name}: {test['fullName']}", (test.get("failureMessages") or [test["status"]])[0])
            for test in wrong
        ]
        passed = [f"{name}: {test['fullName']}" for test in tests if test["status"] == "passed"]
        if not wrong and (file["status"] != "passed" or not passed):
            told = [(name, file.get("message") or "it holds no test")]
        chance = any(FOUND.search(error) for _, error in told)
        again = None if chance or not told else lambda name=name: one(name)
        told = [(test, error.split("\n")[0]) for test, error in told]
        yield Outcome(len(passed), len(told), told, again, passed if told else [name, *passed])


def vitest(folder, environment, program, tally, report):
    """The tests of the packages, by file."""
    began = time.monotonic()

    def play(*names):
        report.unlink(missing_ok=True)
        command = [str(program), "run", "--reporter=default", "--reporter=json"]
        done = subprocess.run(
            [*command, f"--outputFile.json={report}", *names],
            cwd=folder,
            env=dict(environment, NO_COLOR="1"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        told = json.loads(report.read_text()) if report.exists() else {}
        found = list(vitest_outcomes(told, folder, one))
        if CAUGHT.search(done.stdout + done.stderr):
            found.append(Outcome(0, 1, [("vitest", "an error that no test waited for: see above")]))
        elif done.returncode != 0 and not any(outcome.failed for outcome in found):
            ended = [("vitest", f"ended with {done.returncode}")]
            found.append(Outcome(0, 1, ended, lambda: one(".")))
        elif found and done.returncode == 0:
            found.append(Outcome(0, 0, names=["vitest"]))
        if any(outcome.failed for outcome in found):
            print(done.stdout[-20000:], done.stderr[-4000:], sep="\n", flush=True)
        return found

    def one(name):
        return together(play(name))

    tally.units("web tests", play() or [Outcome(0, 1, [("vitest", "no test ran")])], began)
