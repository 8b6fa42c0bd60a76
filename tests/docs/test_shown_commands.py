"""Each command that a page shows exists, with these options."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer
from a_page import PAGES, ROOT, Page

from safebus.deploy.cli import app

[UsageError] = typer.BadParameter.__bases__  # typer has no name of its own for it


def leaves(command: Any, *words: str) -> list[tuple[tuple[str, ...], Any]]:
    """Every command and group of commands, with the words that lead to it."""
    below = [leaf for name, one in getattr(command, "commands", {}).items() for leaf in leaves(one, *words, name)]
    return [(words, command), *below]


ALL = leaves(typer.main.get_command(app))


def what_is_wrong_with(words: list[str], *, whole: bool = True) -> str | None:
    """
    Parse a command as it would be parsed when it is run, and do nothing.

    Args:
        whole: Nothing that it needs is left out. In a sentence a command is named, not written out.
    """
    command, given = typer.main.get_command(app), list(words)
    while hasattr(command, "commands") and given and not given[0].startswith("-"):
        name = given.pop(0)
        if name not in command.commands:
            return f"no command `{name}`"
        command = command.commands[name]
    try:
        command.make_context("safebus", given, resilient_parsing=False)
    except typer.Exit:  # `--help`, `--version`
        return None
    except UsageError as exc:
        return None if not whole and str(exc).startswith("Missing parameter") else str(exc)
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_what_is_set_off_to_be_copied_is_understood(page: Page) -> None:
    found = {shlex.join(words): what_is_wrong_with(words) for words in page.commands}

    assert {words: wrong for words, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_what_make_is_asked_for_is_there(page: Page) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = re.findall(r"^make (\w+)", "\n".join([*page.blocks, *page.named]), re.MULTILINE)

    assert set(asked) - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_what_a_sentence_names_is_there(page: Page) -> None:
    named = [found for found in page.named if re.match(r"safebus [a-z]", found)]
    found = {words: what_is_wrong_with(shlex.split(words)[1:], whole=False) for words in named}

    assert {words: wrong for words, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("words", "command"), ALL, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_help_ends_with_an_example_that_is_understood(words: tuple[str, ...], command: Any) -> None:
    heading, *examples = command.epilog.split("\n\n")
    found = {example: what_is_wrong_with(shlex.split(example)[1:]) for example in examples}

    assert heading == ("Example:" if len(examples) == 1 else "Examples:")
    assert [example for example in examples if not example.startswith(" ".join(("safebus", *words)))] == []
    assert {example: wrong for example, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("exlain 1", "no command `exlain`"),
        ("explain", "Missing parameter: event_id"),
        ("register load FOLDER --exeute", "No such option: --exeute"),
        ("topics plan -o xml", "'xml' is not one of"),
    ],
)
def test_what_could_not_be_run_is_seen(words: str, wrong: str) -> None:
    """Otherwise the tests above could hold for anything."""
    assert wrong in (what_is_wrong_with(shlex.split(words)) or "")
