"""What the floors came to, in one summary. What failed is played once more at the end, alone."""

import collections
import dataclasses
import time
from collections.abc import Callable

FLAKY_MAX = 3  # more fail the run
REPLAYED_MAX = 12  # so many failures at once are no accident, and nothing is played again


@dataclasses.dataclass
class Outcome:
    """What one unit came to that can be played alone: a test of ctest, a file of tests, a program."""

    passed: int
    failed: int
    reasons: list[tuple[str, str]] = dataclasses.field(default_factory=list)  # (test, what it said)
    again: Callable[[], "Outcome"] | None = None  # plays it once more; None: it is not to be
    names: list[str] = dataclasses.field(default_factory=list)  # the tests that passed, as reasons call them


def together(outcomes):
    outcomes = list(outcomes)
    return Outcome(
        sum(one.passed for one in outcomes),
        sum(one.failed for one in outcomes),
        [reason for one in outcomes for reason in one.reasons],
        names=[name for one in outcomes for name in one.names],
    )


def made_good(first, second):
    """Whether all that failed first passed the second time. A test that is missing then has not passed."""
    if second.failed or second.passed < max(first.passed, 1):
        return False
    wanted = collections.Counter(name for name, _ in first.reasons)
    before, after = collections.Counter(first.names), collections.Counter(second.names)
    return all(after[name] >= before[name] + count for name, count in wanted.items())


class Row:
    def __init__(self, floor, outcomes, began):
        self.floor, self.outcomes, self.seconds = floor, outcomes, time.monotonic() - began
        self.note = ""

    @property
    def passed(self):
        return sum(outcome.passed for outcome in self.outcomes)

    @property
    def failed(self):
        return sum(outcome.failed for outcome in self.outcomes)


class Tally:
    def __init__(self):
        self.rows = []
        self.flaky = []
        self.last = []  # (floor, what tells its outcome when everything was played, a second time too)

    def add(self, floor, passed, failed, began, reasons=(), again=None):
        """A floor that is one unit."""
        self.units(floor, [Outcome(passed, failed, list(reasons), again)], began)

    def units(self, floor, outcomes, began):
        self.rows.append(Row(floor, outcomes, began))
        print(f"-- {floor}: {self.rows[-1].passed} passed, {self.rows[-1].failed} failed", flush=True)

    def at_the_end(self, floor, told):
        self.last.append((floor, told))

    def nothing(self, floor, note):
        """A floor on which nothing was to be played, which is not the same as success."""
        self.rows.append(Row(floor, [], time.monotonic()))
        self.rows[-1].note = note
        print(f"-- {floor}: {note}", flush=True)

    def replay(self):
        """Plays what failed once more, one after the other; what passes then is flaky."""
        broken = [(row, at) for row in self.rows for at, one in enumerate(row.outcomes) if one.failed]
        again = [(row, at) for row, at in broken if row.outcomes[at].again]
        if len(broken) > REPLAYED_MAX:
            print(f"\n{len(broken)} failures are no accident: none is played again", flush=True)
            return
        for row, at in again:
            first, began = row.outcomes[at], time.monotonic()
            names = [name for name, _ in first.reasons] or [row.floor]
            print(f"-- once more, alone: {row.floor}: {', '.join(names)}", flush=True)
            second = first.again()
            row.seconds += time.monotonic() - began
            if made_good(first, second):
                row.outcomes[at] = second
                self.flaky += [(row.floor, name, dict(first.reasons).get(name, "")) for name in names]

    def end(self):
        self.replay()
        for floor, told in self.last:
            self.units(floor, [told()], time.monotonic())
        print("\nfloor          passed  failed  seconds")
        for row in self.rows:
            print(f"{row.floor:13} {row.passed:7} {row.failed:7} {row.seconds:8.0f}  {row.note}".rstrip())
        passed, failed = sum(row.passed for row in self.rows), sum(row.failed for row in self.rows)
        print(f"\n{passed} passed, {failed} failed{f', {len(self.flaky)} flaky' if self.flaky else ''}")
        for floor, name, reason in self.flaky:
            print(f"FLAKY {floor}: {name}: {reason}"[:400])
        for row in self.rows:
            for outcome in row.outcomes:
                for name, reason in outcome.reasons:
                    print(f"FAILED {row.floor}: {name}: {reason}"[:400])
        if len(self.flaky) > FLAKY_MAX:
            print(f"FAILED: {len(self.flaky)} tests are flaky, at most {FLAKY_MAX} may be")
        if passed == 0:
            print("FAILED: nothing was played")
        return 0 if failed == 0 and passed > 0 and len(self.flaky) <= FLAKY_MAX else 1
