"""./dev fuzz: the targets of tests/fuzz with libFuzzer; and for CI, those that a change touches."""

import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

# Which sources a target is about, as beginnings of their paths.
SOURCES = {
    "http1": ["src/net/http1", "src/net/http_parser", "src/net/connection", "src/net/websocket"],
    "http2": ["src/net/http2", "src/net/connection"],
    "tls": ["src/net/tls", "src/net/connection", "src/net/http1", "src/net/http2"],
    "target": ["src/net/client_address", "src/net/http_parser", "src/api/accept", "src/api/ticket"],
    "websocket": ["src/net/websocket"],
    "publish": ["src/wire/publish_body", "src/wire/json_text", "src/wire/event_frame"],
    "cloud_event": ["src/wire/cloud_event", "src/wire/json_text"],
    "client_message": ["src/wire/client_message", "src/wire/feed_text", "src/wire/json_text"],
    "token": ["src/api/token", "src/api/ticket"],
    "jwks": ["src/api/signing_key"],
    "cursor": ["src/model/cursor"],
    "pattern": ["src/model/topic"],
    "config": ["src/server/config"],
    "hub": ["src/hub/", "src/log/tail"],
    "pg_output": ["src/ingest/pg_output", "src/ingest/path"],
    "kafka_record": ["src/ingest/kafka_record", "src/ingest/mapping", "src/ingest/read_json"],
    "template": ["src/ingest/template", "src/ingest/condition", "src/ingest/path", "src/ingest/mapping"],
    "event_grid": ["src/ingest/webhook", "src/ingest/mapping", "src/ingest/read_json"],
    "signature": ["src/ingest/signature", "src/ingest/webhook"],
}
CI_SECONDS = 30


def touched(root):
    """Targets whose sources, or who themselves, changed within the last day; all, if that is not known."""
    done = subprocess.run(
        ["git", "log", "--since=1.day", "--name-only", "--format="],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return sorted(SOURCES)
    changed = done.stdout.split()
    return sorted(
        name
        for name, sources in SOURCES.items()
        if any(path.startswith((*sources, f"tests/fuzz/{name}.")) for path in changed)
    )


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


def ci(root, tally):
    began = time.monotonic()
    names = touched(root)
    print(f"-- fuzz: the change touches {', '.join(names) or 'no target'}", flush=True)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        codes = list(pool.map(lambda name: fuzz(root, name, CI_SECONDS), names))
    tally.add("fuzz", codes.count(0), len(codes) - codes.count(0), began)


def run(root, names, seconds, runs):
    unknown = [name for name in names if name not in SOURCES]
    if unknown:
        print(f"./dev fuzz: there is no target {unknown[0]}. They are: {', '.join(SOURCES)}")
        return 2
    codes = [fuzz(root, name, seconds, runs) for name in names or SOURCES]
    return int(any(codes))
