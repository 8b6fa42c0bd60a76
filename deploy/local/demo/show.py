"""
How is the story told to a person who is no programmer?

Everything shown is read from what happened: from the partners' own systems and from the topics, never from the plan.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from safebus.deploy.local.demo import story
from safebus.producers.importers.sending import ImportedFile
from safebus.schemas.bus_records import DecisionRecord, Outcome
from safebus.streams.register.store import Register
from safebus.streams.rules.reasons import say

#: What a reader asks about the incident: (in words, a text that stands in what arrived if it was told).
ASKED: tuple[tuple[str, str], ...] = (
    ("the child's name", '"given_name": "Ava"|"given_name": "Ben"|"given_name": "Cora"'),
    ("NHS number", "9990079196|9990237573|9990316767"),
    ("pupil number (UPN)", "X313000026001|L313000026002"),
    ("what the child said", "under the table|took Cora upstairs"),
    ("what happened, in words", "children upstairs and in the kitchen"),
    ("risk grade", '"HIGH"'),
    ("home address", "12 Mill Lane"),
    ("mother's telephone", "07700 900123"),
    ("alleged perpetrator's name", "Stone"),
    ("... how he is related", "mother's partner"),
    ("how many other children", "other_children_count"),
    ("his earlier cautions", "two earlier cautions"),
    ("the neighbour who rang", "number 14"),
    ("THE REFUGE", f"{story.REFUGE}|{story.REFUGE_POSTCODE}|Rowan House"),
)

console = Console(width=None if sys.stdout.isatty() else 132, highlight=False)


def chapter(title: str, text: str) -> None:
    """A heading and what happens."""
    console.print()
    console.rule(f"[bold]{title}[/bold]", align="left")
    console.print(text)


def line(text: str) -> None:
    """One line."""
    console.print(text)


def who_was_told(record: DecisionRecord, register: Register, names: Mapping[str, str]) -> None:
    """Every recipient considered, and why it got something or nothing."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("who", "about", "", "why"):
        table.add_column(column, overflow="fold")
    for answer in record.answers:
        partner = register.partners[answer.recipient]
        told = answer.outcome is Outcome.PERMIT
        why = "; ".join(say(reason) for reason in answer.reasons)
        if not told and answer.call:
            why += f". To speak to a person: {answer.call}"
        table.add_row(
            partner.name,
            names.get(answer.subject_token, "someone"),
            "[green]told[/green]" if told else "[red]not told[/red]",
            why,
        )
    console.print(table)


#: How a column is headed; ids are for machines.
SHORT = {
    "fordshire-mash": "MASH",
    "ash-primary": "Ash\nPrimary",
    "beech-primary": "Beech\nPrimary",
    "fordshire-0-19": "0-19\nhealth",
    "meadow-practice": "Meadow\nGP",
    "haven": "Haven\ncharity",
    "county-hospital": "County\nHospital",
    "fordshire-housing": "Housing",
}
_WIDE = 100  # columns; below, a table of nine columns cannot be read


def side_by_side(received: Mapping[str, list[dict[str, Any]]], event_id: str) -> None:
    """What each partner's own system holds about the incident, question by question."""
    texts = {
        partner: [json.dumps(p["fields"], ensure_ascii=False) for p in parcels if p.get("event_id") == event_id]
        for partner, parcels in received.items()
    }
    told = {
        partner: {q for q, needles in ASKED if any(n in text for text in held for n in needles.split("|"))}
        for partner, held in texts.items()
    }
    if console.width < _WIDE:
        for partner, held in texts.items():
            name = SHORT[partner].replace("\n", " ")
            console.print(f"[bold]{name}[/bold]: " + (f"{len(held)} message(s)" if held else "nothing"))
            if told[partner]:
                console.print("   " + "; ".join(question for question, _ in ASKED if question in told[partner]))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    table.add_column("", no_wrap=True)
    for partner in texts:
        table.add_column(SHORT[partner], justify="center", no_wrap=True)
    table.add_row("messages", *(str(len(t)) if t else "[dim]none[/dim]" for t in texts.values()))
    for question, _ in ASKED:
        table.add_row(question, *("[green]yes[/green]" if question in told[p] else "[dim]-[/dim]" for p in texts))
    console.print(table)


def others(records: Sequence[tuple[str, DecisionRecord]]) -> None:
    """The other events in a line each."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("event", "told", "not told, and why"):
        table.add_column(column, overflow="fold")
    for name, record in records:
        told = [a.recipient for a in record.answers if a.outcome is Outcome.PERMIT]
        refused = [
            f"{a.recipient}: {'; '.join(say(r) for r in a.reasons)}"
            for a in record.answers
            if a.outcome is not Outcome.PERMIT
        ]
        table.add_row(name, "\n".join(told) or "nobody", "\n".join(refused) or "-")
    console.print(table)


def imported(lines: Sequence[ImportedFile], decisions: Mapping[str, DecisionRecord]) -> None:
    """What became of every real input."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("file", "became", "told, or why not"):
        table.add_column(column, overflow="fold")
    for each in lines:
        record = decisions.get(each.event_id or "")
        told = sorted({a.recipient for a in record.answers if a.outcome is Outcome.PERMIT}) if record else []
        table.add_row(
            each.file,
            each.outcome if each.event_id else "[yellow]quarantine[/yellow]",
            ", ".join(told) or (each.detail if not each.event_id else "nobody: in nobody's care"),
        )
    console.print(table)
