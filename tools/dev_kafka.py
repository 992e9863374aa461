"""./dev test kafka: the Kafka source on a real broker (KRaft, one node), fetched from Maven's repository."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time

BROKER = "org.apache.kafka:kafka_2.13:3.7.2"
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>belfry</groupId><artifactId>broker</artifactId>
<version>1</version><packaging>pom</packaging><dependencies>
{dependencies}</dependencies></project>
"""
PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/log
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


def dependency(coordinates):
    group, artifact, version = coordinates.split(":")
    return (
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version></dependency>\n"
    )


def jars(root):
    """The broker's jars, from Maven's repository or the copy of an earlier time."""
    folder = root / ".belfry" / "kafka"
    if not any(folder.glob("lib/kafka_*.jar")):
        if not shutil.which("mvn"):
            raise SystemExit(
                "./dev test kafka: it needs Maven and a JDK 17 (Debian: maven, openjdk-17-jdk-headless)."
            )
        folder.mkdir(parents=True, exist_ok=True)
        wanted = dependency(BROKER) + dependency("org.slf4j:slf4j-nop:1.7.36")
        (folder / "pom.xml").write_text(POM.format(dependencies=wanted))
        print(f"Fetching {BROKER}", flush=True)
        subprocess.run(
            ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"],
            cwd=folder,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    return os.pathsep.join(str(jar) for jar in sorted(folder.glob("lib/*.jar")))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def broker(root):
    """Gives the address of a broker that ends with the block."""
    classes = jars(root)
    with tempfile.TemporaryDirectory(prefix="belfry-kafka-") as folder:
        port = free_port()
        settings = f"{folder}/server.properties"
        with open(settings, "w", encoding="utf-8") as file:
            file.write(PROPERTIES.format(port=port, controller=free_port(), folder=folder))
        java = ["java", "-Xmx512m", "-cp", classes]
        cluster = subprocess.run(
            [*java, "kafka.tools.StorageTool", "random-uuid"], check=True, capture_output=True, text=True
        ).stdout.split()
        subprocess.run(
            [
                *java,
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster[-1],
                "-c",
                settings,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        child = subprocess.Popen(
            [*java, "kafka.Kafka", settings], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if child.poll() is not None:
                    raise SystemExit("./dev test kafka: the broker ended.")
                time.sleep(0.1)
            yield f"127.0.0.1:{port}"
        finally:
            child.terminate()
            child.wait()
