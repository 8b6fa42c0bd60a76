"""
Where does each partner want its notifications?

A YAML file, one section a partner:

    ash-primary:       {transport: folder, folder: /srv/drop/ash-primary}
    fordshire-mash:    {transport: webhook, url: https://mash.example.gov.uk/hook, secrets_file: mash.secrets}
    fordshire-0-19:    {transport: postgres, dsn_file: health.dsn, table: safebus_inbound}

Secrets stand in files of their own, named here; never in this file.
"""

from __future__ import annotations

from collections.abc import Callable
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


def place(destination: Folder | Webhook | Postgres) -> str:
    """
    Where a destination is, as the register names it; never a secret.

    Raises:
        BadInput: The file with the database's address cannot be read.
    """
    match destination:
        case Folder():
            return str(destination.folder.resolve())
        case Webhook():
            return destination.url
        case Postgres():
            dsn = urlsplit(_secret(destination.dsn_file))
            named = parse_qs(dsn.query)
            host = ",".join(named["host"]) if "host" in named else dsn.netloc.rpartition("@")[2]
            database = named.get("dbname", [dsn.path.removeprefix("/")])[0]
            return f"{host}/{database} {destination.table}"


def _secret(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as exc:
        raise BadInput(f"`{path}` cannot be read: {exc.strerror}") from None


def adapter(destination: Folder | Webhook | Postgres, *, clock: Callable[[], datetime]) -> Adapter:
    """The adapter for a destination; only what it needs is imported."""
    match destination:
        case Folder():
            from safebus.consumers.adapters.folder import FolderAdapter

            return FolderAdapter(destination.folder)
        case Webhook():
            from safebus.consumers.adapters.webhook import WebhookAdapter, WebhookSettings

            secrets = tuple(_secret(destination.secrets_file).split())
            return WebhookAdapter(
                WebhookSettings(url=destination.url, secrets=secrets, allow_private=destination.allow_private),
                clock=clock,
            )
        case Postgres():
            from safebus.consumers.adapters.postgres import PostgresAdapter, PostgresSettings

            return PostgresAdapter(PostgresSettings(dsn=_secret(destination.dsn_file), table=destination.table))
