"""
What is each thing called in the tree at hand?

The one place that names modules of safebus. When one moves, mend its line in `NEW`; `OLD` is how it was before the
packages stood under one name, and stays as it is. `module:name`, or a module alone.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

NEW = {
    "codec": "safebus.schemas.codec",
    "topics": "safebus.schemas.topics",
    "records": "safebus.schemas.bus_records",
    "errors": "safebus.schemas.errors",
    "event_from_json": "safebus.schemas.events:from_json",
    "PersonKey": "safebus.schemas.keys:PersonKey",
    "sharing": "safebus.streams.rules.sharing",
    "read_view": "safebus.streams.rules.asked_again:read_view",
    "Register": "safebus.streams.register.store:Register",
    "plan": "safebus.streams.register.changes:changes_of",
    "register_records": "safebus.streams.register.write:as_records",
    "samples": "safebus.producers.samples",
    "story": "safebus.deploy.local.demo.story",
    "DEMO_REGISTER": "safebus.deploy.local.up:DEMO_REGISTER",
    # For deliveries
    "Courier": "safebus.consumers.delivery.courier:Courier",
    "parcel_of": "safebus.consumers.delivery.parcels:parcel_of",
    "FolderAdapter": "safebus.consumers.adapters.folder:FolderAdapter",
    "PartnerAnswer": "safebus.consumers.adapters.adapter:PartnerAnswer",
    "Reply": "safebus.consumers.adapters.adapter:Reply",
    "RegisterRecheck": "safebus.deploy.service.register_checks:RegisterRecheck",
    "Connection": "safebus.schemas.kafka.connection:Connection",
    "install": "safebus.schemas.kafka.batches:install",
    "read_topic": "safebus.schemas.kafka.reader:read_topic",
    "Writer": "safebus.schemas.kafka.writer:Writer",
    "Message": "safebus.schemas.kafka.writer:Message",
    "open_broker": "safebus.deploy.local.brokers:open_broker",
}

OLD = {
    "codec": "schemas.codec",
    "topics": "schemas.topics",
    "records": "schemas.bus_records",
    "errors": "schemas.errors",
    "event_from_json": "schemas.events:from_json",
    "PersonKey": "schemas.identifiers:PersonKey",
    "sharing": "streams.rules.sharing",
    "read_view": "deploy.recheck:read_view",
    "Register": "streams.rules.register:Register",
    "plan": "deploy.registrar:plan",
    "register_records": "deploy.registrar:records",
    "samples": "producers.samples",
    "story": "deploy.demo.story",
    "DEMO_REGISTER": "deploy.up:DEMO_REGISTER",
    # For deliveries
    "Courier": "consumers.courier:Courier",
    "parcel_of": "consumers.parcels:parcel_of",
    "FolderAdapter": "consumers.adapters.folder:FolderAdapter",
    "PartnerAnswer": "consumers.adapters.port:Answer",
    "Reply": "consumers.adapters.port:Reply",
    "RegisterRecheck": "deploy.recheck:RegisterRecheck",
    "Connection": "schemas.broker_link:Connection",
    "install": "schemas.tolerant_records:install",
    "read_topic": "schemas.broker_link:read",
    "Writer": "schemas.outbound:Outbound",
    "Message": "schemas.outbound:Message",
    "open_broker": "deploy.brokers:open_broker",
}


def load(tree: Path) -> Any:
    """
    What the story needs of the tree at this path, each under its name above.

    Raises:
        ImportError: A name is not where `NEW` or `OLD` says, or was found in another tree.
    """
    spelling = NEW if (tree / "safebus" / "__init__.py").exists() else OLD
    found = SimpleNamespace(**{name: _one(name, where) for name, where in spelling.items()})
    at = Path(found.codec.__file__).resolve()
    if not at.is_relative_to(tree.resolve()):
        raise ImportError(f"`{spelling['codec']}` was found at `{at}`, which is not below `{tree}`")
    return found


def _one(name: str, where: str) -> Any:
    module, _, attribute = where.partition(":")
    try:
        return getattr(import_module(module), attribute) if attribute else import_module(module)
    except (ImportError, AttributeError) as exc:
        raise ImportError(f"`{name}` is not at `{where}`; mend its line in `same_bytes/spellings.py`") from exc
