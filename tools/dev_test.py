"""./dev test: every floor of the pyramid, one summary, and a last line that counts."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import dev_demo
import dev_fuzz
import dev_kafka
import dev_setup
import dev_web

FLOORS = ["release", "protocol", "crash", "web", "browser", "asan", "tsan", "fuzz", "tidy"]
BY_HAND = ["kafka"]  # needs Maven and a JDK
FORMATTED = ("web", "examples", "tests/protocol")  # by prettier
CRASH_CYCLES = 50


class Tally:
    def __init__(self):
        self.rows = []
        self.reasons = []

    def why(self, floor, name, reason):
        """Of a test that failed, said again at the end, where somebody looks first."""
        self.reasons.append(f"FAILED {floor}: {name}: {reason}"[:400])

    def add(self, floor, passed, failed, began):
        self.rows.append((floor, passed, failed, time.monotonic() - began))
        print(f"-- {floor}: {passed} passed, {failed} failed", flush=True)

    def end(self):
        print("\nfloor          passed  failed  seconds")
        for floor, passed, failed, seconds in self.rows:
            print(f"{floor:13} {passed:7} {failed:7} {seconds:8.0f}")
        passed, failed = sum(row[1] for row in self.rows), sum(row[2] for row in self.rows)
        print(f"\n{passed} passed, {failed} failed", flush=True)
        for reason in self.reasons:
            print(reason, flush=True)
        return 0 if failed == 0 and passed > 0 else 1


def ctest(root, preset, tally, chosen=None):
    began = time.monotonic()
    report = root / "build" / preset / "tests.xml"
    report.unlink(missing_ok=True)
    environment = dict(
        os.environ,
        ASAN_OPTIONS="detect_leaks=1",
        UBSAN_OPTIONS="print_stacktrace=1",
        TSAN_OPTIONS="halt_on_error=1",
    )
    if preset == "release":
        environment["BELFRY_POWER_IMAGES"] = "2000"
    command = [
        "ctest",
        "--test-dir",
        str(root / "build" / preset),
        "--output-on-failure",
        "--output-junit",
        str(report),
        "-j",
        str(os.cpu_count() or 2),
        "--timeout",
        "600",
        "--quiet",
    ]
    if chosen:
        command += ["-R", chosen]
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False)
    passed = failed = 0
    if report.exists():
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            ran = case.get("status") == "run"
            passed += ran
            failed += not ran
            if not ran:
                print(f"FAILED {case.get('name')}")
                output = case.findtext("system-out") or ""
                print(output[-4000:])
                said = [line for line in output.split("\n") if "Failure" in line or "ERROR" in line]
                tally.why(preset, case.get("name"), said[0].strip() if said else "see above")
    if passed + failed == 0:
        failed = 1
        print(f"no test ran in {preset}")
    tally.add(preset, passed, failed, began)


def node_environment(root):
    return dict(dev_web.environment(), BELFRY=str(root / "build/release/belfry"))


def failures(tap):
    """Of TAP: each test that failed, with what it said."""
    lines, out = tap.split("\n"), []
    for at, line in enumerate(lines):
        if re.match(r"\s*not ok ", line):
            out += lines[at : at + 30] + [""]
    return "\n".join(out)[:40000]


def reasons(tap):
    """Of TAP: (name, error) of each test that failed by itself, not because one inside it did."""
    for found in re.finditer(r"^( *)not ok \d+ - (.*)\n((?:\1  .*\n)*)", tap, re.M):
        error = re.search(r"^ *error: (?:\|-\n)?\s*(.*)$", found[3], re.M)
        if "failureType: 'subtestsFailed'" not in found[3]:
            yield found[2], error[1] if error else "no error was told"


def node_tests(floor, folder, environment, tally, concurrency=2, pattern="*.test.mjs"):
    """The *.test.mjs of a folder, by Node's own runner."""
    began = time.monotonic()
    files = sorted(str(path.relative_to(folder)) for path in folder.glob(pattern))
    done = subprocess.run(
        [
            "node",
            "--test",
            "--test-reporter=tap",
            f"--test-concurrency={concurrency}",
            "--test-timeout=420000",  # of a file; T8 alone is minutes
            "--test-force-exit",  # a client that a failed test left open must not keep everybody waiting
            *files,
        ],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    counts = {
        name: int(value)
        for name, value in re.findall(r"^# (pass|fail|cancelled|skipped) (\d+)$", done.stdout, re.M)
    }
    failed = counts.get("fail", 0) + counts.get("cancelled", 0) + counts.get("skipped", 0)
    if done.returncode != 0 and failed == 0:
        failed = 1
    if failed:
        print(failures(done.stdout))
        print(done.stderr[-4000:])
        for name, error in reasons(done.stdout):
            tally.why(floor, name, error)
    tally.add(floor, counts.get("pass", 0), failed, began)


def web(root, tally):
    """The packages without a browser: rules, types, tests, weight, whether they can be published."""
    folder = dev_web.install(root / "web")
    environment = node_environment(root)
    binaries = folder / "node_modules" / ".bin"
    ignored = ("--ignore-path", root / ".prettierignore")
    checks = {
        "format": [binaries / "prettier", "--check", *ignored, *(root / part for part in FORMATTED)],
        **{f"types ({name})": [binaries / "tsc", "-p", name] for name in ("client", "react", "inbox")},
        "sizes": ["node", "sizes.mjs"],
        "without a browser": ["node", "ssr.mjs"],
        **{
            f"publint ({name})": [binaries / "publint", name, "--strict"]
            for name in ("client", "react", "inbox")
        },
    }
    for name, command in checks.items():
        began = time.monotonic()
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=name != "sizes",
            text=True,
            check=False,
        )
        if done.returncode != 0 and done.stdout is not None:
            print(done.stdout[-4000:] + done.stderr[-4000:])
        tally.add(f"web {name}", int(done.returncode == 0), int(done.returncode != 0), began)
    vitest(folder, environment, binaries, tally)
    example = dev_web.install(root / "examples" / "booking") / "test"
    node_tests("examples", example, environment, tally)


def vitest(folder, environment, binaries, tally):
    began = time.monotonic()
    report = folder.parent / "build" / "web" / "vitest.json"
    report.unlink(missing_ok=True)
    done = subprocess.run(
        [
            str(binaries / "vitest"),
            "run",
            "--reporter=default",
            "--reporter=json",
            f"--outputFile.json={report}",
        ],
        cwd=folder,
        env=dict(environment, NO_COLOR="1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    counts = json.loads(report.read_text()) if report.exists() else {}
    passed, total = counts.get("numPassedTests", 0), counts.get("numTotalTests", 0)
    failed = total - passed  # what was skipped too
    if (done.returncode != 0 or passed == 0) and failed == 0:
        failed = 1
    if failed:
        print(done.stdout[-20000:])
        print(done.stderr[-4000:])
    tally.add("web tests", passed, failed, began)


def browser(root, tally):
    """The packages and the booking demo in Debian's Chromium."""
    dev_web.install(root / "web")
    dev_demo.build(root)
    node_tests("browser", root / "web" / "browser", node_environment(root), tally, concurrency=1)


def kafka(root, tally):
    """The Kafka source on a real broker."""
    folder = dev_web.install(root / "tests" / "protocol")
    with dev_kafka.broker(root) as address:
        environment = dict(node_environment(root), KAFKA_BROKERS=address)
        node_tests("kafka", folder, environment, tally, pattern="sources_kafka.test.mjs")


def figures(root, arguments):
    """What sources take in, and how soon it is at a client."""
    folder = dev_web.install(root / "tests" / "protocol")
    command = ["node", "sources_figures.mjs", *arguments]
    return subprocess.run(command, cwd=folder, env=node_environment(root), check=False).returncode


def crash(root, cycles, batch=1):
    environment = node_environment(root)
    folder = dev_web.install(root / "tests" / "protocol")
    return subprocess.run(
        ["node", "crash.mjs", "--cycles", str(cycles), "--batch", str(batch)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        check=False,
    ).returncode


def chaos(root):
    """The threats and faults in their full counts: hours, by hand."""
    environment = dict(node_environment(root), CHAOS="1")
    folder = dev_web.install(root / "tests" / "protocol")
    files = sorted(
        str(path.relative_to(folder))
        for pattern in (
            "threats*.test.mjs",
            "proxies.test.mjs",
            "faults*.test.mjs",
            "sources_order.test.mjs",
        )
        for path in folder.glob(pattern)
    )
    return subprocess.run(
        ["node", "--test", "--test-concurrency=1", "--test-timeout=7200000", "--test-force-exit", *files],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        check=False,
    ).returncode


def run(root, build, only):
    wanted = only or FLOORS
    tally = Tally()
    if {"release", "protocol", "crash", "web", "browser", "kafka"} & set(wanted):
        build("release")
    if "release" in wanted:
        ctest(root, "release", tally)
    if "protocol" in wanted:
        folder = dev_web.install(root / "tests" / "protocol")
        node_tests("protocol", folder, node_environment(root), tally)
    if "crash" in wanted:
        began = time.monotonic()
        failed = crash(root, CRASH_CYCLES) != 0
        tally.add("crash", int(not failed), int(failed), began)
    if "web" in wanted:
        web(root, tally)
    if "browser" in wanted:
        browser(root, tally)
    if "kafka" in wanted:
        kafka(root, tally)
    for preset in ("asan", "tsan"):
        if preset in wanted:
            build(preset)
            ctest(root, preset, tally)
    if "fuzz" in wanted:
        build("fuzz", testing=False)
        dev_fuzz.ci(root, tally)
    if "tidy" in wanted:
        dev_setup.install("mutate")
        began = time.monotonic()
        for script in ("tidy_test.py", "dev_words_test.py", "mutate_test.py", "tidy.py"):
            done = subprocess.run([sys.executable, str(root / "tools" / script)], cwd=root, check=False)
            tally.add(f"tidy ({script})", int(done.returncode == 0), int(done.returncode != 0), began)
    return tally.end()
