"""
How do we have a real Apache Kafka on this machine?

One node in KRaft mode, on loopback only, as a child process that ends when we end. Its folder holds
`server.properties` (written anew at each start), `records/` (formatted once, kept) and `kafka.log`
(what the process said). A broker opened again on the same folder has its records and, where they are
still free, its ports. A port that another process takes while it starts is replaced, unless clients know it.

No TLS and no ACLs unless `settings` ask for them: whoever can reach loopback on this machine can read it.
"""

import os
import signal
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from secrets import token_bytes
from shutil import copy
from typing import Final

from safebus.deploy.local.brokers.broker import NO_CONFIGS, BrokerUnavailable, Configs
from safebus.deploy.local.brokers.kafka_tools import POM, find_java, kafka_jars
from safebus.deploy.local.child_process import (
    TAKEN,
    ended_within,
    free_port,
    is_free,
    last_lines,
    start_child,
    stop_child,
)
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.admin import answers, ensure_topics

LOGGING: Final = POM.with_name("log4j2.xml")
START_WITHIN_S: Final = 60.0
TRIES: Final = 3  # while other processes take the ports that were chosen
STOP_WITHIN_S: Final = 30.0
MAX_MESSAGE_BYTES: Final = 1_048_576

NO_SETTINGS: Final[Mapping[str, str]] = {}

# One node, so every internal topic has one replica, and few partitions: each is a folder to open.
_SINGLE_NODE: Final = {
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
}


class _PortTaken(BrokerUnavailable):
    """Somebody took a port after we had found it free and before the broker could."""


class KafkaBroker:
    """Apache Kafka, one KRaft node, as a child process of ours."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        settings: Mapping[str, str] = NO_SETTINGS,
        client: Mapping[str, str] = NO_SETTINGS,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """
        Args:
            data_dir: Its folder; made if missing.
            port: For clients; 0 takes the one of the last time, or a free one.
            settings: Lines of `server.properties` that go before ours (the client listener is `CLIENT`).
            client: What our own admin client then needs, as librdkafka names it (`ssl.ca.location`).
            environ: Where Java, Maven and the cache folder are looked for.
        """
        self.name = "kafka"
        self.data_dir = data_dir.resolve()
        self._settings = settings
        self._environ = environ
        self._child: subprocess.Popen[bytes] | None = None
        self._more_client = dict(client)
        last_port, last_controller_port = self._last_ports()
        #: The port that is known by now, to whoever gave it or to clients of a broker that was up.
        self._known_port = port
        self._listen_on(port or last_port or free_port(), last_controller_port)

    def _listen_on(self, port: int, controller_port: int = 0) -> None:
        self._port, self._controller_port = port, controller_port or free_port(but=port)
        self.bootstrap = f"127.0.0.1:{port}"
        self._client = {"bootstrap.servers": self.bootstrap, **self._more_client}

    @property
    def log(self) -> Path:
        """What the process said."""
        return self.data_dir / "kafka.log"

    def start(self) -> None:
        if self._child is not None and self._child.poll() is None:
            return
        if not is_free(self._port):
            raise BrokerUnavailable(f"port `{self._port}` is in use; end what listens there, or leave the port 0")
        java = find_java(self._environ)
        jars = kafka_jars(self._environ, java=java)
        command = [str(java), "-cp", f"{jars}/*", "-Dlog4j2.configurationFile=log4j2.xml"]
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy(LOGGING, self.data_dir / "log4j2.xml")
        for again in reversed(range(TRIES)):
            try:
                self._start(command)
                break
            except _PortTaken:
                if not again:
                    raise
                self._listen_on(self._known_port or free_port())
        self._known_port = self._port

    def _start(self, command: list[str]) -> None:
        self._write_properties()
        if not (self.data_dir / "records" / "meta.properties").exists():
            self._format(command)
        self._child = start_child(
            [*command, "-Xmx512m", "kafka.Kafka", "server.properties"],
            log=self.log,
            cwd=self.data_dir,
            environ=self._environ,
        )
        try:
            self._wait_until_it_answers(self._child)
        except BaseException:
            self.kill()
            raise

    def check(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            raise BrokerUnavailable(
                f"Kafka has ended (exit code {self._child.returncode}): start it again, its records are kept. "
                f"It said last:{last_lines(self.log)}"
            )

    def stop(self) -> None:
        if self._child is not None:
            stop_child(self._child, ask=signal.SIGTERM, wait_s=STOP_WITHIN_S)
            self._child = None

    def kill(self) -> None:
        """End it as a power cut of the process would: no goodbye to clients, nothing tidied up."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def restart(self) -> None:
        """Start it again, after `stop()` or `kill()` or neither, on the same port with the same records."""
        self.stop()
        self.start()

    def create_topics(self, topics: Mapping[str, int], *, configs: Configs = NO_CONFIGS) -> None:
        try:
            ensure_topics(self._client, topics, configs=configs)
        except NotReachable as exc:
            raise BrokerUnavailable(str(exc)) from exc

    def _last_ports(self) -> tuple[int, int]:
        """Ports for clients and the controller that this folder was used with, 0 where not free any more."""
        properties = self.data_dir / "server.properties"
        if not properties.exists():
            return 0, 0
        lines = dict(line.split("=", 1) for line in properties.read_text().splitlines() if "=" in line)
        client, controller = (int(address.rpartition(":")[2]) for address in lines["listeners"].split(","))
        return (client if is_free(client) else 0), (controller if is_free(controller) else 0)

    def _write_properties(self) -> None:
        listeners = f"CLIENT://127.0.0.1:{self._port},CONTROLLER://127.0.0.1:{self._controller_port}"
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self._controller_port}",
            # A topic that nobody declared is a mistake in a name, so it must be an error.
            "auto.create.topics.enable": "false",
            # It would wait 3 s for more members before a group's first read.
            "group.initial.rebalance.delay.ms": "0",
            # A killed broker may not come back before its last session ends, by default 9 s later.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "message.max.bytes": str(MAX_MESSAGE_BYTES),
            **_SINGLE_NODE,
            **self._settings,
            "listeners": listeners,
            "advertised.listeners": listeners,
            # Relative to where it runs: a path of the user's own may hold what this file would misread.
            "log.dirs": "records",
        }
        text = "".join(f"{key}={value}\n" for key, value in properties.items())
        (self.data_dir / "server.properties").write_text(text)

    def _format(self, command: list[str]) -> None:
        tool = ["kafka.tools.StorageTool", "format", "--standalone", "-t", _cluster_id(), "-c", "server.properties"]
        child = start_child([*command, *tool], log=self.log, cwd=self.data_dir, environ=self._environ)
        if not ended_within(child, START_WITHIN_S) or child.returncode:
            stop_child(child, ask=signal.SIGKILL, wait_s=STOP_WITHIN_S)
            raise BrokerUnavailable(
                f"Kafka could not format `{self.data_dir}` (exit code {child.returncode}); "
                f"give it an empty folder that we may write to. It said last:{last_lines(self.log)}"
            )

    def _wait_until_it_answers(self, child: subprocess.Popen[bytes]) -> None:
        give_up_at = time.monotonic() + START_WITHIN_S
        while time.monotonic() < give_up_at:
            if ended_within(child, 0.05):
                said = last_lines(self.log)
                raise (_PortTaken if TAKEN in said else BrokerUnavailable)(
                    f"Kafka ended while starting (exit code {child.returncode}); "
                    f"mend what it names and start again. It said last:{said}"
                )
            if answers(self._client):
                return
        raise BrokerUnavailable(
            f"Kafka did not answer on `{self.bootstrap}` within {START_WITHIN_S:.0f} s; "
            f"look for another process that takes the machine. It said last:{last_lines(self.log)}"
        )


def _cluster_id() -> str:
    """22 characters of URL-safe base64, as Java writes a UUID; the first is a letter, or it could read as an option."""
    return urlsafe_b64encode(b"S" + token_bytes(15)).decode().rstrip("=")
