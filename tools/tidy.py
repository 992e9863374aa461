#!/usr/bin/env python3
"""The house rules as one program. Prints every breach and ends with 1 if there is one."""

import pathlib
import re
import subprocess
import sys
import textwrap

VOCABULARY = {"base", "model", "wire", "net"}  # rooms of which every header may be included from others
BACKENDS = {("server", "store/sqlite/sqlite_store")}  # the roof names the backend
THREAD_FILES = {  # where threads meet, and why
    "src/base/clock.h": "a test moves the time of other threads",
    "src/base/fair_mailbox.h": "the bounded queue between threads, with a lane for each owner",
    "src/net/connection_budget.h": "the servers of a process share a budget of connections",
    "src/net/server_fixture.h": "a server of a test on a thread of its own",
    "src/log/tail.h": "shared by the log-writer and every shard",
    "src/log/tail.cc": "the same",
    "src/store/store.h": "a comment only",
    "src/store/memory_store.cc": "readers on other threads in the contract suite",
    "src/store/sqlite/sqlite_store.cc": "indexed() is read by other threads",
    "src/api/api.h": "reads the server's readiness flag",
    "src/server/threads.h": "starts the threads",
    "src/server/shard_thread.cc": "the same",
    "src/server/reader_threads.cc": "the same",
    "src/server/keys.h": "the same",
    "src/server/keys.cc": "the same",
    "src/api/keyring.h": "the keys of all shards",
    "src/api/keyring.cc": "the keys of all shards",
    "src/api/ticket_book.h": "the tickets of all shards",
    "src/api/ticket_book.cc": "the tickets of all shards",
    "src/server/writer_thread.cc": "the same",
    "src/server/server.cc": "the readiness flag and the stop request",
    "src/delivery/admission.h": "one bucket for all shards",
    "src/delivery/admission.cc": "the same",
    "src/ingest/source.h": "a source's thread waits for the log-writer",
    "src/ingest/runner.h": "the same",
    "src/ingest/webhook.h": "counts what all shards take",
    "src/server/sources.h": "all of them",
    "src/server/sources.cc": "the same",
    "src/cli/tail.cc": "waits between two connections",
}
# Test programs that start threads: in all others ThreadSanitizer has nothing to look at. The short form of
# tsan (./dev test) builds and plays these alone.
THREAD_TESTS = {
    "base_test": "mailboxes between threads, files that several write",
    "log_test": "the tail, read by another thread",
    "net_test": "servers and loops on threads of their own",
    "server_test": "the thread of keys, and who reads them meanwhile",
}
STARTS_THREAD = re.compile(r"std::(jthread|thread|async)\b|\bpthread_create\b|\bthrd_create\b")
PURE_ROOMS = ("src/model/", "src/log/", "src/hub/")
IMPURE_HEADERS = re.compile(
    r"#include <(sys/|unistd|thread|fstream|random|netinet|boost/asio|cstdio>|ctime)"
)
ROOM = re.compile(r"belfry_room\(\s*NAME\s+(\w+)(?:\s+DEPS\s+((?:(?!LINKS|SOURCES|TEST_LINKS)\w+\s+)*))?")
INCLUDE = re.compile(r'^#include "(\w+)/([\w/]+)\.h"', re.M)
THREADS = re.compile(r"std::(mutex|thread|atomic|condition_variable|this_thread|jthread|shared_mutex)\b")
CLOCKS = re.compile(
    r"(system|steady|high_resolution)_clock::now|\b(gettimeofday|clock_gettime)\(|\btime\(nullptr\)"
)
BANNED_NAMES = re.compile(r"(util|helper|common|manager|handle|process)", re.I)
LEFT_OVER = re.compile(
    r"\b(TODO|FIXME|XXX|NOLINT|DISABLED_|GTEST_SKIP)\b|\b(?:it|test|describe)\.(?:skip|only)\("
)
FOREIGN = re.compile(r"(/wor[k]/|registry\.npm|deb\.debian|pypi\.org)")
KEPT = ("tests/fuzz/corpus/", "tests/data/")  # inputs and what earlier versions wrote: never changed
LINES_MAX, FUNCTION_MAX, COLUMNS_MAX = 500, 70, 109


def rooms(texts):
    found = {}
    for path, text in texts.items():
        if re.fullmatch(r"src/\w+/CMakeLists\.txt", path):
            for name, deps in ROOM.findall(text):
                found[name] = deps.split()
    return found


def check_includes(texts):
    allowed = rooms(texts)
    for path, text in texts.items():
        if not path.startswith("src/") or not path.endswith((".h", ".cc")):
            continue
        room = path.split("/")[1]
        for other, header in INCLUDE.findall(text):
            if other == room or other not in allowed:
                continue
            if other not in allowed[room]:
                yield f"{path}: {room} may not see {other}"
            elif (
                other not in VOCABULARY and header != other and not is_open(path, room, f"{other}/{header}")
            ):
                yield f"{path}: use {other}/{other}.h, not {other}/{header}.h"


def is_open(path, room, header):
    return (
        path.endswith("_test.cc")
        or (room, header) in BACKENDS
        or header in ("store/memory_store", "log/tail")
    )


def check_doors(texts):
    for path, text in texts.items():
        door = re.fullmatch(r"src/(\w+)/(\w+)\.h", path)
        if door and door[1] == door[2]:
            for header in re.findall(r"#include <([\w./+]+)>", text):
                if "/" in header and not header.startswith("boost/asio"):
                    yield f"{path}: a door shows <{header}>"


def functions(text):
    """Bodies of functions: from a line that ends a signature with a brace, to the brace that closes it."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if not re.match(r"^\s*[\w~:].*\)\s*(const|noexcept|override|final|\s)*(:.*|->.*)?\{$", line):
            continue
        first = at  # a signature may have begun on an earlier line, of which this one is a continuation
        while first > 0 and lines[first].startswith("    "):
            first -= 1
        if re.match(r"\s*(if|for|while|switch|else|do|catch|return|namespace|\})\b", lines[first]):
            continue
        indent = re.match(r"\s*", lines[first])[0]
        end = at + 1
        while end < len(lines) and not re.match(rf"^{indent}\}}", lines[end]):
            end += 1
        yield lines[first].strip(), end - at - 1


def check_sizes(texts):
    for path, text in texts.items():
        if not path.endswith((".h", ".cc", ".py", ".mjs", ".ts", ".sh")) and path != "dev":
            continue
        lines = text.split("\n")
        if len(lines) - 1 > LINES_MAX:
            yield f"{path}: {len(lines) - 1} lines, at most {LINES_MAX}"
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX:
                yield f"{path}:{number}: {len(line)} columns, at most {COLUMNS_MAX}"
        if path.endswith((".h", ".cc")):
            for signature, length in functions(text):
                if length > FUNCTION_MAX:
                    yield f"{path}: {length} lines in {signature}"


def check_words(texts):
    for path, text in texts.items():
        if BANNED_NAMES.search(pathlib.PurePath(path).stem) and path.startswith("src/"):
            yield f"{path}: not a word of this house"
        if path == "tools/tidy.py" or path == "tools/tidy_test.py":
            continue
        for found in LEFT_OVER.finditer(text):
            yield f"{path}: {found[0]}"
        for found in FOREIGN.finditer(text):
            yield f"{path}: {found[0]} does not belong into the project"


def check_threads_and_clocks(texts):
    for path, text in texts.items():
        if not path.startswith("src/") or not path.endswith((".h", ".cc")) or path.endswith("_test.cc"):
            continue
        if THREADS.search(text) and path not in THREAD_FILES:
            yield f"{path}: {THREADS.search(text)[0]} outside the files where threads meet"
        if CLOCKS.search(text) and path != "src/base/clock.cc":
            yield f"{path}: time enters by argument"
        if path.startswith(PURE_ROOMS) and IMPURE_HEADERS.search(text):
            yield f"{path}: a pure room includes {IMPURE_HEADERS.search(text)[0]}"


def with_own_headers(path, texts, seen):
    """A test's source and what it includes of its own folder."""
    seen.add(path)
    folder = "/".join(path.split("/")[:2])
    for name in re.findall(r'^#include "([\w./]+)"', texts[path], re.M):
        for place in ("src/" + name, f"{folder}/{name}"):
            if place in texts and place not in seen and place.startswith(folder + "/"):
                with_own_headers(place, texts, seen)
    return seen


def check_thread_tests(texts):
    """The list of test programs that start threads is whole, and no longer than that."""
    found = {}
    for path in texts:
        test = re.match(r"src/(\w+)/(?:.*/)?\w+_test\.cc$|tests/(contract|faults|sim|fuzz)/\w+\.cc$", path)
        if not test:
            continue
        floor = test[2]
        name = f"fuzz_{pathlib.PurePath(path).stem}" if floor == "fuzz" else f"{test[1] or floor}_test"
        for part in with_own_headers(path, texts, set()):
            if STARTS_THREAD.search(texts[part]):
                found[name] = part
    for name in sorted(found.keys() - THREAD_TESTS.keys()):
        yield f"{found[name]}: {name} starts a thread, and is not in THREAD_TESTS"
    for name in sorted(THREAD_TESTS.keys() - found.keys()):
        yield f"THREAD_TESTS: {name} starts no thread"


def check_listed(texts):
    lists = "\n".join(text for path, text in texts.items() if path.endswith("CMakeLists.txt"))
    for path in texts:
        if path.startswith(("src/", "tests/")) and path.endswith(".cc"):
            if len(re.findall(rf"(?<![\w/]){re.escape('/'.join(path.split('/')[2:]))}\b", lists)) < 1:
                yield f"{path}: in no CMake target"


def check_maps(texts):
    for path in ("ARCHITECTURE.md", "src/README.md"):
        if path not in texts:
            continue
        table = re.search(r"^\| room \|.*?(?:\n\n|\Z)", texts[path], re.M | re.S)
        rows = re.findall(r"^\| `(\w+)` \|.*\| ([\w ]+) \|$", table[0] if table else "", re.M)
        told = {name: ("" if deps == "std" else deps).split() for name, deps in rows}
        real = rooms(texts)
        for name in sorted(set(told) | set(real)):
            if told.get(name) != real.get(name):
                yield f"{path}: room {name} sees {real.get(name)}, the map says {told.get(name)}"


def check_links(texts):
    for path, text in texts.items():
        if not path.endswith(".md"):
            continue
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text):
            full = (pathlib.PurePath(path).parent / target).as_posix()
            parts = []
            for part in full.split("/"):
                parts = parts[:-1] if part == ".." else parts + ([part] if part != "." else [])
            wanted = "/".join(parts)
            if wanted not in texts and not any(
                known.startswith(wanted.rstrip("/") + "/") for known in texts
            ):
                yield f"{path}: link to {target}, which does not exist"
        for name in re.findall(r"\btest `([\w.:/ ]+)`", text):
            last = re.split(r"[.:]", name)[-1]
            if not any(last in body for known, body in texts.items() if "test" in known):
                yield f"{path}: names the test {name}, which does not exist"


INTEGER = re.compile(r"(std::)?(u?int\d+_t|size_t)|int|unsigned|Offset|SessionId")
KEYED = {"KeyedHash", "ByTypes"}


def template_arguments(text):
    """Of a template whose opening bracket has just been passed."""
    out, depth = [""], 0
    for character in text:
        if character == ">" and depth == 0:
            break
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "," and depth == 0:
            out.append("")
        else:
            out[-1] += character
    return [argument.strip() for argument in out]


def check_hashes(texts):
    """Threat 32: whatever is not a number is hashed with the key of the process."""
    for path, text in texts.items():
        if not path.startswith("src/") or not path.endswith((".h", ".cc")) or path.endswith("_test.cc"):
            continue
        if "std::hash" in text:
            yield f"{path}: std::hash has no key; use KeyedHash"
        for found in re.finditer(r"unordered_(?:multi)?(map|set)<", text):
            arguments = template_arguments(text[found.end() :])
            hash_at = 2 if found[1] == "map" else 1
            keyed = len(arguments) > hash_at and arguments[hash_at] in KEYED
            if not keyed and not INTEGER.fullmatch(arguments[0]):
                yield f"{path}: unordered_{found[1]} of {arguments[0]} without KeyedHash"


HOLDS_SECRETS = {  # and how often they compare one
    "src/api/keyring.cc": 1,
    "src/api/signing_key.cc": 1,
    "src/api/ticket.cc": 1,
    "src/api/token.cc": 1,
    "src/ingest/webhook.cc": 2,
}
SECRET = r"\*?\b(?:\w*(?:secret|digest|signature|expected|hmac)\w*|given)\b"
COMPARED = re.compile(
    rf"(?<![\w.>:]){SECRET}\s*[!=]=(?!=)(?!\s*(?:nullptr|\d))|[!=]=\s*{SECRET}(?!\s*[.(]|->)"
)


def check_secrets(texts):
    """Threat 30: secrets are compared by same_secret() of base/hmac.h, and by nothing else."""
    for path, text in texts.items():
        if not path.startswith("src/") or not path.endswith((".h", ".cc")) or path.endswith("_test.cc"):
            continue
        if "CRYPTO_memcmp" in text and path != "src/base/hmac.cc":
            yield f"{path}: secrets are compared by same_secret()"
        if re.search(r"(?<!_)\bmemcmp\(", text) and path in HOLDS_SECRETS:
            yield f"{path}: memcmp() takes less time for what differs earlier"
        if path not in HOLDS_SECRETS:
            continue
        times = text.count("same_secret(")
        if times != HOLDS_SECRETS[path]:
            yield f"{path}: calls same_secret() {times} times, not {HOLDS_SECRETS[path]}"
        for found in COMPARED.finditer(text):
            yield f"{path}: {found[0]}: secrets are compared by same_secret()"
    if "src/base/hmac.cc" in texts and "CRYPTO_memcmp(a.data(), b.data()" not in texts["src/base/hmac.cc"]:
        yield "src/base/hmac.cc: same_secret() compares by CRYPTO_memcmp()"


THREATS = {*range(1, 21), *range(22, 28), *range(29, 40), 41, 43}


def check_threats(texts):
    """Each row of SECURITY.md maps a threat to its mitigation and to tests that exist; none is missing."""
    page = texts.get("SECURITY.md")
    if page is None:
        return
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page, re.M)
    for missing in sorted(THREATS - {int(row[0]) for row in rows}):
        yield f"SECURITY.md: threat {missing} has no row"
    tests = "\n".join(text for path, text in texts.items() if re.search(r"[._]test\.(cc|mjs)$", path))
    for number, _, mitigation, named in rows:
        names = re.findall(r"`([^`]+)`", named)
        if not names or not mitigation.strip():
            yield f"SECURITY.md: threat {number} has no test or no mitigation"
        for name in names:
            if name not in tests:
                yield f"SECURITY.md: threat {number} names the test {name}, which does not exist"


def check_cuts(texts):
    """A block under <!-- cut: file#marker --> stands between the markers of a file; #all: the file."""
    for path, text in texts.items():
        if not path.endswith(".md"):
            continue
        blocks = re.findall(r"<!-- cut: (\S+)#([\w-]+) -->\n```\w*\n(.*?)```", text, re.S)
        for source, marker, block in blocks:
            mark = rf"^ *(?:#|(?:#|//|--) cut:) {marker}\n(.*?)^ *(?:#|//|--) end$"
            found = re.search(mark, texts.get(source, ""), re.S | re.M)
            whole = marker == "all" and texts.get(source) == block
            if not whole and (not found or textwrap.dedent(found[1]) != block):
                yield f"{path}: the block {marker} is not what stands in {source}"


def check_fences(texts):
    """A block that is opened is closed, and holds something."""
    for path, text in texts.items():
        if not path.endswith(".md"):
            continue
        opened = None
        for number, line in enumerate(text.split("\n"), 1):
            if not line.lstrip().startswith("```"):
                continue
            if opened is None:
                opened = number
            elif line.strip() != "```" or number == opened + 1:
                yield f"{path}:{number}: a block that is not closed, or is empty"
                break
            else:
                opened = None
        else:
            if opened is not None:
                yield f"{path}:{opened}: a block that is not closed"


RULES = [
    check_cuts,
    check_fences,
    check_includes,
    check_doors,
    check_sizes,
    check_words,
    check_threads_and_clocks,
    check_thread_tests,
    check_listed,
    check_maps,
    check_links,
    check_threats,
    check_hashes,
    check_secrets,
]


def tracked(root):
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    texts = {}
    for name in filter(None, names):
        path = root / name
        if path.is_file():
            unread = path.suffix in {".png", ".svg"} or path.name == "package-lock.json"
            unread = unread or name.startswith(KEPT)
            texts[name] = "" if unread else path.read_text(encoding="utf-8")
    return texts


def main():
    texts = tracked(pathlib.Path(__file__).resolve().parent.parent)
    breaches = [breach for rule in RULES for breach in rule(texts)]
    (
        print(*breaches, sep="\n")
        if breaches
        else print(f"{len(rooms(texts))} rooms, {len(texts)} files: the rules hold")
    )
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
