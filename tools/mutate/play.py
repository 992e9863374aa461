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

SEEDS = 2000
LEAST_SECONDS, TIMES = 15, 6  # what a play may take: so much, and so many times the same without a mutant
MEMORY_MAX = 6 << 30  # a mutant that takes all memory is to fail by itself
FILE_MAX = 2 << 30
SIMULATIONS = {"seeds": "--seeds", "feeds": "--feeds"}


LIBC = ctypes.CDLL(None)
WITH_PARENT = 1  # PR_SET_PDEATHSIG


def limits(memory):
    LIBC.prctl(WITH_PARENT, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_MAX, FILE_MAX))
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))


def end(process):
    """Whatever a test left running goes with it: they are one group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Played:
    def __init__(self, code, text, seconds):
        self.code, self.text, self.seconds = code, text, seconds  # code None: it took too long

    @property
    def passed(self):
        return self.code == 0


def play(command, mutant=0, reached=None, seconds=600, folder=None, environment=None, memory=True):
    """`reached` is a file that notes which mutants the command came by."""
    environment = dict(environment or os.environ, MUTANT=str(mutant), RC_PARAMS="seed=1")
    if reached is not None:
        environment["MUTANTS_REACHED"] = str(reached)
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
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
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end(process)
            process.wait()
        output.seek(0)
        text = output.read().decode(errors="replace")
    return Played(code, text, time.monotonic() - began)


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


def simulation(build, name):
    program = pathlib.Path(build) / "tests/sim/belfry_sim"
    return [program, SIMULATIONS[name], str(SEEDS), "--violations-max", "1"]


def node(file, seconds):
    return [
        "node",
        "--test",
        "--test-reporter=tap",
        "--test-concurrency=1",
        f"--test-timeout={round(seconds * 1000)}",
        "--test-force-exit",
        file,
    ]


def noted(command, **options):
    """(how it ended, numbers of the mutants it reached)"""
    with tempfile.TemporaryDirectory() as folder:
        reached = pathlib.Path(folder) / "reached"
        done = play(command, reached=reached, **options)
        notes = reached.read_bytes() if reached.exists() else b""
    return done, [number for number, note in enumerate(notes) if note]
