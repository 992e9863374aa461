"""The web workspace: its packages, and the files that the binary serves under /sdk."""

import hashlib
import os
import pathlib
import subprocess

import dev_setup

SOURCES = (".ts", ".tsx", ".mjs", ".json")


def environment():
    """Ours, with a Node that is new enough first."""
    return dict(os.environ, PATH=f"{dev_setup.node()}{os.pathsep}{os.environ['PATH']}")


def run(folder, command, **options):
    return subprocess.run(
        command, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, check=True, **options
    )


def install(folder):
    """npm ci, if what is there is older than the lock file."""
    lock, stamp = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        run(folder, ["npm", "ci", "--no-audit", "--no-fund"], stdout=subprocess.DEVNULL)
        stamp.touch()
    return folder


def digest_of(folder):
    """Of every source file, so that nothing is built twice."""
    out = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        parts = set(path.relative_to(folder).parts)
        if (
            path.suffix in SOURCES
            and not parts & {"node_modules", "dist", "test", "browser"}
            and path.is_file()
        ):
            out.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return out.hexdigest()


def build(root):
    """The files under /sdk, in build/web/sdk, and dist/ of each package."""
    web, stamp = root / "web", root / "build" / "web" / "stamp"
    digest = digest_of(web)
    if stamp.exists() and stamp.read_text() == digest:
        return
    install(web)
    print("Building: web", flush=True)
    run(web, ["node", "build.mjs"], stdout=subprocess.DEVNULL)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest)
