#!/usr/bin/env python3
"""How many machines a load needs: docs/CAPACITY.md explains it.

tools/capacity.py --sessions 200000 --events 500 --fan-out 100
tools/capacity.py --check build/bench.jsonl    the model against a run of ./dev bench
"""

import argparse
import json
import math
import pathlib
import sys

# Of docs/reports/speed.md, on the slow side; microseconds of one core, and bytes.
CONSTANTS = {
    "delivery_us": {"sse": 6.6, "ws": 6.7},  # one event to one of 9,900 sessions
    "publish_us": 45.0,  # over HTTP, stored durably, 64 publishers at once, with the turn that it causes
    "connect_us": {"sse": 38.0, "ws": 39.0},
    "user_bytes": {"sse": 490, "ws": 700},
    "kernel_bytes": 5600,  # of the server's end of a connection: half of what both take, of a million
    "stored_bytes": 250,  # of an event with 100 bytes of data, with its indexes; 165 to 245 seen
    "process_bytes": 60e6,
    "events_max": 20000,  # that one log-writer takes in a second, one event a request
    "heartbeat_s": 20,
    "busy": 0.6,  # of a core that is planned with; the rest is for bursts and for coming back
}


def need(load, constants=None):
    """Cores, memory and disk of a load; all in units of one machine's like."""
    c = constants or CONSTANTS
    kind = load["transport"]
    deliveries = load["events"] * load["fan_out"] + load["sessions"] / c["heartbeat_s"]
    connects = load["sessions"] / load["session_s"]
    cpu = (
        deliveries * c["delivery_us"][kind]
        + load["events"] * c["publish_us"]
        + connects * c["connect_us"][kind]
    )
    return {
        "cores": cpu / 1e6 / c["busy"],
        "memory_gb": (load["sessions"] * (c["user_bytes"][kind] + c["kernel_bytes"]) + c["process_bytes"])
        / 1e9,
        "disk_gb": load["events"]
        * 86400
        * load["keep_days"]
        * (c["stored_bytes"] - 100 + load["event_bytes"])
        / 1e9,
        "log_share": load["events"] / c["events_max"],
    }


def machines(needed, cores, memory_gb):
    """Sessions and deliveries are spread; one log-writer takes all events."""
    return max(1, math.ceil(needed["cores"] / cores), math.ceil(needed["memory_gb"] / memory_gb))


def show(options):
    load = vars(options)
    needed = need(load)
    print(f"cores         {needed['cores']:10.1f}   at {CONSTANTS['busy']:.0%} of each")
    print(f"memory        {needed['memory_gb']:10.1f}   GB, the kernel's part included")
    print(f"disk          {needed['disk_gb']:10.1f}   GB for {options.keep_days} days")
    print(f"log-writer    {needed['log_share']:10.0%}   of what one takes")
    if needed["log_share"] > 1:
        print("              more events than one log takes: divide them by application")
    print(
        f"machines      {machines(needed, options.cores, options.memory_gb):10}   of {options.cores} cores"
    )
    return 0


# Workloads that fit the constants, and those that only check them: (deliveries a publish, transport).
CHECKED = {
    "broadcast-sse-1k": (1000, "sse"),
    "broadcast-ws-1k": (1000, "ws"),
    "broadcast-sse-10k-1KiB": (9900, "sse"),
    "broadcast-ws-10k-1KiB": (9900, "ws"),
    "topics-sse": (10, "sse"),
    "unicast-sse": (1, "sse"),
    "unicast-ws": (1, "ws"),
}


def check(path):
    """Predicts runs from others of the same session: the machine's speed of that hour is in both."""
    rows = {}
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["server"] == "belfry":
            rows[row["workload"]] = row
    fit = ("broadcast-sse-10k", "broadcast-ws-10k", "publish-64")
    if any(name not in rows for name in fit):
        sys.exit(f"{path}: needs the workloads broadcast, topics and post of ./dev bench --json")
    delivery = {"sse": rows[fit[0]]["cpu_us"], "ws": rows[fit[1]]["cpu_us"]}
    publish = rows[fit[2]]["cpu_us"]
    print(
        "Fitted: delivery",
        {kind: round(value, 2) for kind, value in delivery.items()},
        "µs, publish",
        round(publish, 1),
        "µs\n",
    )
    print("| run | predicted µs a delivery | measured | error |\n|---|---|---|---|")
    for name, (fan_out, kind) in CHECKED.items():
        if name in rows:
            said = delivery[kind] + publish / fan_out
            seen = rows[name]["cpu_us"]
            print(f"| {name} | {said:.1f} | {seen:.1f} | {said / seen - 1:+.0%} |")
    return 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=float, default=10000, help="open at a time [10000]")
    parser.add_argument("--transport", choices=["sse", "ws"], default="sse")
    parser.add_argument("--events", type=float, default=100, help="published a second [100]")
    parser.add_argument("--fan-out", type=float, default=10, help="sessions that each reaches [10]")
    parser.add_argument("--event-bytes", type=float, default=100, help="of its data [100]")
    parser.add_argument("--session-s", type=float, default=600, help="how long one lasts [600]")
    parser.add_argument("--keep-days", type=float, default=7)
    parser.add_argument("--cores", type=int, default=2, help="of a machine [2]")
    parser.add_argument("--memory-gb", type=float, default=8, help="of a machine that is free for it [8]")
    parser.add_argument("--check", metavar="FILE")
    options = parser.parse_args()
    return check(options.check) if options.check else show(options)


if __name__ == "__main__":
    sys.exit(main())
