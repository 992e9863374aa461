"""Judges mutants: which test stops each, floor by floor."""

import concurrent.futures
import re
import threading
import time

import dev_test
import dev_web
from mutate import play

UNIT, CONTRACT, SIMULATOR, POWER, PROTOCOL = "unit", "contract", "simulator", "power loss", "protocol"
FIRST = ((UNIT, CONTRACT), (SIMULATOR,))  # step by step: what takes long sees only who survived the others
SECOND = ((POWER,), (PROTOCOL,))
GTEST = (UNIT, CONTRACT, POWER)
PROTOCOL_JOBS = 2  # so many of its files at once: they measure time
PROTOCOL_SECONDS = 450  # of a file without a mutant
WELL = 3  # a control that takes more than this part of the limit does not tell a hang from a slow machine
NOT_OK = re.compile(r"^ *not ok \d+ - (.*?)(?: # .*)?$", re.M)
VIOLATED = re.compile(r"^seed (\d+):", re.M)
STOPPED = re.compile(r"^\[  FAILED  \] ([\w./]+)", re.M)
STARTED = re.compile(r"^\[ RUN      \] ([\w./]+)", re.M)


class Progress:
    """Says how far it is, and how long it will take if it goes on like this."""

    def __init__(self, whole):
        self.whole, self.done, self.killed, self.began = whole, 0, 0, time.monotonic()

    def step(self, killed, what):
        self.done += 1
        self.killed += killed
        left = (time.monotonic() - self.began) / self.done * (self.whole - self.done) / 60
        print(f"-- {self.done}/{self.whole}, {self.killed} killed, {left:.0f} min left: {what}", flush=True)


def gtest_programs(works):
    """(floor, name, program)"""
    for program in sorted(works.build.glob("src/*/*_test")):
        yield UNIT, program.name, program
    yield CONTRACT, "contract_test", works.build / "tests/contract/contract_test"
    yield POWER, "faults_test", works.build / "tests/faults/faults_test"


def note_gtest(works, jobs):
    """(plays, names of those that fail without a mutant, and judge none)"""
    plays, idle = [], []
    for floor, name, program in gtest_programs(works):
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            names = list(play.cases(program))
            answers = pool.map(lambda case: play.noted(play.gtest(program, [case])), names)  # noqa: B023
            for case, (done, reached) in zip(names, answers):
                one = {"floor": floor, "program": str(program), "name": case, "seconds": done.seconds}
                if done.passed:
                    plays.append({**one, "reached": reached})
                else:
                    idle.append(f"{name}: {case}")
                    print(f"-- {idle[-1]} fails without a mutant, and judges none", flush=True)
        print(f"-- {name}: {len(names)} tests, {time.monotonic() - began:.0f} s", flush=True)
    return plays, idle


def note_simulator(works):
    plays = []
    for name in play.SIMULATIONS:
        done, reached = play.noted(play.simulation(works.build, name), seconds=7200)
        if not done.passed:
            raise SystemExit(f"./dev mutate: the simulator fails without a mutant:\n{done.text[-2000:]}")
        plays.append({"floor": SIMULATOR, "name": name, "seconds": done.seconds, "reached": reached})
        print(f"-- simulator, {name}: {done.seconds:.0f} s", flush=True)
    return plays, []


def protocol_options(works):
    environment = dict(dev_test.node_environment(works.root), BELFRY=str(works.build / "belfry"))
    return {"folder": works.root / "tests/protocol", "environment": environment, "memory": False}


def note_protocol(works, kept):
    """The same, file by file: each is kept as soon as it is known. What fails is played once more."""
    known = kept.setdefault("files", {})
    names = sorted(path.name for path in (works.root / "tests/protocol").glob("*.test.mjs"))
    for name in names:
        for _ in range(2):
            if known.get(name):
                break
            done, reached = play.noted(play.node(name), seconds=PROTOCOL_SECONDS, **protocol_options(works))
            one = {"floor": PROTOCOL, "name": name, "seconds": done.seconds, "reached": reached}
            known[name] = one if done.passed else None
            works.save("reached", kept)
            wrong = "" if done.passed else f"; {how(done)} without a mutant: {NOT_OK.findall(done.text)}"
            print(f"-- {name}: {done.seconds:.0f} s{wrong}", flush=True)
    return [known[name] for name in names if known[name]], [name for name in names if not known[name]]


def notes(works, built, floors, jobs):
    """What reaches which mutants; known until something else is built."""
    kept = works.load("reached", {})
    if kept.get("state") != built or "plays" not in kept:
        kept = {"state": built, "plays": {}, "idle": {}}
    for name, mine, note in (
        ("gtest", GTEST, lambda: note_gtest(works, jobs)),
        ("simulator", (SIMULATOR,), lambda: note_simulator(works)),
        ("protocol", (PROTOCOL,), lambda: note_protocol(works, kept)),
    ):
        if set(mine) & set(floors) and name not in kept["plays"]:
            kept["plays"][name], kept["idle"][name] = note()
            works.save("reached", kept)
    return [one for plays in kept["plays"].values() for one in plays if one["floor"] in floors]


def stopped_by(done):
    """Of a gtest program that did not end well: the test."""
    found = STOPPED.search(done.text) if done.code is not None else None
    started = STARTED.findall(done.text)
    return found[1] if found else started[-1] if started else "the start"


def how(done):
    if done.code is None:
        return "hangs"
    return "fails" if done.code > 0 else f"ends by signal {-done.code}"


def confirm(alone, number, seconds):
    """Of a test that failed: (how the mutant fails alone, None), or (None, why that is not its doing)."""
    again = alone(number, seconds)
    if again.passed:
        return None, "passes alone"
    control = alone(0, seconds)
    if not control.passed:
        return None, f"{how(control)} without a mutant, too"
    if again.code is None and control.seconds * WELL > seconds:
        return None, "is nearly as slow without a mutant"
    return how(again), None


class Judge:
    def __init__(self, works, plays):
        self.works, self.plays = works, plays

    def verdict(self, number, room, floors):
        """The first that stops it: {"floor", "by", "how"}; or how many were asked, and what failed that was
        not the mutant's doing."""
        asked, doubts = 0, []
        for floor in floors:
            mine = [one for one in self.plays if one["floor"] == floor and number in one["reached"]]
            asked += len(mine)
            for by, seconds, alone in self.suspects(floor, mine, number, room):
                fails, why = confirm(alone, number, seconds)
                if fails:
                    return {"floor": floor, "by": by, "how": fails}
                doubts.append({"floor": floor, "by": by, "why": why})
        return {"floor": None, "asked": asked, "doubts": doubts}

    def suspects(self, floor, mine, number, room):
        """What fails: (name, how long it may take, what plays it alone with a mutant)."""
        if floor in GTEST:
            yield from self.gtest(mine, number, room)
            return
        for one in sorted(mine, key=lambda one: one["seconds"]):
            seconds = play.patience(one["seconds"])
            suspect = self.simulation if floor == SIMULATOR else self.file
            yield from suspect(one["name"], number, seconds)

    def simulation(self, name, number, seconds):
        def run(mutant, limit, seeds=play.SEEDS):
            return play.play(play.simulation(self.works.build, name, seeds), mutant, seconds=limit)

        done = run(number, seconds)
        if not done.passed:  # the seeds begin with 1: those up to the one that failed are enough
            seed = VIOLATED.search(done.text)
            seeds = int(seed[1]) if seed else play.SEEDS
            yield name, seconds, lambda mutant, limit: run(mutant, limit, seeds)

    def file(self, name, number, seconds):
        """Of the protocol's tests, up to the first that fails. The servers inherit MUTANT."""

        def run(mutant, limit):
            options = protocol_options(self.works)
            return play.play(play.node(name), mutant, seconds=limit, stop=NOT_OK, **options)

        done = run(number, seconds)
        if not done.passed:
            test = NOT_OK.search(done.text)
            yield f"{name}: {test[1]}" if test else name, seconds, run

    def gtest(self, mine, number, room):
        own = f"/src/{room.split('/')[0]}/"
        programs = {}
        for one in mine:
            programs.setdefault(one["program"], []).append(one)
        ordered = sorted(
            programs.items(),
            key=lambda pair: (own not in pair[0], sum(one["seconds"] for one in pair[1])),
        )
        for program, tests in ordered:
            left = {one["name"]: one["seconds"] for one in tests}
            while left:
                seconds = play.patience(sum(left.values()))
                done = play.play(play.gtest(program, left), number, seconds=seconds)
                if done.passed:
                    break
                by = stopped_by(done)
                name = by if by in left else next(iter(left))
                yield by, play.patience(left[name]), alone_in(program, name)
                names = list(left)
                left = {one: left[one] for one in names[names.index(name) + 1 :]}


def alone_in(program, name):
    """Plays one test of a gtest program. If it was not even begun, it has not passed."""

    def run(mutant, seconds):
        done = play.play(play.gtest(program, [name]), mutant, seconds=seconds)
        if done.passed and name not in STARTED.findall(done.text):
            return play.Played(1, done.text, done.seconds)
        return done

    return run


def holds(result, file):
    """A kill holds as long as the file that was changed is the same."""
    return result is not None and (not result.get("floor") or result.get("file") == file)


def wanted(result, file, state, floors):
    """Killed stays killed. What survived is judged again when sources or tests have changed."""
    if result is None or not holds(result, file):
        return True
    return not result.get("floor") and any(result["asked"].get(floor) != state for floor in floors)


def record(old, verdict, mutant, floors, state, commit):
    """What is kept of a verdict, with the state of the tree in which it was found."""
    if verdict["floor"]:
        return {**verdict, "file": mutant["file"], "state": state, "commit": commit}
    old = old or {}
    doubts = [one for one in old.get("doubts", ()) if one["floor"] not in floors]
    asked = {**old.get("asked", {}), **{floor: state for floor in floors}}
    return {"asked": asked, "doubts": doubts + verdict["doubts"]}


def judge(works, mutants, states, floors, jobs, only=None):
    """Plays what was not judged yet by these floors, and keeps each verdict as soon as it is there."""
    state, built, commit = states
    if PROTOCOL in floors:
        dev_web.install(works.root / "tests/protocol")
    judge_one = Judge(works, notes(works, built, floors, jobs))
    results = works.load("results", {})
    mutants = {
        number: one
        for number, one in mutants.items()
        if wanted(results.get(one["name"]), one["file"], state, floors) and (not only or number in only)
    }
    progress, lock = Progress(len(mutants)), threading.Lock()

    def one(number, mutant):
        verdict = judge_one.verdict(number, mutant["room"], floors)
        with lock:
            old = results.get(mutant["name"])
            results[mutant["name"]] = record(old, verdict, mutant, floors, state, commit)
            works.save("results", results)
            place = f"{mutant['path']}:{mutant['line']} {mutant['operator']}"
            progress.step(bool(verdict["floor"]), f"{verdict['floor'] or 'survives'}: {place}")
            for doubt in verdict.get("doubts", ()):
                print(f"--   {doubt['by']} failed, but {doubt['why']}", flush=True)

    jobs = min(jobs, PROTOCOL_JOBS) if PROTOCOL in floors else jobs
    pool = concurrent.futures.ThreadPoolExecutor(jobs)
    try:
        for done in [pool.submit(one, number, mutant) for number, mutant in mutants.items()]:
            done.result()
    finally:  # nothing new is begun after a failure or Ctrl-C; what is known already is kept
        pool.shutdown(cancel_futures=True)
    return results
