"""Chooses mutants, so many of each room as it has code, and writes them into a copy of the sources.

What is chosen rests on a number of each mutant, which rests on the seed and on what it changes. So the same
seed chooses the same ones, and a change of the sources leaves most of them as they were.
"""

import collections
import concurrent.futures
import hashlib
import json
import pathlib
import re

from mutate import find

ROOMS = ("log", "hub", "delivery", "store/sqlite", "feed", "api", "net")
WEIGHTS = {  # of each place: what is rare and what a test easily misses comes more often
    "statement": 0.6,
    "exit": 1.5,
    "condition": 0.8,
    "boundary": 2,
    "equality": 1,
    "logic": 1.2,
    "operand": 0.6,
    "not": 0.6,
    "arithmetic": 1,
    "constant": 0.5,
    "min and max": 3,
}


def digest(*parts):
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()


def units(root, room):
    return sorted(path for path in (root / "src" / room).glob("*.cc") if not path.name.endswith("_test.cc"))


def find_in(root, room, path):
    """Mutants of a unit and of what it includes of its room; and what they rest on: file -> digest."""
    unit = find.parse(path, [f"-I{root / 'src'}"])
    wrong = find.errors(unit)
    if wrong:
        raise ValueError(f"{path}: libclang cannot read it: {wrong[0]}")
    mutants, files = [], {}
    for name in find.names_in(unit, str(root / "src")):
        file = pathlib.Path(name)
        files[str(file.relative_to(root))] = digest(file.read_text())
        if file.parent == root / "src" / room:
            mutants += find.Finder(str(file.relative_to(root)), file).walk(unit)
    return {"files": files, "mutants": [vars(one) for one in mutants]}


def identify(mutants):
    """A name for each, which stays when others come or go, or lines move: of its file, its function, the
    text of its line and what it changes there. What is the same in all that has a number, too."""
    seen = collections.Counter()
    for one in sorted(mutants, key=lambda one: (one.path, one.start, one.end)):
        what = (one.path, one.function, one.whole, one.operator, one.before, one.after)
        seen[what] += 1
        yield digest(*what, seen[what])[:12], one


def candidates(root, cache, jobs):
    """Of each room: name of a mutant -> mutant. Finding takes minutes, so it is kept for the same files."""
    finder = digest((root / "tools/mutate/find.py").read_text())
    kept = json.loads(cache.read_text()) if cache.exists() else {}
    kept = kept if kept.get("finder") == finder else {"finder": finder, "units": {}}

    def stands(unit):
        one = kept["units"].get(unit, {"files": {"": ""}})
        paths = {root / name: value for name, value in one["files"].items()}
        return all(path.is_file() and digest(path.read_text()) == value for path, value in paths.items())

    wanted = {str(path.relative_to(root)): room for room in ROOMS for path in units(root, room)}
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        missing = [unit for unit in wanted if not stands(unit)]
        asked = {unit: pool.submit(find_in, root, wanted[unit], root / unit) for unit in missing}
        for number, (unit, answer) in enumerate(asked.items(), 1):
            kept["units"][unit] = answer.result()
            cache.parent.mkdir(parents=True, exist_ok=True)
            cache.write_text(json.dumps(kept))
            print(f"-- looked for places to change: {number}/{len(missing)} {unit}", flush=True)
    rooms = {room: set() for room in ROOMS}
    for unit, room in wanted.items():
        rooms[room] |= {find.Mutant(**one) for one in kept["units"][unit]["mutants"]}
    return {room: dict(identify(mutants)) for room, mutants in rooms.items()}


def lines_of_code(root, room):
    paths = [path for path in (root / "src" / room).glob("*") if path.suffix in (".cc", ".h")]
    texts = [path.read_text() for path in paths if not path.name.endswith("_test.cc")]
    return sum(len(re.findall(r"^ *(?!//)\S", text, re.M)) for text in texts)


def quotas(sizes, count):
    """As many of each room as its share of the code; together at least `count`."""
    whole = sum(sizes.values())
    return {room: -(-count * size // whole) for room, size in sizes.items()}


def order(mutants, seed):
    """A weighted lot for each: the larger its weight, the nearer to the front it is likely to be."""

    def lot(name):
        number = (int(digest(seed, name)[:12], 16) + 1) / (16**12 + 1)
        return -(number ** (1 / WEIGHTS[mutants[name].operator]))

    return sorted(mutants, key=lot)


def pick(mutants, count, seed, refused=()):
    """The first `count` by lot, of which none touches another's text."""
    taken = {}
    for name in order(mutants, seed):
        if len(taken) == count:
            break
        one = mutants[name]
        apart = all(
            one.path != other.path or one.end <= other.start or other.end <= one.start
            for other in taken.values()
        )
        if name not in refused and apart:
            taken[name] = one
    return taken


def rewrite(text, numbered):
    """(text with the mutants in it, first and last line of each); `numbered` is number -> mutant."""
    out, at, spans = "", 0, {}
    for number, one in sorted(numbered.items(), key=lambda pair: pair[1].start):
        out += text[at : one.start]
        first = out.count("\n") + 1
        out += one.text.replace(find.SWITCH, f"::belfry::mutant::on({number})")
        spans[number] = (first, out.count("\n") + 1)
        at = one.end
    return out + text[at:], spans
