"""Plays tests, with or without a mutant: how long, how they end, and which mutants they reach."""

import ctypes
import os
import pathlib
import re
import resource
import signal
import subprocess
import tempfile
import time
import uuid

SEEDS = 2000
LEAST_SECONDS, TIMES = 15, 6  # what a play may take: so much, and so many times the same without a mutant
MEMORY_MAX = 6 << 30  # a mutant that takes all memory is to fail by itself
FILE_MAX = 2 << 30
CANNOT_START = 127
SIMULATIONS = {"seeds": "--seeds", "feeds": "--feeds"}


LIBC = ctypes.CDLL(None)
WITH_PARENT = 1  # PR_SET_PDEATHSIG


def limits(memory):
    LIBC.prctl(WITH_PARENT, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_MAX, FILE_MAX))
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))


MARK = "MUTANT_PLAY"  # a variable by which a play knows what it started


def started_by(mark):
    """Processes that have the mark in their environment, whatever group they are in."""
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
        except OSError:
            continue


def end(process, mark):
    """Whatever a test left running goes with it: its group, and daemons, which have a group of their own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for _ in range(20):  # a daemon may be starting another while it is ended
        left = list(started_by(mark))
        for one in left:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if not left:
            return
        time.sleep(0.05)


class Played:
    def __init__(self, code, text, seconds):
        self.code, self.text, self.seconds = code, text, seconds  # code None: it took too long

    @property
    def passed(self):
        return self.code == 0


def wait(process, seconds, seen):
    """Its code; 1 as soon as seen() is true; None if it takes too long."""
    until = time.monotonic() + seconds
    while True:
        left = until - time.monotonic()
        try:
            return process.wait(max(min(left, 0.25) if seen else left, 0))
        except subprocess.TimeoutExpired:
            if seen and seen():
                return 1
            if time.monotonic() >= until:
                return None


def play(
    command, mutant=0, reached=None, seconds=600, folder=None, environment=None, memory=True, stop=None
):
    """`reached` is a file that notes which mutants the command came by. As soon as the expression `stop` is
    in what it says, it has failed and is ended."""
    mark = uuid.uuid4().hex
    environment = dict(environment or os.environ, MUTANT=str(mutant), RC_PARAMS="seed=1")
    environment[MARK] = mark
    if reached is not None:
        environment["MUTANTS_REACHED"] = str(reached)
    began = time.monotonic()
    with (
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryDirectory(prefix="m-", ignore_cleanup_errors=True) as temporary,
    ):
        os.chmod(temporary, 0o1777)  # some tests start a program as another user
        environment["TMPDIR"] = temporary  # what is ended early does not tidy up

        def said():  # read at a place, for the command writes where this file stands
            return os.pread(output.fileno(), os.fstat(output.fileno()).st_size, 0).decode(errors="replace")

        try:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: limits(memory),
            )
        except OSError as error:
            return Played(CANNOT_START, f"{command[0]} cannot start: {error}", 0)
        try:
            code = wait(process, seconds, (lambda: stop.search(said())) if stop else None)
        finally:
            end(process, mark)
        return Played(code, said(), time.monotonic() - began)


def patience(seconds):
    return LEAST_SECONDS + TIMES * seconds


def cases(program):
    """Names of the tests of a gtest program."""
    listed = subprocess.run([str(program), "--gtest_list_tests"], capture_output=True, text=True, check=True)
    suite = ""
    for line in listed.stdout.splitlines():
        name = line.split("#")[0].rstrip()
        if re.match(r"\S+\.$", name):
            suite = name
        elif name.startswith("  "):
            yield suite + name.strip()


def gtest(program, names):
    return [program, "--gtest_fail_fast", "--gtest_brief=0", "--gtest_filter=" + ":".join(names)]


def simulation(build, name, seeds=SEEDS):
    program = pathlib.Path(build) / "tests/sim/belfry_sim"
    return [program, SIMULATIONS[name], str(seeds), "--violations-max", "1"]


def node(file):
    """A file of tests. How long it may take is up to play(), which tells a hang from a failure."""
    return ["node", "--test", "--test-reporter=tap", "--test-concurrency=1", "--test-force-exit", file]


def noted(command, **options):
    """(how it ended, numbers of the mutants it reached)"""
    with tempfile.TemporaryDirectory() as folder:
        reached = pathlib.Path(folder) / "reached"
        done = play(command, reached=reached, **options)
        notes = reached.read_bytes() if reached.exists() else b""
    return done, [number for number, note in enumerate(notes) if note]
