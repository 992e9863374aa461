"""./dev bench and ./dev profile: what peers need, what a run leaves, and where time goes."""

import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import dev_instructions
import dev_setup
import dev_web

# Built from the Go module proxy, with the versions of its modules.
GO_PEERS = {
    "centrifugo": ("github.com/centrifugal/centrifugo/v5", "v5.4.9", ""),
    "mercure": ("github.com/dunglas/mercure", "v0.20.0", "/cmd/mercure"),
}


def install_peers(root):
    """Peers that cannot be installed here are named, and left out of the run."""
    dev_setup.install("peers")
    dev_web.install(root / "bench" / "servers")
    folder = root / "build" / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (module, version, package) in GO_PEERS.items():
        if (folder / name).exists():
            continue
        if not shutil.which("go"):
            print(f"{name}: there is no Go here", flush=True)
            continue
        print(f"Building {name} {version}", flush=True)
        with tempfile.TemporaryDirectory() as place:
            pathlib.Path(place, "go.mod").write_text(
                f"module peers\n\ngo 1.22\n\nrequire {module} {version}\n", encoding="utf-8"
            )
            done = subprocess.run(
                ["go", "build", "-mod=mod", "-o", str(folder / name), module + package],
                cwd=place,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            print(f"{name}: {done.stderr.strip().splitlines()[-1:]}", flush=True)


def bench(root, words):
    """The program itself; 'peers' first installs them, 'instructions' counts them."""
    if words[:1] == ["instructions"]:
        return dev_instructions.run(root / "build/release/belfry", words[1:])
    if words[:1] == ["peers"]:
        install_peers(root)
        words = ["--peers", *words[1:]]
    program = root / "build/release/bench/belfry_bench"
    return subprocess.run([str(program), *words], check=False).returncode


def profile(root, words):
    """Samples core 0, where the servers are, during one workload: what Belfry's threads spend it on."""
    if not words:
        sys.exit("./dev profile WORKLOAD: one of those that ./dev bench --help names")
    perf = shutil.which("perf")
    if not perf:
        sys.exit("./dev profile: needs perf (Debian: linux-perf)")
    data = root / "build" / "profile.data"
    program = str(root / "build/release/bench/belfry_bench")
    # cpu-clock works without hardware counters too.
    record = [perf, "record", "-q", "-e", "cpu-clock", "-F", "997", "-C", "0", "-g", "-o", str(data), "--"]
    done = subprocess.run([*record, program, "--pairs", "3", *words], check=False)
    if done.returncode != 0:
        return done.returncode
    report = [
        perf,
        "report",
        "-i",
        str(data),
        "--stdio",
        "--no-children",
        "-g",
        "none",
        "--percent-limit",
        "0.5",
    ]
    threads = {}
    for line in subprocess.run(
        [*report, "--sort", "comm,dso,sym"], capture_output=True, text=True, check=False
    ).stdout.splitlines():
        fields = line.split(None, 3)
        if line.startswith("#") or len(fields) < 4 or fields[1] in ("swapper", "belfry_limit", "perf"):
            continue
        threads.setdefault(fields[1], []).append((float(fields[0].rstrip("%")), fields[2], fields[3]))
    for thread, rows in sorted(threads.items(), key=lambda item: -sum(row[0] for row in item[1])):
        print(f"\n{thread}: {sum(row[0] for row in rows):.1f} % of the samples")
        for percent, where, symbol in rows[:25]:
            print(f"  {percent:5.1f} %  {where:22.22}  {symbol}")
    print(f"\nThe whole: perf report -i {os.path.relpath(data)}")
    return 0


COLOURS = {"belfry": "#2563eb", "limit": "#9ca3af"}


def bar_chart(title, unit, rows):
    """SVG: one bar a server, on a scale from nothing, with its figure."""
    most = max(value for _, value in rows) or 1
    height = 46 + 26 * len(rows)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" '
        f'viewBox="0 0 760 {height}" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="12" y="22" font-size="15" font-weight="bold">{title}</text>',
    ]
    for at, (name, value) in enumerate(rows):
        y = 36 + 26 * at
        width = max(1, 500 * value / most)
        out.append(f'<text x="104" y="{y + 14}" text-anchor="end">{name}</text>')
        colour = COLOURS.get(name, "#d97706")
        out.append(f'<rect x="112" y="{y}" width="{width:.0f}" height="18" fill="{colour}"/>')
        text = f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
        out.append(f'<text x="{118 + width:.0f}" y="{y + 14}">{text} {unit}</text>')
    return "\n".join([*out, "</svg>\n"])


CHARTS = {
    "broadcast-sse-10k": ("ratio", "SSE to 9,900 sessions: CPU per delivery, ratio to the limit loop", "×"),
    "broadcast-ws-10k": (
        "ratio",
        "WebSocket to 9,900 sessions: CPU per delivery, ratio to the limit loop",
        "×",
    ),
    "latency-sse": ("p99_ms", "SSE at half of the limit loop's rate: p99 of the delay", "ms"),
    "latency-ws": ("p99_ms", "WebSocket at half of the limit loop's rate: p99 of the delay", "ms"),
    "idle-sse": ("user_bytes", "An idle SSE session: memory of the server", "bytes"),
    "idle-ws": ("user_bytes", "An idle WebSocket: memory of the server", "bytes"),
    "resume": ("cpu_us", "A client that comes back 100 events behind: CPU of the server", "µs"),
    "publish-64": ("cpu_us", "A publish, 64 publishers: CPU of the server", "µs"),
}


LINES = {
    "growth-memory": ("User memory of SSE sessions", "sessions", "MB", False),
    "growth-sessions": ("CPU of one event to all SSE sessions", "sessions", "ms", False),
    "growth-deliveries": ("CPU of deliveries to 1,000 SSE sessions", "deliveries", "s", False),
    "growth-history-count": ("Unread count by stored notifications", "stored", "µs", True),
    "growth-history-page": ("Feed page of 20 by stored notifications", "stored", "µs", True),
}


def line_chart(title, across, unit, points, logarithmic):
    """SVG: points on scales from nothing, with the line through nothing that fits them best; or, of history,
    on a scale of tens and without a line."""
    most = max(y for _, y in points) * 1.15
    last = max(x for x, _ in points)
    low = math.log10(min(x for x, _ in points)) - 0.3

    def place(x, y):
        share = (math.log10(x) - low) / (math.log10(last) - low) if logarithmic else x / last
        return 80 + 600 * share, 250 - 200 * y / most

    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="760" height="300" viewBox="0 0 760 300" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="12" y="22" font-size="15" font-weight="bold">{title}</text>',
        '<path d="M80 40V250H700" fill="none" stroke="#374151"/>',
        f'<text x="390" y="292" text-anchor="middle">{across}</text>',
    ]
    if not logarithmic:
        slope = sum(x * y for x, y in points) / sum(x * x for x, _ in points)
        ends = [place(0, 0), place(last, slope * last)]
        out.append(
            f'<path d="M{ends[0][0]:.0f} {ends[0][1]:.0f}'
            f'L{ends[1][0]:.0f} {ends[1][1]:.0f}" stroke="#9ca3af"/>'
        )
    for x, y in points:
        left, top = place(x, y)
        out.append(f'<circle cx="{left:.0f}" cy="{top:.0f}" r="4" fill="{COLOURS["belfry"]}"/>')
        out.append(f'<text x="{left:.0f}" y="{top - 10:.0f}" text-anchor="middle">{y:.3g} {unit}</text>')
        out.append(f'<text x="{left:.0f}" y="268" text-anchor="middle">{x:,.0f}</text>')
    return "\n".join([*out, "</svg>\n"])


def plots(lines, folder):
    """An SVG for each workload of CHARTS and LINES that stands in the lines of JSON."""
    rows = [json.loads(line) for line in pathlib.Path(lines).read_text(encoding="utf-8").splitlines()]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for workload, (field, title, unit) in CHARTS.items():
        found = [
            (row["server"], row[field]) for row in rows if row["workload"] == workload and row[field] > 0
        ]
        if found:
            found.sort(key=lambda one: one[1])
            drawn[workload] = bar_chart(title, unit, found)
    for workload, (title, across, unit, logarithmic) in LINES.items():
        points = [(row["x"], row["y"]) for row in rows if row["workload"] == workload]
        if points:
            drawn[workload] = line_chart(title, across, unit, points, logarithmic)
    for workload, drawing in drawn.items():
        (folder / f"{workload}.svg").write_text(drawing, encoding="utf-8")
        print(folder / f"{workload}.svg")
    return 0
