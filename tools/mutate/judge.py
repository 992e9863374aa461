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
    plays = []
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
                    print(f"-- {name}: {case} fails without a mutant, and judges none", flush=True)
        print(f"-- {name}: {len(names)} tests, {time.monotonic() - began:.0f} s", flush=True)
    return plays


def note_simulator(works):
    plays = []
    for name in play.SIMULATIONS:
        done, reached = play.noted(play.simulation(works.build, name), seconds=7200)
        if not done.passed:
            raise SystemExit(f"./dev mutate: the simulator fails without a mutant:\n{done.text[-2000:]}")
        plays.append({"floor": SIMULATOR, "name": name, "seconds": done.seconds, "reached": reached})
        print(f"-- simulator, {name}: {done.seconds:.0f} s", flush=True)
    return plays


def protocol_options(works):
    environment = dict(dev_test.node_environment(works.root), BELFRY=str(works.build / "belfry"))
    return {"folder": works.root / "tests/protocol", "environment": environment, "memory": False}


def note_protocol(works):
    plays = []
    for path in sorted(dev_web.install(works.root / "tests/protocol").glob("*.test.mjs")):
        done, reached = play.noted(play.node(path.name, 420), seconds=450, **protocol_options(works))
        if done.passed:
            plays.append({"floor": PROTOCOL, "name": path.name, "seconds": done.seconds, "reached": reached})
        said = "" if done.passed else " fails without a mutant, and judges none"
        print(f"-- {path.name}: {done.seconds:.0f} s{said}", flush=True)
    return plays


def notes(works, built, floors, jobs):
    """What reaches which mutants; known until something else is built."""
    kept = works.load("reached", {})
    if kept.get("state") != built:
        kept = {"state": built}
    for name, note in (
        ("gtest", lambda: note_gtest(works, jobs)),
        ("simulator", lambda: note_simulator(works)),
        ("protocol", lambda: note_protocol(works)),
    ):
        needed = {"simulator": SIMULATOR in floors, "protocol": PROTOCOL in floors}.get(name, True)
        if needed and name not in kept:
            kept[name] = note()
            works.save("reached", kept)
    plays = [one for name, one in kept.items() if name != "state"]
    return [one for group in plays for one in group if one["floor"] in floors]


def stopped_by(done):
    """Of a gtest program that did not end well: the test."""
    found = STOPPED.search(done.text) if done.code is not None else None
    started = STARTED.findall(done.text)
    return found[1] if found else started[-1] if started else "the start"


def how(done):
    if done.code is None:
        return "takes too long"
    return "fails" if done.code > 0 else f"ends by signal {-done.code}"


class Judge:
    def __init__(self, works, plays):
        self.works, self.plays = works, plays

    def verdict(self, number, room, floors):
        """The first that stops it: {"floor", "by", "how"}; or "survived", and by how many plays."""
        asked = 0
        for floor in floors:
            mine = [one for one in self.plays if one["floor"] == floor and number in one["reached"]]
            asked += len(mine)
            for found in self.play_floor(floor, mine, number, room):
                return {"floor": floor, **found}
        return {"floor": None, "asked": asked}

    def play_floor(self, floor, mine, number, room):
        if floor in (UNIT, CONTRACT, POWER):
            yield from self.play_gtest(mine, number, room)
            return
        for one in sorted(mine, key=lambda one: one["seconds"]):
            seconds = play.patience(one["seconds"])
            if floor == SIMULATOR:
                command, options = play.simulation(self.works.build, one["name"]), {}
            else:
                command, options = play.node(one["name"], seconds), protocol_options(self.works)
            done = play.play(command, number, seconds=seconds + 10, **options)
            # Tests over sockets can fail by themselves, once.
            if not done.passed and floor == PROTOCOL and done.code is not None:
                done = play.play(command, number, seconds=seconds + 10, **options)
            if not done.passed:
                yield {"by": one["name"], "how": how(done)}

    def play_gtest(self, mine, number, room):
        own = f"/src/{room.split('/')[0]}/"
        programs = {}
        for one in mine:
            programs.setdefault(one["program"], []).append(one)
        ordered = sorted(
            programs.items(),
            key=lambda pair: (own not in pair[0], sum(one["seconds"] for one in pair[1])),
        )
        for program, tests in ordered:
            left = [one["name"] for one in tests]
            seconds = play.patience(sum(one["seconds"] for one in tests))
            while left:
                done = play.play(play.gtest(program, left), number, seconds=seconds)
                if done.passed:
                    break
                name = stopped_by(done)
                again = done
                if done.code is not None and name in left:  # what failed once may have failed by itself
                    again = play.play(play.gtest(program, [name]), number, seconds=seconds)
                if not again.passed:
                    yield {"by": name, "how": how(again)}
                    return
                left = left[left.index(name) + 1 :]


def judge(works, mutants, states, floors, jobs, only=None):
    """Plays what was not judged yet by these floors, and keeps each verdict as soon as it is there."""
    state, built = states
    plays = notes(works, built, floors, jobs)
    judge_one = Judge(works, plays)
    results = works.load("results", {})
    mutants = {
        number: one
        for number, one in mutants.items()
        if wanted(results.get(one["name"]), state, floors) and (not only or number in only)
    }
    progress, lock = Progress(len(mutants)), threading.Lock()

    def one(number, mutant):
        verdict = judge_one.verdict(number, mutant["room"], floors)
        with lock:
            kept = results.setdefault(mutant["name"], {})
            kept.setdefault("asked", {})
            if verdict["floor"]:
                kept.update(verdict)
                kept.pop("asked")
            else:
                for floor in floors:
                    kept["asked"][floor] = state
            works.save("results", results)
            said = verdict["floor"] or "survives"
            progress.step(
                bool(verdict["floor"]), f"{said}: {mutant['path']}:{mutant['line']} {mutant['operator']}"
            )

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(one, number, mutant) for number, mutant in mutants.items()]:
            done.result()
    return results


def wanted(result, state, floors):
    """Killed stays killed. What survived is judged again when sources or tests have changed."""
    if result is None:
        return True
    if result.get("floor"):
        return False
    return any(result["asked"].get(floor) != state for floor in floors)
