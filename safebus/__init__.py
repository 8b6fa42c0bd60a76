"""
What does a publisher need of safebus?

    from safebus import Connection, OperationEncompass, Publisher

Each name is loaded when it is first asked for, so that one part of the bus does not load all of it. The bus itself
imports `safebus.schemas`, `safebus.streams` ...: links to the folders of the repository. See README.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what type checkers and editors see; `_HOMES` says the same to the interpreter, and a test compares
    from safebus.deploy.service import settings
    from safebus.producers.publisher import Accepted, Publisher
    from safebus.producers.publisher_sync import PublisherSync
    from safebus.schemas.errors import (
        BadIdentifier,
        BadInput,
        NotAllowed,
        NoTopic,
        NotReachable,
        SafebusError,
        SomeNotAccepted,
        WrongUse,
    )
    from safebus.schemas.events import (
        AccommodationKind,
        Address,
        AgreedBy,
        ChildAtIncident,
        ClaimedBasis,
        Confidentiality,
        DatedAddress,
        EdAttendance,
        EdAttendancePayload,
        EncompassPayload,
        Event,
        Handling,
        IdentityChange,
        IdentityChangePayload,
        IdentityEvent,
        Lifecycle,
        OperationEncompass,
        Person,
        PersonRole,
        PlanType,
        ProtectionPlan,
        ProtectionPlanPayload,
        RiskGrade,
        SafeAddress,
        SafeKind,
        Sender,
        SourceReliability,
        TemporaryAccommodation,
        TemporaryAccommodationPayload,
        Urgency,
    )
    from safebus.schemas.kafka.connection import Connection

__all__ = [
    "Accepted",
    "AccommodationKind",
    "Address",
    "AgreedBy",
    "BadIdentifier",
    "BadInput",
    "ChildAtIncident",
    "ClaimedBasis",
    "Confidentiality",
    "Connection",
    "DatedAddress",
    "EdAttendance",
    "EdAttendancePayload",
    "EncompassPayload",
    "Event",
    "Handling",
    "IdentityChange",
    "IdentityChangePayload",
    "IdentityEvent",
    "Lifecycle",
    "NoTopic",
    "NotAllowed",
    "NotReachable",
    "OperationEncompass",
    "Person",
    "PersonRole",
    "PlanType",
    "ProtectionPlan",
    "ProtectionPlanPayload",
    "Publisher",
    "PublisherSync",
    "RiskGrade",
    "SafeAddress",
    "SafeKind",
    "SafebusError",
    "Sender",
    "SomeNotAccepted",
    "SourceReliability",
    "TemporaryAccommodation",
    "TemporaryAccommodationPayload",
    "Urgency",
    "WrongUse",
    "settings",
]

#: Where a name is; what is not listed is of `schemas.events`.
_HOMES = {
    "Accepted": "safebus.producers.publisher",
    "Publisher": "safebus.producers.publisher",
    "PublisherSync": "safebus.producers.publisher_sync",
    "BadIdentifier": "safebus.schemas.errors",
    "BadInput": "safebus.schemas.errors",
    "NoTopic": "safebus.schemas.errors",
    "NotAllowed": "safebus.schemas.errors",
    "NotReachable": "safebus.schemas.errors",
    "SafebusError": "safebus.schemas.errors",
    "SomeNotAccepted": "safebus.schemas.errors",
    "WrongUse": "safebus.schemas.errors",
    "Connection": "safebus.schemas.kafka.connection",
    "settings": "safebus.deploy.service",
}


if not TYPE_CHECKING:  # a type checker that saw `__getattr__` would take every name for one that is there

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module `safebus` has no `{name}`; it has {', '.join(__all__)}")
        home = _HOMES.get(name, "safebus.schemas.events")
        found = import_module(f"{home}.{name}") if name == "settings" else getattr(import_module(home), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
