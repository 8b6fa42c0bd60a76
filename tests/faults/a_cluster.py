"""Three brokers that are one cluster: each a controller too, each record on all, and on two before it counts."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGKILL

from confluent_kafka.admin import AdminClient, NewTopic

from safebus.deploy.local.brokers.broker import BrokerUnavailable
from safebus.deploy.local.brokers.kafka import START_WITHIN_S, STOP_WITHIN_S, KafkaBroker
from safebus.deploy.local.child_process import ended_within, last_lines, start_child, stop_child

NODES = (1, 2, 3)
_ON_ALL = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
}


def _uuid() -> str:
    return base64.urlsafe_b64encode(b"S" + secrets.token_bytes(15)).decode().rstrip("=")


class Node(KafkaBroker):
    """One of them. It answers only once two are up."""

    def __init__(self, folder: Path, number: int, settings: dict[str, str]) -> None:
        self.directory = _uuid()
        self.of_cluster = ""
        self.voters = ""
        super().__init__(folder / f"node-{number}", settings=settings)
        settings["node.id"] = str(number)

    @property
    def voter(self) -> str:
        node = self._settings["node.id"]
        return f"{node}@127.0.0.1:{self._controller_port}:{self.directory}"

    def _format(self, command: list[str]) -> None:
        tool = ["kafka.tools.StorageTool", "format", "--initial-controllers", self.voters]
        tool += ["-t", self.of_cluster, "-c", "server.properties"]
        child = start_child([*command, *tool], log=self.log, cwd=self.data_dir, environ=self._environ)
        if not ended_within(child, START_WITHIN_S) or child.returncode:
            stop_child(child, ask=SIGKILL, wait_s=STOP_WITHIN_S)
            raise BrokerUnavailable(f"node {self._settings['node.id']} was not formatted:{last_lines(self.log)}")


class Cluster:
    """As a `KafkaBroker`, of which one node at a time has a fault: the next one each time."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [Node(folder, number, dict(_ON_ALL)) for number in NODES]
        cluster, voters = _uuid(), ",".join(node.voter for node in self.nodes)
        quorum = ",".join(f"127.0.0.1:{node._controller_port}" for node in self.nodes)
        for node in self.nodes:
            node.of_cluster, node.voters = cluster, voters
            settings: Mapping[str, str] = node._settings
            assert isinstance(settings, dict)
            settings["controller.quorum.bootstrap.servers"] = quorum
        self.bootstrap = ",".join(node.bootstrap for node in self.nodes)
        self._turn = 0

    @property
    def one(self) -> Node:
        """Whose turn it is."""
        return self.nodes[self._turn % len(self.nodes)]

    def next_one(self) -> None:
        """The fault of this one is over."""
        self._turn += 1

    def start(self) -> None:
        """All of them at once, for none answers alone."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            for done in [pool.submit(node.start) for node in self.nodes]:
                done.result()

    def kill(self) -> None:
        """All of them."""
        for node in self.nodes:
            node.kill()

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """On all nodes."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for made in admin.create_topics([NewTopic(name, count, 3) for name, count in topics.items()]).values():
            made.result(30)
