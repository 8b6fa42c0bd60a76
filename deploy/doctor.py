"""What of this machine and this bus is as it should be, and what is missing?"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from deploy import settings
from schemas.errors import SafebusError


@dataclass(frozen=True)
class Check:
    """One thing looked at. `needed`: without it nothing works; otherwise only what `what` names does not."""

    what: str
    fine: bool
    found: str
    to_do: str = ""
    needed: bool = True


async def examine() -> list[Check]:
    """Look at everything."""
    version = ".".join(map(str, sys.version_info[:3]))
    checks = [Check("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")]
    checks += [_java(), _postgres()]
    found = settings.load()
    try:
        bootstrap = found.bootstrap()
    except SafebusError as exc:
        return [*checks, Check("broker", False, "none set", str(exc), needed=False)]
    return [*checks, *await _bus(found, bootstrap)]


def _java() -> Check:
    from deploy.brokers import BrokerError
    from deploy.brokers.kafka_tools import cache_folder, find_java, find_mvn

    try:
        java = find_java(os.environ)
        if not any(cache_folder(os.environ).glob("**/kafka_2.13-*.jar")):
            find_mvn(os.environ)
    except BrokerError as exc:
        return Check("Apache Kafka on this machine", False, "not to be had", str(exc), needed=False)
    return Check("Apache Kafka on this machine", True, f"Java at {java}")


def _postgres() -> Check:
    from deploy.partner_postgres import find_programs

    try:
        return Check("PostgreSQL for the demonstration", True, str(find_programs()))
    except SafebusError as exc:
        return Check("PostgreSQL for the demonstration", False, "not to be had", str(exc), needed=False)


async def _bus(found: settings.Settings, bootstrap: str) -> list[Check]:
    from deploy import registrar
    from deploy.provision import wanted_by
    from deploy.topics_there import topics_there
    from schemas.broker_link import Connection

    try:
        connection = Connection(bootstrap, found.tls())
        there = await topics_there(connection)
        checks = [Check("broker", True, f"answers at {bootstrap} with {len(there)} topics")]
        if "register" not in there:
            return [
                *checks,
                Check("register", False, "no topic `register`", "`safebus topics apply`, `safebus register load`"),
            ]
        register = await registrar.current(connection)
    except SafebusError as exc:
        return [Check("broker", False, bootstrap, str(exc))]
    missing = [t.name for t in wanted_by(register) if t.name not in there]
    return [
        *checks,
        Check(
            "register",
            bool(register.agreements),
            f"offset {register.offset}, {len(register.partners)} partners, {len(register.agreements)} agreements",
            "`safebus register load FOLDER --execute --reason ...`",
        ),
        Check(
            "topics",
            not missing,
            "all there" if not missing else f"missing {', '.join(missing)}",
            "`safebus topics apply`",
        ),
    ]
