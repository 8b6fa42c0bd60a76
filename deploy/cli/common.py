"""
How do all commands speak: data on stdout, progress on stderr, exit codes?

    0 done   1 failed   2 usage   3 done, but some refused or failed   4 cannot reach a broker or store
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import typer

from safebus.deploy.service.terminal import clock as clock
from safebus.deploy.service.terminal import say as say

DONE, FAILED, USAGE, SOME, UNREACHABLE = 0, 1, 2, 3, 4

T = TypeVar("T")


class Form(StrEnum):
    """How data are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


FORM = typer.Option(Form.TABLE, "-o", "--output", help="table, json or csv; data go to stdout")
EXECUTE = typer.Option(False, "--execute", help="do it; without this it only says what it would do")
REASON = typer.Option("", "--reason", help="why; kept on record, needed with --execute")


def run(main: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine, on uvloop where it is there."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main())  # type: ignore[arg-type]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())  # type: ignore[arg-type]


def stop(code: int, text: str = "") -> typer.Exit:
    """End the command with a code, and say why on stderr."""
    if text:
        say(text)
    return typer.Exit(code)


def needs_reason(execute: bool, reason: str) -> None:
    """Whatever sends or changes says why."""
    if execute and not reason.strip():
        raise stop(USAGE, "--execute needs --reason: it is kept on record with what was done")


def show(rows: Sequence[Mapping[str, Any]], form: Form, *, columns: Sequence[str]) -> None:
    """Print rows on stdout."""
    if form is Form.JSON:
        typer.echo(json.dumps([dict(r) for r in rows], indent=2, default=str))
    elif form is Form.CSV:
        out = io.StringIO()
        writer = csv.DictWriter(out, fieldnames=list(columns), extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        typer.echo(out.getvalue(), nl=False)
    else:
        _table(rows, columns)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(row.get(column, "")) for column in columns))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def progress(what: str, total: int | None = None) -> tuple[Any, Callable[[int], None]]:
    """A progress bar on stderr, and what moves it on. It shows only where a person watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task(what, total=total)
    return bar, lambda n: bar.advance(task, n)


def parse_time(text: str | None, default: datetime) -> datetime:
    """
    A time as people write it: ISO 8601, UTC when no zone is given.

    Raises:
        typer.Exit: It is none; says what was expected.
    """
    if text is None:
        return default
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise stop(
            USAGE, f"`{text}` is no time; expected ISO 8601, such as 2026-11-22T09:30 or 2026-11-22T09:30+00:00"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def lines(items: Iterable[str]) -> None:
    """Plain lines on stdout."""
    for item in items:
        typer.echo(item)
