"""
Which options and exit codes do all commands share?

    0 done   1 failed   2 usage   3 done, but some refused or failed   4 cannot reach a broker or store
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

import typer

from safebus.deploy.service.terminal import say

#: Characters; whoever reads the record later reads all of it.
MOST_REASON = 1000

DONE, FAILED, USAGE, SOME, UNREACHABLE = 0, 1, 2, 3, 4


class Form(StrEnum):
    """How data are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


FORM = typer.Option(Form.TABLE, "-o", "--output", help="table, json or csv; data go to stdout")
EXECUTE = typer.Option(False, "--execute", help="do it; without this it only says what it would do")


def ask_for(what: str) -> Callable[[str], str]:
    """What is given as `-` is asked for instead: an argument stands in the shell's history."""

    def asked(value: str) -> str:
        return str(typer.prompt(what, err=True)).strip() if value == "-" else value

    return asked


REASON = typer.Option(
    "", "--reason", callback=ask_for("reason"), help="why; kept on record, needed with --execute; -: asked for"
)
HEALTH_PORT = typer.Option(
    None,
    "--health-port",
    min=0,
    max=65_535,
    help="answer /livez, /readyz and /metrics here, on 127.0.0.1; 0: a free port; default: SAFEBUS_HEALTH_PORT, or off",
)


def example(*commands: str) -> str:
    """What stands below the options in `--help`: commands to copy."""
    # A blank line between them: typer joins what stands on neighbouring lines.
    return "\n\n".join(("Example:" if len(commands) == 1 else "Examples:", *commands))


def stop(code: int, text: str = "") -> typer.Exit:
    """End the command with a code, and say why on stderr."""
    if text:
        say(text)
    return typer.Exit(code)


def needs_reason(asked: bool, reason: str, *, option: str = "--execute") -> None:
    """
    Whatever sends, changes or shows says why.

    Args:
        asked: It is to be done.
        option: What asks for it, as it was typed; empty: nothing but the command itself.
    """
    if asked and not any(sign.isalnum() for sign in reason):
        raise stop(USAGE, f"{option or 'this'} needs --reason: it is kept on record with what was done")
    if len(reason) > MOST_REASON or any("\ud800" <= sign <= "\udfff" for sign in reason):
        raise stop(USAGE, f"--reason is kept on record: expected text of at most {MOST_REASON} characters, in UTF-8")


def parse_time(text: str | None, default: datetime) -> datetime:
    """
    A time as people write it: ISO 8601; one without a zone is meant as the clock on a wall in London, and that is said.

    Raises:
        typer.Exit: It is none, or one that a clock on a wall never shows or shows twice; says what was expected.
    """
    if text is None:
        return default
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise stop(
            USAGE, f"`{text}` is no time; expected ISO 8601, such as 2026-11-22T09:30 or 2026-11-22T09:30+00:00"
        ) from None
    try:
        return found.astimezone(UTC) if found.tzinfo else _in_london(found, text)
    except OverflowError:
        raise stop(USAGE, f"`{text}` lies outside the years 1 to 9999 in UTC") from None


def _in_london(typed: datetime, text: str) -> datetime:
    from safebus.schemas.errors import BadInput
    from safebus.schemas.uk_day import at_home

    try:
        at = at_home(typed)
    except BadInput as exc:
        raise stop(USAGE, f"`{text}` {exc}") from None
    say(f"`{text}` has no zone: read as London time, {at:%Y-%m-%d %H:%M} UTC")
    return at
