"""What can be typed after `safebus`?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from docs.generate.markdown import code, table
from docs.generate.markdown import page as whole
from safebus.deploy.cli import app

_CODES = (
    ("0", "done"),
    ("1", "failed"),
    ("2", "usage"),
    ("3", "done, but some refused or failed"),
    ("4", "cannot reach a broker or store"),
)


def page() -> str:
    """The page."""
    root = typer.main.get_command(app)
    return whole(
        "The command",
        "Data go to stdout, progress to stderr. Whatever sends, changes or shows something about people is a dry run "
        "until `--execute` (or `--show-released`) and needs `--reason`. Every command has `--help`.",
        table(("exit code", "means"), _CODES),
        *_parts(root, ()),
        source="`deploy/cli/`",
    )


def _parts(command: Any, words: tuple[str, ...]) -> Iterator[str]:
    below = getattr(command, "commands", {})
    if words:
        yield f"{'#' * (len(words) + 1)} safebus {' '.join(words)}"
        yield command.help or ""
    if words and not below:
        yield table(("", "", "default"), [_row(one) for one in command.params])
        _, *examples = command.epilog.split("\n\n")
        yield code(*examples, language="sh")
    for name, one in below.items():
        yield from _parts(one, (*words, name))


def _row(param: Any) -> tuple[str, str, str]:
    if param.param_type_name == "argument":
        shown = f"`{param.name.upper()}`" + (" ..." if param.nargs == -1 else "")
    else:
        shown = ", ".join(f"`{one}`" for one in [*param.opts, *param.secondary_opts])
    if param.required:
        return shown, param.help or "", "must be given"
    default = getattr(param.default, "value", param.default)
    return shown, param.help or "", "" if default in (None, "", False, (), []) else f"`{default}`"
