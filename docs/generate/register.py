"""What may stand in a register folder?"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from docs.generate.markdown import page as whole
from docs.generate.models import about, fields
from safebus.schemas.classes import MASKS
from safebus.streams.register.entries import PersonInFolder
from safebus.streams.rules import agreements
from safebus.streams.rules.bases import Basis, EventRule
from safebus.streams.rules.consent import ConsentEntry
from safebus.streams.rules.parties import Affiliation, Involvement, Partner, Subscription

#: Section of a file -> what each row of it is.
SECTIONS: dict[str, type[BaseModel]] = {
    "partners": Partner,
    "bases": Basis,
    "event_rules": EventRule,
    "people": PersonInFolder,
    "involvements": Involvement,
    "affiliations": Affiliation,
    "subscriptions": Subscription,
    "consents": ConsentEntry,
}
_PERSON = {"person_id": ("person", "an `alias` of `people`")}


def page() -> str:
    """The page."""
    masks = "\n".join(f"- `{mask.name}`: {mask.says}" for mask in MASKS.values())
    return whole(
        "Register YAML",
        "A register folder holds any number of `*.yaml` files. A file either has sections, each a list, or is one "
        "agreement. `safebus register load FOLDER` names everything that does not fit, with file and line. A whole "
        "folder to look at is `deploy/local/demo/register`.",
        *_sections(),
        "## An agreement",
        "A file with `agreement` at its top is one version of one agreement.",
        *_agreement(),
        "## Masks",
        "A flow may blur a field instead of leaving it out: `mask` names the field and one of these.",
        masks + "\n- `count`, for `other_children` alone: how many there are, and nothing else of them",
        source="the models that read it, in `streams/register/entries.py` and `streams/rules/`",
    )


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
