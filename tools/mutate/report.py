"""The report: how many mutants of each room are killed by which floor, and why others survive."""

import tomllib
from collections import Counter

from mutate import choose, judge

FLOORS = tuple(floor for step in (*judge.FIRST, *judge.SECOND) for floor in step)
EQUIVALENT = "equivalent"  # it does what the original does, as far as anybody can tell
HEAD = """# Mutants

`./dev mutate` changes the code in one place at a time and looks whether a test notices. {count} mutants of
`{rooms}`, chosen by lot (seed {seed}) in proportion to the code, stand in one build behind a switch. Each is
judged by the unit tests that reach it, the contract of the stores and {seeds} seeds of each world of the
simulator; `./dev mutate --protocol` shows the power losses and the protocol's tests to those that survive.
A test kills a mutant if it fails with it, fails with it once more alone, and passes alone without it.

Killed: {killed} of {count} ({share:.1f} %); the goal is 90 %.{remarks}
"""


def known(path):
    """What is known of survivors: name of a mutant -> {"kind", "reason"}."""
    if not path.exists():
        return {}
    return {one["mutant"]: one for one in tomllib.loads(path.read_text()).get("survivor", [])}


def cell(text):
    return text.replace("|", "\\|")


def code(text, most=110):
    """As code in a cell of a table."""
    text = text if len(text) <= most else text[: most - 1] + "…"
    return f"`{cell(text)}`" if text else "nothing"


def row(*cells):
    return "| " + " | ".join(str(one) for one in cells) + " |"


def counts(mutants, results):
    """Of each room: floor -> how many it killed, None -> how many survive."""
    rooms = {room: {} for room in choose.ROOMS}
    for one in mutants.values():
        floor = results.get(one["name"], {}).get("floor")
        rooms[one["room"]][floor] = rooms[one["room"]].get(floor, 0) + 1
    return rooms


def table(mutants, results):
    rooms = counts(mutants, results)
    yield row("room", "mutants", *FLOORS, "survive", "killed")
    yield "|" + "---|" * (len(FLOORS) + 4)
    whole = {floor: sum(room.get(floor, 0) for room in rooms.values()) for floor in (*FLOORS, None)}
    for name, room in [*((f"`{name}`", room) for name, room in rooms.items()), ("all", whole)]:
        count, alive = sum(room.values()), room.get(None, 0)
        share = f"{100 * (count - alive) / count:.0f} %" if count else "-"
        yield row(name, count, *(room.get(floor, 0) for floor in FLOORS), alive, share)


def survivors(mutants, results, reasons):
    alive = [one for one in mutants.values() if not results.get(one["name"], {}).get("floor")]
    yield row("mutant", "where", "what stood there", "what stands there instead", "reason")
    yield "|---|---|---|---|---|"
    for one in sorted(alive, key=lambda one: (one["path"], one["line"])):
        reason = reasons.get(one["name"])
        said = f"{reason['kind']}: {reason['reason']}" if reason else "not looked at yet"
        place = f"`{one['path']}:{one['line']}`"
        yield row(f"`{one['name']}`", place, code(one["before"]), code(one["after"]), cell(said))


def earlier(mutants, results, state):
    """(commit, floor) -> kills in another state of the tree: the changed file is the same, not all tests."""
    found = (results[one["name"]] for one in mutants.values())
    return Counter(
        (result["commit"], result["floor"])
        for result in found
        if result.get("floor") and result["state"] != state
    )


def write(works, mutants, seed, seeds, state):
    """Writes docs/reports/mutants.md; returns (killed, all)."""
    results, reasons = works.load("results", {}), known(works.root / "tests/mutants.toml")
    judged = {
        number: one
        for number, one in mutants.items()
        if judge.holds(results.get(one["name"]), one["file"])
    }
    waiting, mutants = len(mutants) - len(judged), judged
    alive = [one["name"] for one in mutants.values() if not results[one["name"]].get("floor")]
    count, killed = len(mutants), len(mutants) - len(alive)
    same = sum(reasons.get(name, {}).get("kind") == EQUIVALENT for name in alive)
    unasked = sum(judge.PROTOCOL not in results[name]["asked"] for name in alive)
    remarks = f" {same} of the others do what the original does." if same else ""
    remarks += f" {unasked} of the others were not shown to the protocol's tests yet." if unasked else ""
    doubted = sum(bool(results[name].get("doubts")) for name in alive)
    remarks += f" With {doubted} of the others a test failed, which was not their doing." if doubted else ""
    old = earlier(mutants, results, state)
    remarks += f" {old.total()} were killed in an earlier state of the tree (below)." if old else ""
    idle = [name for names in works.load("reached", {}).get("idle", {}).values() for name in names]
    remarks += f" These fail without a mutant, and judge none: {', '.join(sorted(idle))}." if idle else ""
    remarks += f" {waiting} more are not judged yet." if waiting else ""
    text = HEAD.format(
        count=count,
        rooms=" ".join(choose.ROOMS),
        seed=seed,
        seeds=f"{seeds:,}",
        killed=killed,
        share=100 * killed / max(count, 1),
        remarks=remarks,
    )
    text += "\n" + "\n".join(table(mutants, results)) + "\n"
    if alive:
        text += "\n## Those that survive\n\nThe reasons stand in `tests/mutants.toml`.\n\n"
        text += "\n".join(survivors(mutants, results, reasons)) + "\n"
    if old:
        text += "\n## Killed in an earlier state\n\n"
        text += "The file that is changed is the same since; tests may not be.\n\n"
        text += row("commit", "floor", "killed") + "\n|---|---|---|\n"
        text += "".join(row(f"`{at}`", floor, killed) + "\n" for (at, floor), killed in sorted(old.items()))
    (works.root / "docs/reports/mutants.md").write_text(text)
    return killed, count
