"""./dev test: every floor of the pyramid, one summary, and a last line that counts."""

import shutil
import subprocess
import sys
import time

import dev_demo
import dev_fuzz
import dev_kafka
import dev_play
import dev_setup
import dev_web
import tidy
from dev_tally import Outcome, Tally

FLOORS = ["release", "protocol", "crash", "web", "browser", "asan", "tsan", "fuzz", "tidy"]
BY_HAND = ["chaos", "kafka"]  # of them kafka needs Maven and a JDK
LONG = "all"  # every floor, or those that are named beside it, in its long form
FORMATTED = ("web", "examples", "tests/protocol")  # by prettier
CRASH_CYCLES, CRASH_CYCLES_LONG = 50, 300
POWER_IMAGES_LONG = 2000
SEEDS_LONG = 2000
RACED = ["hop.test.mjs", "transports.test.mjs", "feed.test.mjs", "revocation.test.mjs"]  # under TSan
TIDY = (
    "tidy_test.py",
    "dev_words_test.py",
    "dev_base_test.py",
    "dev_tally_test.py",
    "mutate_test.py",
    "tidy.py",
)


def node_environment(root):
    return dict(dev_web.environment(), BELFRY=str(root / "build/release/belfry"))


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
    dev_play.vitest(folder, environment, binaries / "vitest", tally, root / "build" / "web" / "vitest.json")
    example = dev_web.install(root / "examples" / "booking") / "test"
    dev_play.node_tests("examples", example, environment, tally)


def browser(root, tally):
    """The packages and the booking demo in Debian's Chromium."""
    dev_web.install(root / "web")
    dev_demo.build(root)
    dev_play.node_tests("browser", root / "web" / "browser", node_environment(root), tally, concurrency=1)


def kafka(root, tally):
    """The Kafka source on a real broker."""
    folder = dev_web.install(root / "tests" / "protocol")
    with dev_kafka.broker(root) as address:
        environment = dict(node_environment(root), KAFKA_BROKERS=address)
        dev_play.node_tests("kafka", folder, environment, tally, patterns=["sources_kafka.test.mjs"])


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


def program(floor, tally, play):
    """A floor that is one program, which ends with 0 or not. It is not played again: what it found by chance
    is there, though the next play may not meet it."""
    began = time.monotonic()
    ended = play()
    told = [(floor, f"ended with {ended}")] if ended else []
    tally.units(floor, [Outcome(int(ended == 0), int(ended != 0), told)], began)


def simulation(root):
    command = [str(root / "build/release/tests/sim/belfry_sim"), "--seeds", str(SEEDS_LONG)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


def reported(folder):
    """The races that TSan reported in a folder."""
    found = sorted(folder.iterdir())
    for report in found:
        print(report.read_text(errors="replace")[:6000])
    return Outcome(int(not found), len(found), [(report.name, "a race: see above") for report in found])


def races(root, tally):
    """The server itself under TSan, whose threads meet only there, in a few floors of the protocol."""
    reports = root / "build" / "tsan" / "races"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    environment = dict(
        node_environment(root),
        BELFRY=str(root / "build/tsan/belfry"),
        TSAN_OPTIONS=f"log_path={reports}/race",  # read below, whatever became of the process
    )
    folder = dev_web.install(root / "tests" / "protocol")
    dev_play.node_tests("tsan server", folder, environment, tally, 1, RACED)
    tally.at_the_end("tsan races", lambda: reported(reports))


def sanitized(root, build, tally, preset, long):
    """The programs of tests, all of them; in the short form of tsan those with threads. And the server."""
    short = preset == "tsan" and not long
    targets = list(tidy.THREAD_TESTS) if short else ["belfry_tests"]
    build(preset, [*targets, *(["belfry"] if preset == "tsan" else [])])
    rooms = [name.removesuffix("_test") for name in tidy.THREAD_TESTS]
    dev_play.ctest(root, preset, tally, rooms if short else ())
    if preset == "tsan":
        races(root, tally)


def scripts(root, tally):
    dev_setup.install("mutate")
    for script in TIDY:
        began = time.monotonic()
        done = subprocess.run([sys.executable, str(root / "tools" / script)], cwd=root, check=False)
        tally.add(f"tidy ({script})", int(done.returncode == 0), int(done.returncode != 0), began)


def of_release(root, tally, wanted, long):
    """The floors that are about the binary as it is delivered."""
    if "release" in wanted:
        dev_play.ctest(root, "release", tally, images=POWER_IMAGES_LONG if long else None)
        if long:
            program("simulation", tally, lambda: simulation(root))
    if "protocol" in wanted:
        folder = dev_web.install(root / "tests" / "protocol")
        dev_play.node_tests("protocol", folder, node_environment(root), tally)
    if "crash" in wanted:
        cycles = CRASH_CYCLES_LONG if long else CRASH_CYCLES
        program("crash", tally, lambda: crash(root, cycles))
    if "web" in wanted:
        web(root, tally)
    if "browser" in wanted:
        browser(root, tally)
    if "chaos" in wanted:
        program("chaos", tally, lambda: chaos(root))
    if "kafka" in wanted:
        kafka(root, tally)


def chosen(only):
    """(floors, whether in their long forms)"""
    named, long = [name for name in only if name != LONG], LONG in only
    if named or not long:
        return named or FLOORS, long
    return [*FLOORS, "chaos", *(["kafka"] if shutil.which("mvn") else [])], long


def run(root, build, only):
    wanted, long = chosen(only)
    tally = Tally()
    if set(wanted) - {"asan", "tsan", "fuzz", "tidy"}:
        build("release")
    of_release(root, tally, wanted, long)
    for preset in ("asan", "tsan"):
        if preset in wanted:
            sanitized(root, build, tally, preset, long)
    if "fuzz" in wanted and long:
        dev_fuzz.play(root, build, sorted(dev_fuzz.SOURCES), tally)
    elif "fuzz" in wanted:
        dev_fuzz.ci(root, build, tally)
    if "tidy" in wanted:
        scripts(root, tally)
    return tally.end()
