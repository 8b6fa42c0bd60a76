"""Whom a second person may be the second of, where everybody has a certificate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from a_secured_broker import SecuredBroker, open_secured

from safebus.deploy.cli import on_record
from safebus.deploy.cli.event_loop import run
from safebus.deploy.service.operations import Act, put_on_record
from safebus.deploy.service.rights import of_person_who_registers, of_registrar
from safebus.schemas import codec, topics
from safebus.schemas.errors import BadInput
from safebus.schemas.kafka.admin import ensure_topics
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.register.store import Register

ACT = Act("register load", ("agreement/a/v1",), "v1 was signed", request="what would be written")
PERSONS = ("op-anna", "op-ben")


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with open_secured(tmp_path_factory.mktemp("secured")) as found:
        ensure_topics(found.admin.admin_client(), {topics.OPERATIONS: 1, topics.REGISTER: 1}, configs={})
        found.give(*(right for name in PERSONS for right in of_person_who_registers(name)), *of_registrar())
        yield found


def asked_for(secured: SecuredBroker, name: str, act: Act = ACT) -> str:
    """What somebody asked for, by their own certificate; its id."""
    return run(lambda: put_on_record(secured.settings(name), act, clock=now)).operation_id


def second_of(secured: SecuredBroker, name: str, second: str, act: Act = ACT) -> Any:
    return on_record._first(secured.settings(name), Register(), second, act)


def test_another_person_who_asks_for_the_same_is_the_second(secured: SecuredBroker) -> None:
    first = asked_for(secured, "op-anna")

    assert second_of(secured, "op-ben", first).certificate == "op-anna"


@pytest.mark.parametrize(
    ("first", "second", "act", "says"),
    [
        ("op-anna", "op-anna", ACT, "the second must be somebody else"),
        ("registrar", "op-ben", ACT, "`registrar` is the certificate of a process"),
        ("op-anna", "registrar", ACT, "`registrar` is the certificate of a process"),
        ("op-anna", "op-ben", replace(ACT, request="something else"), "is not what `op-anna` asked for"),
        ("op-anna", "op-ben", replace(ACT, what="register end"), "nobody asked for `register end`"),
    ],
)
def test_nobody_else_is(secured: SecuredBroker, first: str, second: str, act: Act, says: str) -> None:
    asked = asked_for(secured, first)

    with pytest.raises(BadInput, match=says):
        second_of(secured, second, asked, act)


def test_it_is_asked_for_once_and_not_for_ever(secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_for(secured, "op-anna")
    done = asked_for(secured, "op-ben", replace(ACT, seconds=asked))

    with pytest.raises(BadInput, match="was carried out on"):
        second_of(secured, "op-ben", asked)
    with pytest.raises(BadInput, match="nobody asked for"):  # what was the second is not a first
        second_of(secured, "op-anna", done)
    asked = asked_for(secured, "op-anna")
    monkeypatch.setattr(on_record, "clock", lambda: now() + on_record.ASKED_WITHIN - timedelta(minutes=1))
    assert second_of(secured, "op-ben", asked)
    monkeypatch.setattr(on_record, "clock", lambda: now() + on_record.ASKED_WITHIN + timedelta(minutes=1))
    with pytest.raises(BadInput, match="longer ago than 7 days"):
        second_of(secured, "op-ben", asked)


async def test_what_nobody_signed_was_asked_for_by_nobody(secured: SecuredBroker) -> None:
    """Anna writes that Ben asked for it, without a certificate or under his name."""
    record = await put_on_record(secured.settings("op-anna"), ACT, clock=now)
    outbound = Writer(secured.connection("op-anna"), client_id="test")
    await outbound.start()
    forged = [
        record.model_copy(update={"operation_id": "one", "certificate": "", "system_user": "op-ben"}),
        record.model_copy(update={"operation_id": "two", "certificate": "op-ben"}),
    ]
    await outbound.send_all(Message(topics.OPERATIONS, b"k", codec.encode_record(each), (), 0) for each in forged)
    await outbound.stop()

    for each in forged:
        with pytest.raises(BadInput, match="nobody asked for"):
            await _in_a_thread(secured, each.operation_id)


async def _in_a_thread(secured: SecuredBroker, asked: str) -> Any:
    return await asyncio.to_thread(second_of, secured, "op-anna", asked)
