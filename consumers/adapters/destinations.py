"""
Where does each partner want its notifications?

A YAML file, one section a partner:

    ash-primary:       {transport: folder, folder: /srv/drop/ash-primary}
    fordshire-mash:    {transport: webhook, url: https://mash.example.gov.uk/hook, secrets_file: mash.secrets}
    fordshire-0-19:    {transport: postgres, dsn_file: health.dsn, table: safebus_inbound}

Secrets stand in files of their own, named here; never in this file. What `safebus up` delivers by is such a file, too:
it writes `destinations.yaml` into SAFEBUS_HOME (`.safebus/destinations.yaml`), unless one is there.
"""

from __future__ import annotations

import os.path
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from safebus.consumers.adapters.adapter import Adapter
from safebus.schemas.errors import BadInput, BadRegister
from safebus.schemas.frozen_model import FrozenModel
from safebus.schemas.identifiers import agency_id
from safebus.schemas.nearest import or_the_known
from safebus.schemas.plain_text import text_of
from safebus.schemas.plain_types import YesNo
from safebus.streams.register import yaml_text


def _a_name(value: object) -> object:
    """The name of something that stands by itself: `.` would be the folder with the secrets."""
    if isinstance(value, str):
        if not value.strip() or Path(value) == Path():
            raise ValueError("is empty, or the folder of this file; name one that is the partner's")
        if "\0" in value or not value.isprintable():
            raise ValueError("holds a character that no name has; type it again")
    return value


class Folder(FrozenModel):
    """
    A drop folder. On a share, name a folder within it: where it is mounted there is a folder while it is not, too, and
    what is written there the partner never sees. Files can be read by us alone, unless the folder says by whom else: by
    its group where it is setgid (`chmod g+s`), by those whom its default ACL names (`setfacl -d`).
    """

    transport: Literal["folder"]
    folder: Annotated[Path, BeforeValidator(_a_name)]


class Webhook(FrozenModel):
    """
    Standard Webhooks. A secret is `whsec_` and 24 to 64 random bytes in base64; both sides have the same. The first one
    is made by either side: `(umask 077; printf 'whsec_%s\\n' "$(openssl rand -base64 32)" > mash.secrets)`. Later ones
    `safebus partners rotate-secret` makes.

    Attributes:
        url: `https://`; plain `http://` only to this machine, with `allow_private`.
        secrets_file: One secret a line, newest first; all of them sign. Only its owner can read it.
        allow_private: The server may stand at an address of a private network or of this machine (10.x, 192.168.x,
            127.x ...). Otherwise such a one is refused, so that a name cannot lead what is sent into our own network.
    """

    transport: Literal["webhook"]
    url: str = Field(min_length=1)
    secrets_file: Annotated[Path, BeforeValidator(_a_name)]
    allow_private: YesNo = False


class Postgres(FrozenModel):
    """A staging table in the partner's own database."""

    transport: Literal["postgres"]
    dsn_file: Annotated[Path, BeforeValidator(_a_name)]
    table: str = Field(default="safebus_inbound", min_length=1)


Destination = Annotated[Folder | Webhook | Postgres, Field(discriminator="transport")]
_SECTION: TypeAdapter[Folder | Webhook | Postgres] = TypeAdapter(Destination)


@dataclass(frozen=True)
class Destinations:
    """
    What a file says. One partner's section that is wrong is that partner's trouble, and stops no other.

    Attributes:
        there: Those that can be used, by partner.
        wrong: Why a section cannot be used, by partner.
    """

    file: Path
    there: Mapping[str, Folder | Webhook | Postgres]
    wrong: Mapping[str, BadInput]

    @property
    def partners(self) -> list[str]:
        """All that have a section."""
        return sorted({*self.there, *self.wrong})

    def of(self, partner: str) -> Folder | Webhook | Postgres:
        """
        One partner's destination.

        Raises:
            BadInput: It has no section, or one that cannot be used.
        """
        if partner in self.wrong:
            raise self.wrong[partner]
        if partner not in self.there:
            raise BadInput(f"`{self.file}` has no section for `{partner}`{or_the_known(partner, self.partners)}")
        return self.there[partner]


def read(path: Path) -> Destinations:
    """
    Read a file of destinations.

    Raises:
        BadInput: It cannot be read at all, is no YAML, has a partner twice, or names somebody who can be no partner.
    """
    try:
        plain: Any = yaml_text.parse(str(path), text_of(path), hidden=True).data
    except BadRegister as exc:
        raise BadInput(str(exc)) from None
    if not isinstance(plain, dict):
        raise BadInput(f"`{path}` is no list of partners; expected a section for each, `partner: {{transport: ...}}`")
    there: dict[str, Folder | Webhook | Postgres] = {}
    wrong: dict[str, BadInput] = {}
    for partner, section in plain.items():
        agency_id(partner)
        try:
            there[partner] = _beside(_SECTION.validate_python(section), path.parent)
        except ValidationError as exc:
            lines = [
                f"`{path}`: `{'.'.join(map(str, (partner, *p['loc'])))}`: {p['msg']}"
                for p in exc.errors(include_input=False)
            ]
            wrong[partner] = BadInput("\n".join(lines))
    for partner, why in _two_in_one(there).items():
        wrong[partner] = BadInput(f"`{path}`: {why}")
        del there[partner]
    return Destinations(path, there, wrong)


def _two_in_one(there: Mapping[str, Folder | Webhook | Postgres]) -> dict[str, str]:
    """Partners that would get what another gets: neither is served until a person has said whose it is."""
    at: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for partner, destination in there.items():
        match destination:
            case Folder():
                at["folder", os.path.abspath(destination.folder)].append(partner)
            case Postgres():
                at["dsn_file", os.path.abspath(destination.dsn_file), destination.table].append(partner)
            case Webhook():  # one address may serve several, each with a secret of its own
                at["secrets_file", os.path.abspath(destination.secrets_file)].append(partner)
    return {
        partner: f"`{'` and `'.join(partners)}` have the same `{what}`; each partner has one of its own"
        for (what, *_), partners in at.items()
        if len(partners) > 1
        for partner in partners
    }


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
        changed: Does its file of secrets say something else by now? `BadInput`: it cannot be read.
    """

    transport: str
    place: str
    adapter: Adapter
    unclear: str = ""
    changed: Callable[[], bool] = lambda: False


def opened(destination: Folder | Webhook | Postgres, *, clock: Callable[[], datetime]) -> Opened:
    """
    Read a destination's files and make its adapter; only what it needs is imported.

    Raises:
        BadInput: A file cannot be read, or what stands in it cannot be used.
    """
    match destination:
        case Folder():
            from safebus.consumers.adapters.folder import FolderAdapter

            try:
                folder = destination.folder.resolve()
            except (OSError, RuntimeError):  # the second: a link that leads to itself
                raise BadInput(f"`{destination.folder}` leads nowhere; a link in it leads to itself") from None
            return Opened(destination.transport, str(folder), FolderAdapter(folder))
        case Webhook():
            from safebus.consumers.adapters.webhook import WebhookAdapter, WebhookSettings

            text, changed = _followed(destination.secrets_file)
            secrets = tuple(text.split())
            settings = WebhookSettings(url=destination.url, secrets=secrets, allow_private=destination.allow_private)
            url = urlsplit(destination.url)
            place = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
            return Opened(destination.transport, place, WebhookAdapter(settings, clock=clock), changed=changed)
        case Postgres():
            from safebus.consumers.adapters.postgres import PostgresAdapter, PostgresSettings

            dsn, changed = _followed(destination.dsn_file)
            place, unclear = _database(dsn)
            made = PostgresAdapter(PostgresSettings(dsn=dsn, table=destination.table))
            return Opened(destination.transport, f"{place} {destination.table}", made, unclear, changed)


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


def _followed(path: Path) -> tuple[str, Callable[[], bool]]:
    """What a file says, and whether it says something else by now."""
    text = text_of(path).strip()
    return text, lambda: text_of(path).strip() != text
