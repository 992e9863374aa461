"""Builds all mutants at once, from a copy of the tree. Those that do not compile are replaced by others."""

import json
import re
import shutil
import subprocess

from mutate import choose

NUMBERS_MAX = 3000  # then they begin anew; mutant.h has room for 4096
SUITES = ["contract_test", "faults_test", "belfry_sim", "belfry"]


class Works:
    """Where everything lies: build/mutants, with the copy, what is built of it, and what is known."""

    def __init__(self, root):
        self.root, self.folder = root, root / "build" / "mutants"
        self.tree, self.build = self.folder / "tree", self.folder / "cmake"

    def load(self, name, otherwise):
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else otherwise

    def save(self, name, value):
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / f"{name}.json.new"
        fresh.write_text(json.dumps(value, indent=1))
        fresh.replace(self.folder / f"{name}.json")


def snapshot(works, texts):
    """A copy of what git knows, with `texts` (path -> text) instead of the originals.

    What is there already keeps its time, so that nothing is built twice. Returns digests of the sources and
    tests: of the originals, and of the copy.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=works.root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    names = [name for name in listed if (works.root / name).is_file()]
    wanted = {works.tree / name for name in names}
    for old in works.tree.rglob("*"):
        if old.is_file() and old not in wanted:
            old.unlink()
    originals, copies = [], []
    for name in names:
        original = (works.root / name).read_bytes()
        data = texts[name].encode() if name in texts else original
        copy = works.tree / name
        if name.startswith(("src/", "tests/")) and not name.endswith((".md", ".toml")):
            originals += [name, choose.digest(original)]
            copies += [name, choose.digest(data)]
        if not copy.exists() or copy.read_bytes() != data:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(data)
            copy.chmod((works.root / name).stat().st_mode & 0o777)
    return choose.digest(*originals), choose.digest(*copies)


def room_tests(root):
    rooms = {path.relative_to(root / "src").parts[0] for path in (root / "src").rglob("*_test.cc")}
    return [f"{room}_test" for room in sorted(rooms)]


def flags(root):
    """Those of a release, which a test looks for in the binary; but it is compiled in less time."""
    presets = json.loads((root / "CMakePresets.json").read_text())["configurePresets"]
    release = next(one for one in presets if one["name"] == "release")
    kept = release["cacheVariables"]["CMAKE_CXX_FLAGS_RELEASE"].split()
    return " ".join(["-O1", *(flag for flag in kept if not re.match(r"-[Og]\d$", flag))])


def configure(works):
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_CXX_STANDARD": "20",
        "CMAKE_CXX_STANDARD_REQUIRED": "ON",
        "CMAKE_CXX_EXTENSIONS": "OFF",
        "CMAKE_CXX_FLAGS": f"-w -include {works.root / 'tools/mutate/mutant.h'}",
        "CMAKE_CXX_FLAGS_RELEASE": flags(works.root),
        "BELFRY_SDK": works.root / "build/web/sdk",
    }
    if shutil.which("ccache"):
        options["CMAKE_CXX_COMPILER_LAUNCHER"] = "ccache"
    if shutil.which("mold"):
        options["CMAKE_EXE_LINKER_FLAGS"] = "-fuse-ld=mold"
    command = ["cmake", "-S", works.tree, "-B", works.build, "-G", "Ninja", "-Wno-dev"]
    command += ["--log-level=WARNING"]
    command += [f"-D{name}={value}" for name, value in options.items()]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def compile_all(works, jobs):
    """(whether it went well, what the compiler said)"""
    targets = [*room_tests(works.root), *SUITES]
    if subprocess.run(
        ["ninja", "-C", str(works.build), "-t", "query", "kafka_tool"], capture_output=True, check=False
    ).returncode == 0:
        targets.append("kafka_tool")
    log = works.folder / "build.log"
    with log.open("w") as file:
        done = subprocess.run(
            ["ninja", "-C", str(works.build), f"-j{jobs}", "-k", "0", *targets],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return done.returncode == 0, log.read_text(errors="replace")


def blamed(said, tree, spans):
    """Numbers of the mutants in whose lines the compiler found an error; `spans` is path -> number -> lines.

    Where no error is in their lines, those are blamed that the compiler names beside it.
    """
    for wanted in (r"(?:fatal )?error", r"[^\n]"):
        found = set()
        for path, line in re.findall(rf"^.*?{re.escape(str(tree))}/(\S+?):(\d+):\d+: +{wanted}", said, re.M):
            for number, (first, last) in spans.get(path, {}).items():
                if first <= int(line) <= last:
                    found.add(number)
        if found:
            return found
    return set()


def written(works, chosen, numbers):
    """(path -> text with mutants, path -> number -> lines)"""
    texts, spans = {}, {}
    for path in sorted({one.path for one in chosen.values()}):
        here = {numbers[name]: one for name, one in chosen.items() if one.path == path}
        texts[path], spans[path] = choose.rewrite((works.root / path).read_text(), here)
    return texts, spans


def commit_of(root):
    """The commit, with a + if something is not committed."""
    asked = (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain"])
    head, changed = (
        subprocess.run(["git", *one], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
        for one in asked
    )
    return head + ("+" if changed else "")


def build(works, count, seed, jobs):
    """All that compiles: number -> {"name", "room", "file" (its digest), and what the mutant is}; and the
    state of the tree: what snapshot() returns, and the commit."""
    rooms = choose.candidates(works.root, works.folder / "found.json", jobs)
    shares = choose.quotas({room: choose.lines_of_code(works.root, room) for room in rooms}, count)
    known = works.load("chosen", {"numbers": {}, "refused": []})
    numbers, refused = known["numbers"], set(known["refused"])
    if len(numbers) > NUMBERS_MAX:
        numbers = {}
    for _ in range(8):
        chosen, where = {}, {}
        for room, mutants in rooms.items():
            for name, one in choose.pick(mutants, shares[room], seed, refused).items():
                chosen[name], where[name] = one, room
                numbers.setdefault(name, max(numbers.values(), default=0) + 1)
        texts, spans = written(works, chosen, numbers)
        files = {path: choose.digest((works.root / path).read_text()) for path in texts}
        states = (*snapshot(works, texts), commit_of(works.root))
        configure(works)
        print(f"-- {len(chosen)} mutants; the compiler speaks into build/mutants/build.log", flush=True)
        well, said = compile_all(works, jobs)
        works.save("chosen", {"numbers": numbers, "refused": sorted(refused)})
        if well:
            return {
                numbers[name]: {**vars(one), "name": name, "room": where[name], "file": files[one.path]}
                for name, one in chosen.items()
            }, states
        wrong = blamed(said, works.tree, spans)
        if not wrong:
            raise SystemExit(f"./dev mutate: the build failed, and no mutant is to blame:\n{said[-3000:]}")
        refused |= {name for name in chosen if numbers[name] in wrong}
        print(f"-- {len(wrong)} do not compile, others come instead", flush=True)
    works.save("chosen", {"numbers": numbers, "refused": sorted(refused)})
    raise SystemExit("./dev mutate: too many mutants do not compile")
