"""Installs what is missing: Debian packages by apt (as root or through sudo), a Node that is new enough."""

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
    "test": [
        "libgtest-dev",
        "librapidcheck-dev",
        "curl",  # a client that is not ours
        "chromium",  # a real browser for the page
        "strace",
    ],  # makes a disk fail under the real binary
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


def install(*groups):
    missing = [package for group in groups for package in PACKAGES[group] if not installed(package)]
    if not missing:
        return
    print("Installing: " + " ".join(missing), flush=True)
    # The list of packages may be missing or old.
    apt("update")
    if apt("install", "-y", "--no-install-recommends", *missing) != 0:
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
