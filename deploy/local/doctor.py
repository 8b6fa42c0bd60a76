"""What of this machine and this bus is as it should be, and what is missing?"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from safebus.deploy.service import settings
from safebus.schemas.errors import SafebusError

if TYPE_CHECKING:
    from safebus.schemas.kafka.connection import Connection
    from safebus.streams.register.store import Register


@dataclass(frozen=True)
class Examined:
    """One thing looked at. `needed`: without it nothing works; otherwise only what `what` names does not."""

    what: str
    fine: bool
    found: str
    to_do: str = ""
    needed: bool = True


async def examine() -> list[Examined]:
    """Look at everything."""
    version = ".".join(map(str, sys.version_info[:3]))
    checks = [Examined("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")]
    checks += [_java(), _postgres()]
    found = settings.load()
    checks += _not_on_record(found)
    try:
        bootstrap = found.bootstrap()
    except SafebusError as exc:
        return [*checks, Examined("broker", False, "none set", str(exc), needed=False)]
    return [*checks, *_certificate(found), *await _bus(found, bootstrap)]


def _not_on_record(found: settings.Settings) -> list[Examined]:
    """What was done while no broker could be reached, and waits for one."""
    from safebus.deploy.service import late_record

    try:
        acts = late_record.waiting(found.home).values()
    except SafebusError as exc:
        return [Examined("acts without a record", False, "not to be read", str(exc), needed=False)]
    what = f"{', '.join(act.what for act in acts)}: done without a broker"
    to_do = "the next command here that puts anything on record puts them there first"
    return [Examined("acts without a record", False, what, to_do, needed=False)] if acts else []


def _certificate(found: settings.Settings) -> list[Examined]:
    """How long ours lasts; without TLS there is none."""
    from safebus.deploy.service import certificates
    from safebus.deploy.service.terminal import clock

    if found.tls_cert is None:
        return []
    try:
        signer = found.signer()
        assert signer is not None
        left = certificates.days_left(found.tls_cert, now=clock())
    except SafebusError as exc:
        return [Examined("certificate", False, str(found.tls_cert), str(exc))]
    return [
        Examined(
            f"certificate of `{signer.name}`",
            left > certificates.WARN_DAYS,
            f"{int(left)} days left",
            f"renew it: write the new one in place of `{found.tls_cert}`; running processes take it",
            needed=left <= 0,
        )
    ]


def _java() -> Examined:
    from safebus.deploy.local.brokers import BrokerError, jar_sums
    from safebus.deploy.local.brokers.kafka_tools import find_java, find_mvn, jars_folder

    try:
        java = find_java(os.environ)
        jars = jars_folder(os.environ)
        if jars.is_dir():
            jar_sums.check(jars, jar_sums.read_sums(), kept=jars)
        else:
            find_mvn(os.environ)
    except BrokerError as exc:
        return Examined("Apache Kafka on this machine", False, "not to be had", str(exc), needed=False)
    return Examined("Apache Kafka on this machine", True, f"Java at {java}")


def _postgres() -> Examined:
    from safebus.deploy.local.partner_postgres import find_programs

    try:
        return Examined("PostgreSQL for the demonstration", True, str(find_programs()))
    except SafebusError as exc:
        return Examined("PostgreSQL for the demonstration", False, "not to be had", str(exc), needed=False)


async def _bus(found: settings.Settings, bootstrap: str) -> list[Examined]:
    from safebus.deploy.service.topic_plan import drifted, wanted_by
    from safebus.schemas.kafka.admin import settings_of
    from safebus.schemas.kafka.topic_list import topics_there
    from safebus.streams.register.follow import current_register

    try:
        connection = found.connection()
        there = await topics_there(connection)
        checks = [Examined("broker", True, f"answers at {bootstrap} with {len(there)} topics")]
        if "register" not in there:
            return [
                *checks,
                Examined("register", False, "no topic `register`", "`safebus topics apply`, `safebus register load`"),
            ]
        register = await current_register(connection)
    except SafebusError as exc:
        return [Examined("broker", False, bootstrap, str(exc))]
    wanted = wanted_by(register)
    missing = [t.name for t in wanted if t.name not in there]
    rights_ = await _rights(found, connection, register, [t.name for t in wanted])
    try:
        shown = settings_of(found.admin_client(), [t.name for t in wanted if t.name in there])
        drift = [f"{d.topic}: {d.setting} is {d.found}, not {d.expected}" for d in drifted(wanted, there, shown)]
    except SafebusError as exc:
        drift = [str(exc)]
    return [
        *checks,
        Examined(
            "register",
            bool(register.agreements),
            f"offset {register.offset}, {len(register.partners)} partners, {len(register.agreements)} agreements",
            "`safebus register load FOLDER --execute --reason ...`",
        ),
        Examined(
            "topics",
            not (missing or drift),
            "; ".join([*([f"missing, or not shown to us: {', '.join(missing)}"] if missing else []), *drift])
            or "all there, as they should be",
            "`safebus topics plan` says what comes of it, `safebus topics apply` mends what can be mended",
        ),
        *rights_,
    ]


async def _rights(
    found: settings.Settings, connection: Connection, register: Register, expected: list[str]
) -> list[Examined]:
    """What the principal of this certificate lacks, where it has a role of its own."""
    from safebus.deploy.service import rights

    signer = found.signer()
    if signer is None:
        return []
    wanted = rights.of_principal(signer.name, register.partners)
    lacking = await rights.lacking(connection, wanted, expected=expected)
    what = ", ".join(map(str, lacking)) or "all that it should have"
    return [
        Examined(
            f"rights of `{signer.name}`",
            not lacking,
            f"lacks {what}" if lacking else what,
            "an administrator of the broker gives them: `safebus rights plan`",
        ),
    ]
