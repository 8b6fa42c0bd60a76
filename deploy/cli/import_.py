"""`safebus import`: turn messages of the NHS into events of the bus."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.may_publish import ask_in_a_dry_run, has_its_topic
from safebus.deploy.cli.on_record import put_on_record
from safebus.deploy.cli.options import (
    DONE,
    EXECUTE,
    FAILED,
    REASON,
    SOME,
    UNREACHABLE,
    USAGE,
    example,
    needs_reason,
    stop,
)
from safebus.deploy.service.terminal import cell, clock, say, tell

if TYPE_CHECKING:
    from safebus.producers.importers.input_files import InputFile
    from safebus.producers.importers.pds_client import Endpoint
    from safebus.producers.importers.sending import ImportedFile, Sink

app = typer.Typer()
_MOST_TOKEN = 16_384  # bytes; the longest header that servers commonly take


@app.command(
    "import",
    epilog=example(
        "safebus import mns SIGNAL.json",
        'safebus import nems MESSAGE.xml --execute --reason "the backlog of Monday"',
        "safebus import mns mon/SIGNAL.json tue/SIGNAL.json --pds https://int.api.service.nhs.uk/personal-demographics/"
        'FHIR/R4 --pds-token pds.token --execute --reason "signals of the weekend"',
    ),
)
def import_(
    kind: str = typer.Argument(..., help="mns (FHIR signals and CloudEvents, JSON) or nems (FHIR messages, XML)"),
    files: list[Path] = typer.Argument(..., help="one message a file; a file is known by its path and content"),
    agency: str = typer.Option("nhs-england", help="the agency that publishes them"),
    pds: str = typer.Option(
        "",
        "--pds",
        metavar="URL",
        help="of mns: look up at the PDS FHIR API what each signal points at; without it an event says that something "
        "changed and no more. Nothing is looked up before --execute",
    ),
    pds_token: Path | None = typer.Option(
        None, "--pds-token", metavar="FILE", help="with --pds: the access token; read again before each request"
    ),
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """Turn NHS events into identity events and publish them; what cannot be taken goes to quarantine with a reason."""
    _needs_the_extra()
    from safebus.deploy.service import settings
    from safebus.deploy.service.operations import Act
    from safebus.producers.importers.input_files import read_files
    from safebus.producers.importers.sending import Sink

    needs_reason(execute, reason)
    if kind not in ("mns", "nems"):
        raise stop(USAGE, f"`{kind}` is no kind of import; expected mns or nems")
    endpoint = _endpoint(kind, pds, pds_token)
    found = settings.load()
    read, not_read = read_files(files)
    for each in not_read:
        tell(cell(f"{each.path}  NOT READ  {each.problem}"))
    if not read:
        raise stop(FAILED, "none of these files could be read, so nothing was done")
    to = None
    if not execute:
        ask_in_a_dry_run(found, agency, lambda: found.case_secret(agency), found.seal_public)
    else:
        has_its_topic(found, agency)
        to = Sink(found.connection(), found.case_secret(agency), found.seal_public())
        about = (kind, agency, *([f"looked up at {endpoint.host}"] if endpoint else []))
        put_on_record(found, Act("import", about, reason, number=len(read)))
    lines = run(lambda: _import(kind, read, agency, to, endpoint, clock()))
    for line in lines:
        tell(cell(f"{line.file}  {line.outcome}  {line.detail}"))
    raise typer.Exit(_end(lines, dry=not execute, looks_up=endpoint is not None, all_read=not not_read))


async def _import(
    kind: str, files: Sequence[InputFile], agency: str, to: Sink | None, endpoint: Endpoint | None, now: datetime
) -> list[ImportedFile]:
    from safebus.producers.importers.looking_up import Lookup
    from safebus.producers.importers.pds_client import PdsClient
    from safebus.producers.importers.sending import import_all

    if to is None or endpoint is None:
        return await import_all(kind, files, agency=agency, to=to, now=now)
    async with PdsClient(endpoint) as client:
        return await import_all(kind, files, agency=agency, to=to, now=now, lookup=Lookup(client, to.case_secret))


def _end(lines: Sequence[ImportedFile], *, dry: bool, looks_up: bool, all_read: bool) -> int:
    """Say what is left to do; the exit code."""
    from safebus.producers.importers.sending import NOT_NOW, QUARANTINED

    set_aside = sum(line.outcome == QUARANTINED for line in lines)
    not_now = sum(line.outcome == NOT_NOW for line in lines)
    if dry:
        say(
            f"dry run: {len(lines) - set_aside} would be published, {set_aside} quarantined; "
            "--execute --reason ... does it"
        )
        if looks_up:
            say("nothing was looked up; with --execute each signal is, and its event says what the record does")
    if not_now:
        say(f"{not_now} were neither published nor quarantined; import them again later")
    if not_now == len(lines):
        return UNREACHABLE
    doubtful = any(line.contradicts for line in lines)
    return SOME if set_aside or not_now or doubtful or not all_read else DONE


def _endpoint(kind: str, pds: str, token: Path | None) -> Endpoint | None:
    """Where to look up, and a look at the token before anything else is done."""
    from safebus.producers.importers.pds_client import Endpoint

    if not pds and token is None:
        return None
    if kind != "mns":
        raise stop(USAGE, "--pds is for mns: a NEMS message carries its record")
    if not pds or token is None:
        raise stop(USAGE, "--pds URL and --pds-token FILE go together")
    _token(token)
    return Endpoint(pds, lambda: _token(token))


def _token(file: Path) -> str:
    from safebus.schemas.errors import BadInput

    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_TOKEN + 1).decode("ascii").strip()
    except OSError as exc:
        raise BadInput(f"`{file}`, the token of PDS, cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > _MOST_TOKEN or not text.isprintable() or " " in text:
        raise BadInput(f"`{file}` holds no access token; expected one line of letters, digits and signs, and no more")
    return text


def _needs_the_extra() -> None:
    from importlib.util import find_spec

    lacking = [name for name in ("defusedxml", "jsonschema", "aiohttp") if find_spec(name) is None]
    if lacking:
        raise stop(USAGE, f"{', '.join(lacking)} is not installed; `pip install 'safebus[importers]'` brings it along")
