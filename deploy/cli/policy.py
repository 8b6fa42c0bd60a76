"""`safebus policy`: what would the rules decide, by a folder alone?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from safebus.deploy.cli.options import SOME, Form, example, parse_time, stop
from safebus.deploy.cli.output import show
from safebus.deploy.service.terminal import clock, say, tell

app = typer.Typer(
    name="policy",
    help="What the rules would decide.",
    no_args_is_help=True,
    epilog=example("safebus policy try EVENT.json --register FOLDER"),
)


@app.command("try", epilog=example("safebus policy try EVENT.json --register deploy/local/demo/register -o table"))
def policy_try(
    event: Path = typer.Argument(..., help="an event as JSON"),
    register: Path = typer.Option(..., "--register", help="folder of YAML files"),
    after: list[Path] = typer.Option(
        [], "--after", help="an event that was decided before it: of its episode, or what it takes back"
    ),
    now: str | None = typer.Option(None, "--now", help="decide as if it were this time, ISO 8601"),
    output: Form = typer.Option(Form.JSON, "-o", "--output", help="json or table"),
) -> None:
    """Decide about one event by a folder alone, without a broker, and show what each recipient would get."""
    from safebus.consumers.audit.explain.explanation import to_see_in_words
    from safebus.consumers.audit.policy_try import policy_try as try_it
    from safebus.deploy.service import key_files
    from safebus.deploy.service.rules_digest import rules_digest
    from safebus.schemas.bus_records import Reason, ToSee
    from safebus.streams.rules.reasons import say as say_reason

    found = try_it(
        event,
        register,
        now=parse_time(now, clock()),
        key=key_files.any_key(),
        rules_digest=rules_digest(),
        after=after,
    )
    if output is Form.JSON:
        tell(json.dumps(found, indent=2))
    else:
        for warning in found["warnings"]:
            say(f"to be confirmed at load: {warning['name']}: {warning['says']}")
        rows = [
            {
                "recipient": a["recipient"],
                "outcome": a["outcome"],
                "about": _place(a, found),
                "why": "; ".join(say_reason(Reason.model_validate(r)) for r in a["reasons"]),
                "told_apart_by": _told_apart(a),
                "fields": json.dumps(a["view"], ensure_ascii=False) if a["view"] else "",
            }
            for a in found.get("answers", [])
        ]
        show(rows, output, columns=["recipient", "about", "outcome", "why", "told_apart_by", "fields"])
        for one in found.get("answers", []):
            if one["unclear"]:
                about = _place(one, found)
                say(f"{one['recipient']} cannot tell who is meant by {about}, and is told to ask {one['call']}")
        for seen in found.get("worklist", []):
            told = f", for {seen['recipient']}" if seen["recipient"] else ""
            say(f"a person must look at {seen['who']}{told}: {to_see_in_words(ToSee.model_validate(seen))}")
    if "quarantine" in found:
        raise stop(SOME, f"set aside: {found['quarantine']['reason']}: {found['quarantine']['detail']}")


def _told_apart(answer: dict[str, Any]) -> str:
    """What tells its recipient who is meant."""
    return "NOTHING: who is meant is unclear" if answer["unclear"] else ", ".join(answer["told_apart_by"])


def _place(answer: dict[str, Any], found: dict[str, Any]) -> str:
    """Whom an answer is about, as the event says it."""
    at = answer["subject_index"]
    return f"subjects.{at} ({found['roles'][at]})" if at >= 0 else "someone of the original"
