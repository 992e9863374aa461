"""./dev fuzz: the targets of tests/fuzz with libFuzzer; and for CI, those that a change touches."""

import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import dev_base

MAPPED = ("src/ingest/mapping", "src/ingest/read_json")
# Which sources a target is about, with the doors of their rooms, as beginnings of their paths.
SOURCES = {
    "http1": [
        "src/net/http1",
        "src/net/http_parser",
        "src/net/connection",
        "src/net/websocket",
        "src/net/net.",
    ],
    "http2": ["src/net/http2", "src/net/connection", "src/net/net."],
    "tls": ["src/net/tls", "src/net/connection", "src/net/http1", "src/net/http2", "src/net/net."],
    "target": ["src/net/client_address", "src/net/http_parser", "src/api/accept", "src/api/ticket"],
    "websocket": ["src/net/websocket"],
    "publish": ["src/wire/publish_body", "src/wire/json_text", "src/wire/event_frame", "src/wire/wire."],
    "cloud_event": ["src/wire/cloud_event", "src/wire/json_text", "src/wire/wire."],
    "client_message": [
        "src/wire/client_message",
        "src/wire/feed_text",
        "src/wire/json_text",
        "src/wire/wire.",
    ],
    "token": ["src/api/token", "src/api/ticket", "src/api/keyring"],
    "jwks": ["src/api/signing_key"],
    "cursor": ["src/model/cursor", "src/model/model."],
    "pattern": ["src/model/topic", "src/model/model."],
    "config": ["src/server/config"],
    "hub": ["src/hub/", "src/log/tail", "src/store/memory_store"],
    "pg_output": ["src/ingest/pg_output", "src/ingest/path", "src/ingest/ingest."],
    "kafka_record": ["src/ingest/kafka_record", *MAPPED, "src/ingest/ingest."],
    "template": [
        "src/ingest/template",
        "src/ingest/condition",
        "src/ingest/path",
        *MAPPED,
        "src/ingest/ingest.",
    ],
    "event_grid": ["src/ingest/webhook", *MAPPED, "src/ingest/ingest."],
    "signature": ["src/ingest/signature", "src/ingest/webhook", "src/ingest/ingest."],
}
ALL = list(SOURCES)
SHARED = {  # what several targets are made of, as beginnings of paths, too
    "src/base/": ALL,
    "CMakeLists.txt": ALL,
    "CMakePresets.json": ALL,
    "cmake/": ALL,
    "tests/fuzz/CMakeLists.txt": ALL,
    "tests/fuzz/fuzz.h": ALL,
    "tests/fuzz/connection_harness.h": ["http1", "http2", "tls"],
    "tests/fuzz/webhook_harness.h": ["event_grid", "signature"],
    "tests/testing/temporary_folder.h": ["event_grid", "signature"],
}
CI_SECONDS = 30


def about(name):
    """Beginnings of the paths that a target is made of."""
    rooms = {source.split("/")[1] for source in SOURCES[name]}
    return (
        *SOURCES[name],
        *(f"src/{room}/CMakeLists.txt" for room in rooms),
        *(path for path, names in SHARED.items() if name in names),
        f"tests/fuzz/{name}.",
        f"tests/fuzz/corpus/{name}/",
    )


def touched(changed):
    """Targets that are made of what changed, or play it; all, if that is not known."""
    if changed is None:
        return sorted(SOURCES)
    return sorted(name for name in SOURCES if any(path.startswith(about(name)) for path in changed))


def fuzz(root, name, seconds, runs=None, artifacts=None):
    """Plays one target. New inputs go to a folder that is thrown away; a finding is kept beside build/."""
    artifacts = artifacts or root / "build" / "fuzz" / "findings"
    artifacts.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as found:
        command = [
            str(root / "build" / "fuzz" / "fuzz" / f"fuzz_{name}"),
            f"-runs={runs}" if runs else f"-max_total_time={seconds}",
            "-max_len=2048",
            "-timeout=10",
            "-rss_limit_mb=2048",
            f"-artifact_prefix={artifacts}/{name}-",
            found,
            str(root / "tests" / "fuzz" / "corpus" / name),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, stdin=subprocess.DEVNULL
        )
    last = [line for line in done.stderr.splitlines() if line.startswith(("#", "Done"))][-1:]
    print(f"-- fuzz {name}: {last[0] if last else 'nothing was played'}", flush=True)
    if done.returncode != 0:
        print(done.stderr[-6000:], flush=True)
    return done.returncode


def play(root, build, names, tally):
    """Builds some targets and plays each for a while, as many at a time as there are cores."""
    build("fuzz", [f"fuzz_{name}" for name in names], testing=False)
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        codes = list(pool.map(lambda name: fuzz(root, name, CI_SECONDS), names))
    tally.add("fuzz", codes.count(0), len(codes) - codes.count(0), began)


def ci(root, build, tally):
    """The targets that the change touches: asked before anything is configured or compiled."""
    base, why = dev_base.base_of(root)
    names = touched(dev_base.changed(root, base))
    print(f"-- fuzz: the change is what came after {base or 'nothing'} ({why})", flush=True)
    if not names:
        return tally.nothing("fuzz", "the change touches no target: nothing was played")
    print(f"-- fuzz: the change touches {', '.join(names)}", flush=True)
    play(root, build, names, tally)


def run(root, names, seconds, runs):
    unknown = [name for name in names if name not in SOURCES]
    if unknown:
        print(f"./dev fuzz: there is no target {unknown[0]}. They are: {', '.join(SOURCES)}")
        return 2
    codes = [fuzz(root, name, seconds, runs) for name in names or SOURCES]
    return int(any(codes))
