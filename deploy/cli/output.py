"""How are data shown: on stdout as table, JSON or CSV, and progress on stderr?"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from safebus.deploy.cli.options import Form
from safebus.deploy.service.terminal import cell, for_a_spreadsheet, say, tell

if TYPE_CHECKING:
    from safebus.schemas.own_records import Strange


def show(rows: Sequence[Mapping[str, Any]], form: Form, *, columns: Sequence[str]) -> None:
    """Print rows on stdout."""
    if form is Form.JSON:
        tell(json.dumps([dict(r) for r in rows], indent=2, default=str))
    elif form is Form.CSV:
        out = io.StringIO()
        writer = csv.DictWriter(
            out, fieldnames=list(columns), extrasaction="ignore", lineterminator="\n", quoting=csv.QUOTE_ALL
        )
        writer.writeheader()
        writer.writerows({name: for_a_spreadsheet(value) for name, value in row.items()} for row in rows)
        tell(out.getvalue().removesuffix("\n"))
    else:
        _table(rows, columns)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        # An id in two pieces can neither be copied nor searched for.
        whole = max((len(cell(row.get(column))) for row in rows), default=0) if column.endswith("_id") else None
        table.add_column(column, overflow="fold", min_width=whole)
    for row in rows:
        # As text: a cell may hold what rich takes for markup.
        table.add_row(*(Text(cell(row.get(column))) for column in columns))
    if sys.stdout.isatty():
        Console().print(table)
    else:  # a line for each row: for grep, and for a file
        tell("\n".join(line.rstrip() for line in _lines(table)))


def _lines(table: Any) -> list[str]:
    from rich.console import Console

    wide = Console(width=100_000, file=io.StringIO(), no_color=True)
    wide.print(table)
    assert isinstance(wide.file, io.StringIO)
    return wide.file.getvalue().splitlines()


def say_strange(found: Sequence[Strange]) -> None:
    """Say, once for all of them, which records were left out because the bus did not write them."""
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        places = ", ".join(map(str, found[:5]))
        say(f"left out, because the bus did not write it: {places}{more}; find who could write there")


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


def clear_terminal() -> None:
    """Take away what was shown, where stdout is a terminal."""
    from rich.console import Console

    Console().clear()
