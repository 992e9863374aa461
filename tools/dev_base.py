"""What a change is: everything that came after its base.

The base is, the first of these that is known:
1. BELFRY_BASE, where it is set: any name of a commit.
2. Where HEAD left the branch that it will land on: origin/HEAD, origin/main, or a main beside it.
3. If HEAD stands on that branch itself, as in a clean clone of it, the change has landed already. It is
   then the last day of that branch: the base is the newest commit in the line of first parents that is at
   least 24 hours older than HEAD. What counts is the dates of the commits, not today's: the same commit has
   the same base whenever and wherever it is asked. A branch that was merged counts from its merge on.
4. If there is none, because the history is younger or a shallow clone has cut it off, nothing is known, and
   everything counts as changed. So it is where HEAD and that branch have nothing in common that this clone
   holds, and where HEAD stands on a branch of another name and this clone holds no main: where HEAD left it
   is then not known, and its last day would be an answer to another question. A HEAD on no branch, where
   there is no main either, is taken for one that has landed.

What is not committed yet belongs to the change, too.
"""

import os
import subprocess

LANDING = ("origin/HEAD", "origin/main", "main")
DAY = 24 * 3600


def git(root, *arguments):
    """What git says; None if it says no."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def commit(root, name):
    return git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")


def base_of(root, environment=os.environ):
    """(commit, why it is this one); (None, why) if it is not known."""
    named = environment.get("BELFRY_BASE")
    if named:
        found = commit(root, named)
        return (found, "BELFRY_BASE") if found else (None, f"no commit is called {named}: all has changed")
    head = commit(root, "HEAD")
    bases = {branch: git(root, "merge-base", "HEAD", branch) for branch in LANDING if commit(root, branch)}
    for branch, base in bases.items():
        if base and base != head:
            return base, f"where HEAD left {branch}"
    for branch, base in bases.items():
        if base is None:
            return None, f"where HEAD left {branch} is not in this clone: all has changed"
    stands = git(root, "symbolic-ref", "--quiet", "--short", "HEAD")
    if not bases and stands:
        return None, f"this clone holds no main that {stands} has left: all has changed"
    line = git(root, "log", "--first-parent", "--format=%H %ct", "HEAD") or ""
    dated = [(name, int(date)) for name, date in (row.split() for row in line.splitlines())]
    for name, date in dated:
        if date <= dated[0][1] - DAY:
            return name, "a day before HEAD, which has landed"
    return None, "no commit is a day older than HEAD: all has changed"


def changed(root, base):
    """Paths that differ from the base, committed or not; None if that is not known."""
    differs = git(root, "diff", "--name-only", "--no-renames", base) if base else None
    new = git(root, "ls-files", "--others", "--exclude-standard")
    return None if differs is None else sorted({*differs.splitlines(), *(new or "").splitlines()})
