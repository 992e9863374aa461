"""./dev test: every floor of the pyramid, one summary, and a last line that counts."""

import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import dev_fuzz
import dev_setup

FLOORS = ["release", "protocol", "crash", "asan", "tsan", "fuzz", "tidy"]
CRASH_CYCLES = 50


class Tally:
    def __init__(self):
        self.rows = []

    def add(self, floor, passed, failed, began):
        self.rows.append((floor, passed, failed, time.monotonic() - began))
        print(f"-- {floor}: {passed} passed, {failed} failed", flush=True)

    def end(self):
        print("\nfloor          passed  failed  seconds")
        for floor, passed, failed, seconds in self.rows:
            print(f"{floor:13} {passed:7} {failed:7} {seconds:8.0f}")
        passed, failed = sum(row[1] for row in self.rows), sum(row[2] for row in self.rows)
        print(f"\n{passed} passed, {failed} failed", flush=True)
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
    if passed + failed == 0:
        failed = 1
        print(f"no test ran in {preset}")
    tally.add(preset, passed, failed, began)


def node_environment(root):
    folder = dev_setup.node()
    return dict(
        os.environ,
        PATH=f"{folder}{os.pathsep}{os.environ['PATH']}",
        BELFRY=str(root / "build/release/belfry"),
    )


def install_node_packages(root, environment):
    folder = root / "tests" / "protocol"
    lock, stamp = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"],
            cwd=folder,
            env=environment,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    return folder


def node_tests(root, tally):
    began = time.monotonic()
    environment = node_environment(root)
    folder = install_node_packages(root, environment)
    files = sorted(str(path.relative_to(folder)) for path in folder.glob("*.test.mjs"))
    done = subprocess.run(
        [
            "node",
            "--test",
            "--test-reporter=tap",
            "--test-concurrency=2",
            "--test-timeout=180000",
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
        print(done.stdout[-20000:])
        print(done.stderr[-4000:])
    tally.add("protocol", counts.get("pass", 0), failed, began)


def crash(root, cycles, batch=1):
    environment = node_environment(root)
    folder = install_node_packages(root, environment)
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
    folder = install_node_packages(root, environment)
    files = sorted(
        str(path.relative_to(folder))
        for pattern in ("threats*.test.mjs", "proxies.test.mjs", "faults*.test.mjs")
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
    if {"release", "protocol", "crash"} & set(wanted):
        build("release")
    if "release" in wanted:
        ctest(root, "release", tally)
    if "protocol" in wanted:
        node_tests(root, tally)
    if "crash" in wanted:
        began = time.monotonic()
        failed = crash(root, CRASH_CYCLES) != 0
        tally.add("crash", int(not failed), int(failed), began)
    for preset in ("asan", "tsan"):
        if preset in wanted:
            build(preset)
            ctest(root, preset, tally)
    if "fuzz" in wanted:
        build("fuzz", testing=False)
        dev_fuzz.ci(root, tally)
    if "tidy" in wanted:
        began = time.monotonic()
        for script in ("tidy_test.py", "tidy.py"):
            done = subprocess.run([sys.executable, str(root / "tools" / script)], cwd=root, check=False)
            tally.add(f"tidy ({script})", int(done.returncode == 0), int(done.returncode != 0), began)
    return tally.end()
