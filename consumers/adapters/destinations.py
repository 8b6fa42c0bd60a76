"""
Where does each partner want its notifications?

A YAML file, one section a partner:

    ash-primary:       {transport: folder, folder: /srv/drop/ash-primary}
    fordshire-mash:    {transport: webhook, url: https://mash.example.gov.uk/hook, secrets_file: mash.secrets}
    fordshire-0-19:    {transport: postgres, dsn_file: health.dsn, table: safebus_inbound}

Secrets stand in files of their own, named here; never in this file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from safebus.consumers.adapters.adapter import Adapter
from safebus.schemas.errors import BadInput
from safebus.schemas.frozen_model import FrozenModel
from safebus.schemas.identifiers import agency_id


class Folder(FrozenModel):
    """A drop folder."""

    transport: Literal["folder"]
    folder: Path


class Webhook(FrozenModel):
    """Standard Webhooks. `secrets_file`: one `whsec_...` a line, newest first; all of them sign."""

    transport: Literal["webhook"]
    url: str
    secrets_file: Path
    allow_private: bool = False


class Postgres(FrozenModel):
    """A staging table in the partner's own database."""

    transport: Literal["postgres"]
    dsn_file: Path
    table: str = "safebus_inbound"


Destination = Annotated[Folder | Webhook | Postgres, Field(discriminator="transport")]
_READ: TypeAdapter[dict[str, Destination]] = TypeAdapter(dict[str, Destination])


def read(path: Path) -> dict[str, Folder | Webhook | Postgres]:
    """
    Read the destinations.

    Raises:
        BadInput: What does not fit, by partner and field.
    """
    try:
        plain: Any = yaml.safe_load(path.read_text("utf-8"))
        found = _READ.validate_python(plain)
    except OSError as exc:
        raise BadInput(f"`{path}` cannot be read: {exc.strerror}") from None
    except yaml.YAMLError as exc:
        raise BadInput(f"`{path}` is not YAML: {exc}") from None
    except ValidationError as exc:
        lines = [f"`{path}`: `{'.'.join(map(str, p['loc']))}`: {p['msg']}" for p in exc.errors(include_input=False)]
        raise BadInput("\n".join(lines)) from None
    for partner in found:
        agency_id(partner)
    base = path.parent
    return {partner: _beside(destination, base) for partner, destination in found.items()}


def _beside(destination: Folder | Webhook | Postgres, base: Path) -> Folder | Webhook | Postgres:
    """Relative files stand beside the file that names them."""
    match destination:
        case Folder():
            return destination.model_copy(update={"folder": base / destination.folder})
        case Webhook():
            return destination.model_copy(update={"secrets_file": base / destination.secrets_file})
        case Postgres():
            return destination.model_copy(update={"dsn_file": base / destination.dsn_file})


@dataclass(frozen=True)
class Opened:
    """
    A destination whose files were read, once: what is looked at is what is used.

    Attributes:
        place: Where it is, as the register names it; never a secret.
        unclear: Why that cannot be told from what was read; empty: it can.
    """

    transport: str
    place: str
    adapter: Adapter
    unclear: str = ""


def opened(destination: Folder | Webhook | Postgres, *, clock: Callable[[], datetime]) -> Opened:
    """
    Read a destination's files and make its adapter; only what it needs is imported.

    Raises:
        BadInput: A file cannot be read, or what stands in it cannot be used.
    """
    match destination:
        case Folder():
            from safebus.consumers.adapters.folder import FolderAdapter

            folder = destination.folder.resolve()
            return Opened(destination.transport, str(folder), FolderAdapter(folder))
        case Webhook():
            from safebus.consumers.adapters.webhook import WebhookAdapter, WebhookSettings

            secrets = tuple(_secret(destination.secrets_file).split())
            settings = WebhookSettings(url=destination.url, secrets=secrets, allow_private=destination.allow_private)
            url = urlsplit(destination.url)
            place = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
            return Opened(destination.transport, place, WebhookAdapter(settings, clock=clock))
        case Postgres():
            from safebus.consumers.adapters.postgres import PostgresAdapter, PostgresSettings

            dsn = _secret(destination.dsn_file)
            place, unclear = _database(dsn)
            made = PostgresAdapter(PostgresSettings(dsn=dsn, table=destination.table))
            return Opened(destination.transport, f"{place} {destination.table}", made, unclear)


#: Parameters of a DSN that say nothing of where it goes.
_ELSEWHERE_NEVER = frozenset(
    {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword", "passfile", "application_name",
     "target_session_attrs", "ssl_min_protocol_version", "ssl_max_protocol_version"}
)  # fmt: skip


def _database(dsn: str) -> tuple[str, str]:
    """Host, port and database of a DSN; and why another reader might take it elsewhere."""
    try:
        found = urlsplit(dsn)
        asked = set(parse_qs(found.query, keep_blank_values=True)) - _ELSEWHERE_NEVER
    except ValueError:
        return "", "it is no URL"
    hosts = found.netloc.rpartition("@")[2]
    database = found.path.removeprefix("/")
    if asked:
        return f"{hosts}/{database}", f"`{', '.join(sorted(asked))}` after `?` may lead elsewhere"
    if not database or not all(re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+):\d+", host) for host in hosts.split(",")):
        return f"{hosts}/{database}", "host, port and database must all be written: the environment would fill them in"
    return f"{hosts}/{database}", ""


def _secret(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as exc:
        raise BadInput(f"`{path}` cannot be read: {exc.strerror}") from None
