"""
Who is let do what, as the broker keeps it?

Only ALLOW rules, for every host: a broker that is set up as it should be (`allow.everyone.if.no.acl.found=false`)
refuses whatever no rule allows.

Source: KIP-11, KIP-290 (prefixed rules).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports them without saying so
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.admin import ANSWER_WITHIN_S
from safebus.schemas.kafka.allowed import Of, Right

_KINDS = {
    Of.TOPIC: ResourceType.TOPIC,
    Of.GROUP: ResourceType.GROUP,
    Of.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
}


def change(client: Mapping[str, str], *, give: Iterable[Right], take: Iterable[Right]) -> None:
    """
    Give and take, and return when the broker shows it so.

    Raises:
        NotReachable: The broker does not answer, or refuses.
    """
    admin, to_give, to_take = AdminClient(dict(client)), list(give), list(take)
    new, gone = [_binding(each) for each in to_give], [_filter(each) for each in to_take]
    within = ANSWER_WITHIN_S
    futures = [*admin.create_acls(new, request_timeout=within).values()] if new else []
    futures += admin.delete_acls(gone, request_timeout=within).values() if gone else ()
    for future in futures:
        try:
            future.result(2 * ANSWER_WITHIN_S)
        except KafkaException as exc:
            raise NotReachable(f"Kafka refused to change rights: {exc.args[0].str()}") from exc
    give_up_at = time.monotonic() + ANSWER_WITHIN_S
    # The controller has them; the broker that is asked learns of it a moment later.
    while not set(to_give) <= (there := set(_given(admin))) or there & set(to_take):
        if time.monotonic() > give_up_at:
            raise NotReachable(f"Kafka took a change of rights and did not show it within {ANSWER_WITHIN_S:.0f} s")
        time.sleep(0.01)


def given(client: Mapping[str, str]) -> list[Right]:
    """
    Every rule of the kinds that this bus makes; `odd` gives the others.

    Raises:
        NotReachable: The broker does not answer, or refuses.
    """
    return _given(AdminClient(dict(client)))


def odd(client: Mapping[str, str]) -> list[str]:
    """
    Every rule of a kind that this bus does not make: one that denies, is for some hosts, for all, or about the cluster.

    Raises:
        NotReachable: The broker does not answer, or refuses.
    """
    return sorted(
        f"{a.permission_type.name} {a.principal} {a.operation.name} on {a.restype.name} `{a.name}` from host {a.host}"
        for a in _rules(AdminClient(dict(client)))
        if not _is_of_ours(a)
    )


def _is_of_ours(rule: Any) -> bool:
    allows = rule.permission_type is AclPermissionType.ALLOW and rule.host == "*"
    return (
        allows and rule.restype in _KINDS.values() and rule.principal.startswith("User:") and "*" not in rule.principal
    )


def _given(admin: AdminClient) -> list[Right]:
    kinds = {kind: name for name, kind in _KINDS.items()}
    return sorted(
        Right(
            a.principal.removeprefix("User:"),
            a.operation.name,
            kinds[a.restype],
            a.name,
            a.resource_pattern_type is ResourcePatternType.PREFIXED,
        )
        for a in _rules(admin)
        if _is_of_ours(a)
    )


def _rules(admin: AdminClient) -> list[Any]:
    any_: Any = None  # for whatever name; the types of confluent-kafka do not know
    everything = AclBindingFilter(
        ResourceType.ANY, any_, ResourcePatternType.ANY, any_, any_, AclOperation.ANY, AclPermissionType.ANY
    )
    try:
        found: list[Any] = admin.describe_acls(everything, request_timeout=ANSWER_WITHIN_S).result(2 * ANSWER_WITHIN_S)
        if not found and not _may_see(admin):  # the client takes a refusal for an empty list
            raise NotReachable("Kafka does not show rights to this certificate: it needs DESCRIBE on the cluster")
    except KafkaException as exc:
        raise NotReachable(f"Kafka does not show rights: {exc.args[0].str()}") from exc
    return found


def _may_see(admin: AdminClient) -> bool:
    asked = admin.describe_cluster(include_authorized_operations=True, request_timeout=ANSWER_WITHIN_S)
    return AclOperation.DESCRIBE in (asked.result(2 * ANSWER_WITHIN_S).authorized_operations or ())  # None: none


def _of(right: Right) -> tuple[Any, ...]:
    pattern = ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL
    who = f"User:{right.principal}"
    return (_KINDS[right.of], right.name, pattern, who, "*", AclOperation[right.operation], AclPermissionType.ALLOW)


def _binding(right: Right) -> Any:
    return AclBinding(*_of(right))


def _filter(right: Right) -> Any:
    return AclBindingFilter(*_of(right))
