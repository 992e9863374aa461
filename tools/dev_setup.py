"""Installs what is missing: Debian packages by apt (as root or through sudo), a Node that is new enough."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
NODE_MIN = (20, 19)

# Each package's reason stands in cmake/Dependencies.cmake or beside it here.
PACKAGES = {
    "build": [
        "g++",
        "cmake",
        "ninja-build",
        "pkg-config",
        "ccache",
        "mold",
        "libssl-dev",
        "libnghttp2-dev",
        "libcurl4-openssl-dev",
        "zlib1g-dev",
        "libboost1.81-dev",
        "libboost-url1.81-dev",
        "libboost-json1.81-dev",
        "libsimdjson-dev",
        "libsqlite3-dev",
        "libspdlog-dev",
        "libfmt-dev",
        "libcli11-dev",
        "libtomlplusplus-dev",
        "prometheus-cpp-dev",
    ],
    # Client libraries, each for one module of src/ingest; a build without them works.
    "modules": ["libpq-dev", "librdkafka-dev", "libmosquitto-dev"],
    "sql": ["libpq-dev", "postgresql-15"],
    "peers": [
        "libnginx-mod-nchan",
        "pushpin",
    ],  # what ./dev bench peers compares with, beside those of npm and Go
    "test": [
        "libpq-dev",
        "librdkafka-dev",
        "libmosquitto-dev",
        "postgresql-15",  # real origins for the sources
        "mosquitto",
        "mosquitto-clients",
        "libgtest-dev",
        "librapidcheck-dev",
        "curl",  # a client that is not ours
        "chromium",  # a real browser for the page
        "faketime",  # makes the wall clock jump
        "iproute2",  # a network of its own, whose link goes down
        "strace",  # makes a disk fail under the real binary
        "nginx-light",  # real proxies in front
        "haproxy",
        "varnish",
        "caddy",
        "clang-19",  # libFuzzer
        "libclang-rt-19-dev",
    ],
    "mutate": ["python3-clang-19"],  # where an expression begins and ends, for ./dev mutate and its test
}


def installed(package):
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True, check=False
    )
    return done.stdout.startswith("install ok installed")


def have(group):
    return all(installed(package) for package in PACKAGES[group])


def apt(*arguments):
    command = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", *arguments]
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            sys.exit("./dev: installing packages needs root or sudo. Missing: " + " ".join(arguments))
        command = ["sudo", "DEBIAN_FRONTEND=noninteractive", *command]
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    return subprocess.run(command, env=environment, check=False, **quiet).returncode


NO_SERVICES = pathlib.Path("/usr/sbin/policy-rc.d")


def as_root(*command, **options):
    prefix = [] if os.geteuid() == 0 else ["sudo"]
    return subprocess.run([*prefix, *command], check=False, **options)


@contextlib.contextmanager
def without_services():
    """The proxies are for tests, which start their own: installing them is not to start any."""
    if NO_SERVICES.exists():
        yield
        return
    text = "#!/bin/sh\nexit 101\n"
    as_root("tee", str(NO_SERVICES), input=text, text=True, stdout=subprocess.DEVNULL)
    as_root("chmod", "755", str(NO_SERVICES), stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        as_root("rm", "-f", str(NO_SERVICES), stdin=subprocess.DEVNULL)


def install(*groups):
    missing = [package for group in groups for package in PACKAGES[group] if not installed(package)]
    if not missing:
        return
    print("Installing: " + " ".join(missing), flush=True)
    # The list of packages may be missing or old.
    apt("update")
    with without_services():
        failed = apt("install", "-y", "--no-install-recommends", *missing) != 0
    if failed:
        sys.exit("./dev: apt-get could not install: " + " ".join(missing))


def node_version(program):
    try:
        text = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return (0, 0)
    found = re.match(r"v(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def node():
    """The folder of a Node that is new enough: the system's, or that of the npm package `node`."""
    system = shutil.which("node")
    if system and shutil.which("npm") and node_version(system) >= NODE_MIN:
        return pathlib.Path(system).parent
    own = ROOT / ".belfry" / "node"
    binary = own / "node_modules" / "node" / "bin" / "node"
    if node_version(str(binary)) >= NODE_MIN:
        return binary.parent
    if not shutil.which("npm"):
        print("Installing: npm", flush=True)
        apt("update")
        apt("install", "-y", "--no-install-recommends", "npm")
    own.mkdir(parents=True, exist_ok=True)
    print("Installing: the npm package node", flush=True)
    subprocess.run(
        ["npm", "install", "--prefix", str(own), "--no-audit", "--no-fund", "node@20"],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return binary.parent
