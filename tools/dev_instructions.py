"""./dev bench instructions OTHER: what the server spends in user mode, counted, beside another binary.

Valgrind counts the instructions of the server (callgrind), so a busy machine changes little of the
figures: only how many publishes share a commit. Each pair plays the same on both binaries, the order changes
from pair to pair, and the ratio is told with its 95 % interval. What the kernel does is not in it.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import math
import pathlib
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

SESSIONS, EVENTS, PUBLISHERS = 100, 48, 16
QUICK = (20, 8)  # sessions, events
STARTS_WITHIN, ANSWERS_WITHIN = 60, 120  # seconds
RUNS_MAX = 3
MARK = b"MARK"  # in the data of each event
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Student's t, two-sided, 95 %: by degrees of freedom.
T95 = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 14: 2.145, 19: 2.093, 29: 2.045}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Server:
    """`belfry dev` under Valgrind, with a data folder of its own."""

    def __init__(self, binary):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="belfry-"))
        self.port, self.dumps = free_port(), 0
        counting = ["valgrind", "--tool=callgrind", "--fair-sched=yes", "--combine-dumps=no"]
        place = ["--listen", f"127.0.0.1:{self.port}", "--data", str(self.folder / "data")]
        self.process = subprocess.Popen(
            [*counting, f"--callgrind-out-file={self.folder}/counted", str(binary), "dev", *place],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
        if not self.ready():
            self.stop()
            sys.exit(f"{binary} did not start under Valgrind")
        data = self.folder / "data"
        self.key = (data / "backend_key").read_text().strip()
        self.token = self.make_token((data / "jwt_secret").read_text().strip())

    def ready(self):
        asked = f"http://127.0.0.1:{self.port}/readyz"
        for _ in range(STARTS_WITHIN * 10):
            try:
                return urllib.request.urlopen(asked, timeout=5).status == 200
            except OSError:  # it does not listen yet, or says 503
                if self.process.poll() is not None:
                    return False
                time.sleep(0.1)
        return False

    @staticmethod
    def make_token(secret):
        now = int(time.time())
        rights = {"subscribe": ["#"], "publish": []}
        claims = {"sub": "bench", "iat": now, "exp": now + 7200, "belfry": rights}
        parts = [b'{"alg":"HS256","typ":"JWT"}', json.dumps(claims).encode()]
        text = ".".join(base64url(part) for part in parts)
        return f"{text}.{base64url(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())}"

    def instructions(self):
        """Since the last call."""
        self.dumps += 1
        told = ["callgrind_control", "-d", str(self.process.pid)]
        subprocess.run(told, check=True, stdin=subprocess.DEVNULL, capture_output=True)
        file = self.folder / f"counted.{self.dumps}"
        for _ in range(200):
            said = file.read_text() if file.exists() else ""
            found = re.search(r"^(?:summary|totals): (\d+)", said, re.M)
            if found:
                return int(found[1])
            time.sleep(0.05)
        return sys.exit("Valgrind did not say what it had counted")

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Connection:
    """One of a client that reads what comes and looks only for what it waits for."""

    @classmethod
    async def to(cls, server):
        self = cls()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", server.port)
        return self

    async def read(self):
        data = await asyncio.wait_for(self.reader.read(1 << 18), ANSWERS_WITHIN)
        if not data:
            raise ConnectionError("the server ended a connection")
        return data

    async def until(self, text):
        got = b""
        while text not in got:
            got += await self.read()

    async def take(self, text, count):
        while count > 0:
            data = await self.read()
            if re.search(rb"HTTP/1.1 [45]", data):
                raise ConnectionError(data.decode(errors="replace"))
            count -= data.count(text)

    async def publish(self, server, topic, number):
        event = {"topic": topic, "type": "bench", "data": {"n": number, "m": MARK.decode(), "x": "x" * 70}}
        body = json.dumps(event).encode()
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
        self.writer.write(f"{head}Content-Length: {len(body)}\r\n".encode())
        self.writer.write(b"Content-Type: application/json\r\n\r\n" + body)
        await self.take(b"HTTP/1.1 2", 1)


async def sse(server, topic):
    self = await Connection.to(server)
    head = f"GET /v1/events?topic={topic} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
    self.writer.write(f"{head}Authorization: Bearer {server.token}\r\n\r\n".encode())
    await self.until(b"\r\n\r\n")
    return self


async def websocket(server, topic):
    self = await Connection.to(server)
    head = "GET /v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    self.writer.write((head + key).encode())
    await self.until(b"\r\n\r\n")
    hello = json.dumps({"action": "connect", "token": server.token, "topics": [topic]}).encode()
    self.writer.write(struct.pack(">BBHI", 0x81, 0x80 | 126, len(hello), 0) + hello)  # RFC 6455, 5.2
    await self.until(b'"connected"')
    return self


def frame(kind, flags, stream, payload):
    """RFC 9113, 4.1."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def field(name, value):
    """A literal of HPACK without indexing, with a new name (RFC 7541, 6.2.2)."""

    def text(words):
        size = len(words)
        long = [127, (size - 127) & 127 | 128, (size - 127) >> 7]
        return bytes([size] if size < 127 else long) + words.encode()

    return b"\0" + text(name) + text(value)


async def http2(server, topic):
    self = await Connection.to(server)
    head = b"\x82\x86" + field(":path", f"/v1/events?topic={topic}") + field(":authority", "x")
    head += field("accept", "text/event-stream") + field("authorization", f"Bearer {server.token}")
    window = struct.pack(">HI", 4, 1 << 30)
    opening = HTTP2_PREFACE + frame(4, 0, 0, window) + frame(4, 1, 0, b"")
    self.writer.write(opening + frame(8, 0, 0, struct.pack(">I", 1 << 30)) + frame(1, 5, 1, head))
    await self.until(struct.pack(">BBI", 1, 4, 1))  # the head of the answer
    return self


KINDS = {"SSE": sse, "WebSocket": websocket, "HTTP/2": http2}


async def broadcast(server, publishers, kind, sessions, events, out):
    topic = f"b/{kind}"
    listening = [await KINDS[kind](server, topic) for _ in range(sessions)]

    async def one(number):
        taken = (each.take(MARK, 1) for each in listening)
        await asyncio.gather(publishers[0].publish(server, topic, number), *taken)

    for number in range(5):
        await one(number)
    server.instructions()
    for number in range(events):
        await one(number)
    out[f"broadcast {kind}"] = server.instructions() / (sessions * events)
    if kind == "SSE":

        async def some(each):
            for number in range(events // 4):
                await each.publish(server, topic, number)

        count = len(publishers) * (events // 4)
        taken = (each.take(MARK, count) for each in listening)
        await asyncio.gather(*map(some, publishers), *taken)
        out["burst"] = server.instructions() / (sessions * count)
    for each in listening:
        each.writer.close()


async def unicast(server, publishers, kind, sessions, out):
    listening = [await KINDS[kind](server, f"u/{at}") for at in range(sessions)]

    async def some(at, publisher):
        for to in [*range(at, sessions, len(publishers))] * 4:
            await asyncio.gather(publisher.publish(server, f"u/{to}", to), listening[to].take(MARK, 1))

    server.instructions()
    await asyncio.gather(*(some(at, each) for at, each in enumerate(publishers)))
    out[f"unicast {kind}"] = server.instructions() / (sessions * 4)
    for each in listening:
        each.writer.close()


async def play(server, sessions, events):
    """Workload -> instructions for each delivery, or publish."""
    out = {}
    publishers = [await Connection.to(server) for _ in range(PUBLISHERS)]

    async def some(publisher, count):
        for number in range(count):
            await publisher.publish(server, f"p/{number}", number)

    await asyncio.gather(*(some(each, 5) for each in publishers))
    server.instructions()
    await asyncio.gather(*(some(each, events) for each in publishers))
    out["publish"] = server.instructions() / (PUBLISHERS * events)
    for kind in KINDS:
        await broadcast(server, publishers, kind, sessions, events, out)
    for kind in ("SSE", "WebSocket"):
        await unicast(server, publishers, kind, sessions, out)
    return out


def interval(ratios):
    """(geometric mean, its 95 % interval)"""
    logs = [math.log(each) for each in ratios]
    middle = statistics.mean(logs)
    if len(logs) < 2:
        return math.exp(middle), None
    t = T95[max(freedom for freedom in T95 if freedom < len(logs))]
    half = t * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(middle), (math.exp(middle - half), math.exp(middle + half))


def table(pairs):
    """pairs: (what the other binary took, what this one took) of each pair."""
    yield "| workload | other | this | ratio (95 %) |"
    yield "|---|---|---|---|"
    for name in pairs[0][0]:
        middle, bounds = interval([this[name] / other[name] for other, this in pairs])
        within = f" ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else ""
        other, this = (statistics.median(pair[at][name] for pair in pairs) for at in (0, 1))
        yield f"| {name} | {other:,.0f} | {this:,.0f} | {middle:.3f}{within} |"


def counted(binary, sessions, events):
    """What a server in its own folder took. A run in which a connection broke is played again."""
    for left in reversed(range(RUNS_MAX)):
        server = Server(binary)
        try:
            return asyncio.run(play(server, sessions, events))
        except (ConnectionError, asyncio.TimeoutError) as error:
            print(f"\n{binary}: {error!r}; {left} runs left", file=sys.stderr)
        finally:
            server.stop()
    return sys.exit(f"{binary}: no run came to its end")


def run(this, words):
    parser = argparse.ArgumentParser("./dev bench instructions", description=__doc__)
    parser.add_argument("other", type=pathlib.Path, help="a binary of belfry to compare with")
    parser.add_argument("--pairs", type=int, default=20, help="how often each is played [%(default)s]")
    parser.add_argument("--quick", action="store_true", help="one small pair: whether it works")
    wanted = parser.parse_args(words)
    if not shutil.which("valgrind"):
        sys.exit("./dev bench instructions: needs Valgrind (Debian: valgrind)")
    binaries = [wanted.other.resolve(), this]
    sessions, events = QUICK if wanted.quick else (SESSIONS, EVENTS)
    pairs = []
    for number in range(1 if wanted.quick else max(wanted.pairs, 1)):
        print(f"\rpair {number + 1}   ", end="", file=sys.stderr, flush=True)
        order = (0, 1) if number % 2 else (1, 0)
        found = {at: counted(binaries[at], sessions, events) for at in order}
        pairs.append((found[0], found[1]))
    print(f"\nInstructions in user mode for each delivery, publish included; {len(pairs)} pairs\n")
    print("\n".join(table(pairs)))
    return 0
