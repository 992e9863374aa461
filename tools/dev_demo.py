"""./dev demo: a dev server and the booking site beside it, until Ctrl-C."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import dev_web

HERE = "examples/booking"
DATA = "build/demo"


def build(root):
    """The front end, from the packages of this repository."""
    folder = dev_web.install(root / HERE)
    dev_web.run(folder, ["npx", "vite", "build", "--logLevel", "error"], stdout=subprocess.DEVNULL)
    return folder


def start_belfry(root, data, listen, config=None):
    command = [str(root / "build/release/belfry"), "dev", "--data", str(data), "--listen", listen]
    if config:
        command += ["--config", str(config)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        found = re.search(r"https?://[\d.]+:\d+", line)
        if found:
            return process, found[0]
    sys.exit("./dev demo: belfry did not start; is another one running with the same data?")


@contextlib.contextmanager
def postgres():
    """A PostgreSQL of its own on loopback, gone with the block; as root it runs as Debian's user for it."""
    binaries = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    user = (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    )
    folder = tempfile.mkdtemp(prefix="belfry-demo-")
    if user:
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"cwd": folder, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    control = [*user, str(binaries / "pg_ctl"), "-D", f"{folder}/data"]
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    initdb = [
        *user,
        str(binaries / "initdb"),
        "-D",
        f"{folder}/data",
        "-U",
        "app",
        "-A",
        "trust",
        "-E",
        "UTF8",
    ]
    try:
        subprocess.run(initdb, check=True, **quiet)
        subprocess.run(
            [*control, "start", "-w", "-o", settings, "-l", f"{folder}/log"], check=True, **quiet
        )
        yield f"postgres://app@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "stop", "-m", "fast"], check=False, **quiet)
        shutil.rmtree(folder, ignore_errors=True)


def run(root, port, listen, sql=False):
    folder = build(root)
    data = pathlib.Path(root / DATA)
    data.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not sql:
        return serve(root, folder, data, port, listen)
    with postgres() as url, tempfile.TemporaryDirectory(prefix="belfry-demo-") as place:
        binary = str(root / "build/release/belfry")
        subprocess.run(
            [binary, "source", "install", "postgres", "--url", url], check=True, stdout=subprocess.DEVNULL
        )
        config = pathlib.Path(place) / "belfry.toml"
        config.write_text(f'[source.booking]\nkind = "postgres-outbox"\nurl = "{url}"\n')
        print(f"PostgreSQL:   {url}")
        return serve(root, folder, pathlib.Path(place), port, listen, ["--sql", url], config)


def serve(root, folder, data, port, listen, more=(), config=None):
    belfry, url = start_belfry(root, data / "belfry", listen, config)
    site = subprocess.Popen(
        [
            "node",
            "server/main.mjs",
            "--belfry",
            url,
            "--port",
            str(port),
            "--data",
            str(data / "site"),
            *more,
        ]
        + ["--key", str(data / "belfry/backend_key"), "--secret", str(data / "belfry/jwt_secret")],
        cwd=folder,
        env=dev_web.environment(),
        stdin=subprocess.DEVNULL,
    )
    print(
        f"Belfry:       {url}\nOpen the site in two windows, book a room, pay at the bank. Ctrl-C ends both."
    )
    sys.stdout.flush()
    try:
        return site.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        for process in (site, belfry):
            process.terminate()
        for process in (site, belfry):
            process.wait()
