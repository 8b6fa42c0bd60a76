"""What may stand in a register folder?"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from docs.generate.markdown import page as whole
from docs.generate.models import about, fields
from safebus.schemas.classes import MASKS
from safebus.streams.register.entries import PersonInFolder
from safebus.streams.register.governance import PEOPLE, People, RegisteredDestination, TwoPersons
from safebus.streams.rules import agreements
from safebus.streams.rules.bases import Basis, EventRule
from safebus.streams.rules.consent import ConsentEntry
from safebus.streams.rules.matrix import KINDS, MATRIX, never_given
from safebus.streams.rules.parties import Affiliation, Danger, Involvement, MaySpeakFor, Partner, Subscription

#: Section of a file -> what each row of it is.
SECTIONS: dict[str, type[BaseModel]] = {
    "partners": Partner,
    "bases": Basis,
    "event_rules": EventRule,
    "people": PersonInFolder,
    "involvements": Involvement,
    "affiliations": Affiliation,
    "subscriptions": Subscription,
    "dangers": Danger,
    "may_speak_for": MaySpeakFor,
    "consents": ConsentEntry,
    "destinations": RegisteredDestination,
    "two_persons": TwoPersons,
    PEOPLE: People,
}
_PERSON = {
    "person_id": ("person", "an `alias` of `people`"),
    **{name: (name, "an `alias` of `people`") for name in ("by", "to")},
}


def page() -> str:
    """The page."""
    masks = "\n".join(f"- `{mask.name}`: {mask.says}" for mask in MASKS.values())
    return whole(
        "Register YAML",
        "A register folder holds any number of `*.yaml` and `*.yml` files. A file either has sections, each a list, or "
        "is one agreement. `safebus register load FOLDER` names everything that does not fit, with file and line. "
        "A whole folder to look at is `deploy/local/demo/register`.",
        *_sections(),
        "## An agreement",
        "A file with `agreement` at its top is one version of one agreement.",
        *_agreement(),
        "## Masks",
        "A flow may blur a field that it releases: `mask` names the field and one of these. What cannot be blurred, "
        "such as a postcode that is none, is left out; so a mask stands on fields that may be null, and on nothing "
        "that is not released.",
        masks,
        "`other_children: count` is no mask but a release: how many other children there are, and nothing else of "
        "them.",
        "## What is never given",
        "An agreement that gives a recipient what its `sector` is never given loads only with `--confirm NAME`. A "
        "sector that is not listed here must be confirmed as well.",
        *_never(),
        source="the models that read it, in `streams/register/entries.py` and `streams/rules/`",
    )


def _never() -> Iterator[str]:
    """For each sector, what it is never given."""
    rows = ((sector, ", ".join(row for row in MATRIX if never_given(row, sector))) for sector in KINDS)
    yield "\n".join(f"- `{sector}`: {given}" for sector, given in rows)


def _sections() -> Iterator[str]:
    for section, model in SECTIONS.items():
        yield f"## {section}"
        yield about(model)
        yield fields(model, renamed=_PERSON if "person_id" in model.model_fields else None)


def _agreement() -> Iterator[str]:
    for model in (agreements.Agreement, agreements.Party, agreements.Flow, agreements.FlowBasis, agreements.Release):
        if model is not agreements.Agreement:
            yield f"### {model.__name__}"
        yield about(model)
        yield fields(model)
