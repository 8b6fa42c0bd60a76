"""Three brokers that are one cluster: each a controller too, each record on all, and on two before it counts."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
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

    def __init__(self, folder: Path, number: int) -> None:
        self._number, self._of_cluster, self._voters = number, "", ""
        super().__init__(folder / f"node-{number}")
        self.controller = f"127.0.0.1:{self._controller_port}"
        self.voter = f"{number}@{self.controller}:{_uuid()}"

    def join(self, cluster: str, nodes: Sequence[Node]) -> None:
        """Be one of these, once all have their ports."""
        self._of_cluster, self._voters = cluster, ",".join(node.voter for node in nodes)
        quorum = ",".join(node.controller for node in nodes)
        self._settings = {**_ON_ALL, "node.id": str(self._number), "controller.quorum.bootstrap.servers": quorum}

    def _format(self, command: list[str]) -> None:
        tool = ["kafka.tools.StorageTool", "format", "--initial-controllers", self._voters]
        tool += ["-t", self._of_cluster, "-c", "server.properties"]
        child = start_child([*command, *tool], log=self.log, cwd=self.data_dir, environ=self._environ)
        if not ended_within(child, START_WITHIN_S) or child.returncode:
            stop_child(child, ask=SIGKILL, wait_s=STOP_WITHIN_S)
            raise BrokerUnavailable(f"node {self._number} was not formatted:{last_lines(self.log)}")


class Cluster:
    """As a `KafkaBroker`, of which one node at a time has a fault: the next one each time."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [Node(folder, number) for number in NODES]
        cluster = _uuid()
        for node in self.nodes:
            node.join(cluster, self.nodes)
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
