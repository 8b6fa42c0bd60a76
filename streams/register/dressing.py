"""
How is a register record written down under a generation of the bus's secret, and read again?

In its body tokens are dressed wherever its kind says that there are any (`schemas.tokens`). Its id is made of them, as
it stands or as a digest that anybody can compute, so where there are tokens the id is dressed, too.
"""

from __future__ import annotations

import json

from safebus.schemas import tokens
from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.dress import generation_of
from safebus.schemas.errors import BadIdentifier, BadInput
from safebus.schemas.tokens import Change, Dresser
from safebus.streams.register.store import KINDS


def dressed(record: RegisterRecord, key: Dresser) -> RegisterRecord:
    """
    A record as it is written down.

    Raises:
        BadInput: Its id or a token in it is none that this version makes.
    """
    return record if key.generation == 1 else _changed(record, key.dressed)


def plain(record: RegisterRecord, key: Dresser) -> RegisterRecord:
    """
    A record as it was meant, under whichever generation it was written.

    Raises:
        BadInput: Its generation is not held here.
    """
    return record if generation_of(_rest(record.record_id)) == 1 else _changed(record, key.plain)


def plain_id(record_id: str, key: Dresser) -> str:
    """The id of a record, as somebody typed it, or copied it from where it is dressed."""
    kind, _, rest = record_id.partition("/")
    return f"{kind}/{key.plain(rest)}" if kind in _PERSONAL and generation_of(rest) > 1 else record_id


def dressed_id(record_id: str, key: Dresser) -> str:
    """The id of a record as it is written down."""
    kind, _, rest = record_id.partition("/")
    return f"{kind}/{key.dressed(rest)}" if kind in _PERSONAL else record_id


#: The kinds whose entries say something of a person.
_PERSONAL = frozenset(kind for kind, model in KINDS.items() if tokens.walks_of(model))


def _rest(record_id: str) -> str:
    return record_id.partition("/")[2]


def _changed(record: RegisterRecord, change: Change) -> RegisterRecord:
    if record.kind not in _PERSONAL:
        return record
    kind, _, rest = record.record_id.partition("/")
    try:
        body = None if record.body is None else _body(record.body, record.kind, change)
        return record.model_copy(update={"record_id": f"{kind}/{change(rest)}", "body": body})
    except BadIdentifier as exc:
        raise BadInput(f"an entry of kind `{record.kind}`: {exc}") from None


def _body(body: str, kind: str, change: Change) -> str:
    found = tokens.changed_values(json.loads(body), KINDS[kind], change)
    return json.dumps(found, sort_keys=True, separators=(",", ":"))
