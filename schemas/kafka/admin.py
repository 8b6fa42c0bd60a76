"""
Does this Kafka answer, and has it our topics?

Asked with librdkafka's admin client, each time with a new one that is closed again: a broker that was
killed and restarted is then never spoken to over a connection that remembers it as down.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports them without saying so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from confluent_kafka.cimpl import NewTopic

from safebus.schemas.errors import NotReachable, WrongPartitions

ANSWER_WITHIN_S: Final = 15.0
_QUICK: Final = {"log_level": 0, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200}


def answers(client: Mapping[str, str]) -> bool:
    """It serves metadata, with itself in it, within a second."""
    try:
        return bool(_admin(client).list_topics(timeout=1.0).brokers)
    except KafkaException:
        return False


def ensure_topics(
    client: Mapping[str, str], topics: Mapping[str, int], *, configs: Mapping[str, Mapping[str, str]]
) -> None:
    """
    Make those of `topics` that are missing, and return when all can be written to.

    Args:
        client: How to reach it, as librdkafka names it (`bootstrap.servers`).
        topics: Name -> number of partitions.
        configs: Topic -> setting -> value, as Kafka names them, for those that have to be made.

    Raises:
        WrongPartitions: One is there with another number; then none was made.
        NotReachable: It did not answer in time, or refused.
    """
    give_up_at = time.monotonic() + ANSWER_WITHIN_S
    admin = _admin(client)
    there = _partitions(admin)
    _compare(there, topics)
    missing = {topic: count for topic, count in topics.items() if topic not in there}
    _create(admin, missing, configs=configs)
    if missing:
        _compare(_once_ready(admin, missing, give_up_at), topics)  # again: another process may have made one meanwhile


def settings_of(client: Mapping[str, str], topics: Iterable[str]) -> dict[str, dict[str, str]] | None:
    """
    Topic -> setting -> value in effect, the topic's own or the broker's; None: the embedded broker has none.

    Raises:
        NotReachable: It did not answer in time, or this certificate may not see them (DESCRIBE_CONFIGS).
    """
    asked = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in topics]
    found: dict[str, dict[str, str]] = {}
    admin = _admin(client)  # kept until all have answered
    try:
        cluster = admin.list_topics(timeout=ANSWER_WITHIN_S)
        if cluster.controller_id not in cluster.brokers:
            return None  # librdkafka's mock cluster has no controller, and one would be waited for
    except KafkaException as error:
        raise NotReachable(f"Kafka does not answer: {error.args[0].str()}") from error
    if not asked:
        return {}
    for resource, future in admin.describe_configs(asked, request_timeout=ANSWER_WITHIN_S).items():
        try:
            found[resource.name] = {name: str(entry.value) for name, entry in _answer(future).items()}
        except KafkaException as error:
            raise NotReachable(
                f"Kafka does not show the settings of `{resource.name}`: {error.args[0].str()}"
            ) from error
    return found


def change_settings(client: Mapping[str, str], topics: Mapping[str, Mapping[str, str]]) -> None:
    """
    Change these settings of topics, and leave all others as they are.

    Args:
        topics: Topic -> setting -> value, as Kafka names them.

    Raises:
        NotReachable: It did not answer in time, or refused.
    """
    kind, change = ConfigResource.Type.TOPIC, AlterConfigOpType.SET
    wanted = [
        ConfigResource(kind, topic, incremental_configs=[ConfigEntry(*one, incremental_operation=change) for one in to])
        for topic, to in ((topic, settings.items()) for topic, settings in topics.items())
    ]
    if not wanted:
        return
    admin = _admin(client)  # kept until all have answered
    for resource, future in admin.incremental_alter_configs(wanted, request_timeout=ANSWER_WITHIN_S).items():
        try:
            _answer(future)
        except KafkaException as error:
            raise NotReachable(f"Kafka refused to change `{resource.name}`: {error.args[0].str()}") from error


def _answer(future: Future[Any]) -> Any:
    """librdkafka itself ends after the time that it was given, and says why; it is only not waited for without end."""
    return future.result(2 * ANSWER_WITHIN_S)


def _once_ready(admin: AdminClient, topics: Mapping[str, int], give_up_at: float) -> dict[str, int]:
    """The controller has them; this node's metadata, which clients are served, follows a moment later."""
    while not topics.keys() <= (there := _partitions(admin)).keys():
        if time.monotonic() > give_up_at:
            raise NotReachable(
                f"Kafka took topics `{'`, `'.join(topics)}` and did not have them ready "
                f"within {ANSWER_WITHIN_S:.0f} s; look at its log"
            )
        time.sleep(0.01)
    return there


def _create(admin: AdminClient, topics: Mapping[str, int], *, configs: Mapping[str, Mapping[str, str]]) -> None:
    if not topics:
        return
    new = [
        NewTopic(topic, num_partitions=count, replication_factor=1, config=dict(configs.get(topic, {})))
        for topic, count in topics.items()
    ]
    futures = admin.create_topics(new, operation_timeout=ANSWER_WITHIN_S, request_timeout=ANSWER_WITHIN_S)
    for topic, future in futures.items():
        try:
            _answer(future)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise NotReachable(
                    f"Kafka refused topic `{topic}`: {error.args[0].str()}; mend its name or its `configs`"
                ) from error


def _partitions(admin: AdminClient, answer_within_s: float = ANSWER_WITHIN_S) -> dict[str, int]:
    """Of every topic whose partitions all have a leader, so that it can be written to."""
    try:
        topics = admin.list_topics(timeout=answer_within_s).topics
    except KafkaException as error:
        raise NotReachable(
            f"Kafka did not answer within {answer_within_s:.0f} s; is it running? Start it, or look at its log"
        ) from error
    return {
        name: len(topic.partitions)
        for name, topic in topics.items()
        if topic.partitions and all(part.leader >= 0 for part in topic.partitions.values())
    }


def _compare(there: Mapping[str, int], topics: Mapping[str, int]) -> None:
    for topic, count in topics.items():
        if there.get(topic, count) != count:
            raise WrongPartitions(
                f"topic `{topic}` has {there[topic]} partitions, expected {count}; give the broker an empty folder, "
                "or change what you ask for: partitions cannot be taken away, and adding some reorders keys"
            )


def _admin(client: Mapping[str, str]) -> AdminClient:
    return AdminClient({**_QUICK, **client})
