"""Slips of the hand, and who is told what."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from a_register import KEY, NOON, ORIGIN
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from safebus.deploy.local.demo import story
from safebus.schemas import codec
from safebus.schemas.bus_records import Outcome
from safebus.schemas.events import Event, PersonRole
from safebus.streams.register.store import Register
from safebus.streams.rules import sharing

SLIPS = int(os.environ.get("SLIPS", "60"))

Told = dict[tuple[str, int], set[str]]  # (recipient, place of the person in the event) -> paths that hold something


def slips(share: int = 1) -> settings:
    """As many as are asked for, or a share of them where each takes long."""
    return settings(max_examples=SLIPS // share, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def slipped(draw: st.DrawFn, text: str) -> str:
    """One slip: a letter left out, doubled, changed over with the next, or another in its place; a space; a capital."""
    i = draw(st.integers(0, len(text) - 1))
    other = draw(st.sampled_from("aeinorst0123456789-"))
    return draw(
        st.sampled_from(
            (
                text[:i] + text[i + 1 :],
                text[: i + 1] + text[i:],
                text[:i] + text[i : i + 2][::-1] + text[i + 2 :],
                text[:i] + other + text[i + 1 :],
                text[:i] + " " + text[i:],
                text[:i] + text[i].swapcase() + text[i + 1 :],
            )
        ).filter(lambda made: made != text)
    )


def suspects_as_the_police_know_them() -> Iterator[Event]:
    """The incident, with everything that may be all there is of its suspect."""
    told = story.incident()
    suspect = next(p for p in told.subjects if p.role is PersonRole.ALLEGED_PERPETRATOR)
    nothing: dict[str, Any] = {"nhs_number": None, "local_id": None, "works_for": ()}
    for known in (
        nothing,
        nothing | {"given_name": None},
        nothing | {"date_of_birth": None},
        nothing | {"family_name": None, "given_name": None, "works_for": ("beech-primary",)},
    ):
        changed = suspect.model_copy(update=known)
        yield told.model_copy(update={"subjects": tuple(changed if p is suspect else p for p in told.subjects)})


def decided(event: Event, register: Register) -> sharing.Shared | sharing.SetAside:
    """What is decided, also when nothing is."""
    received = codec.decode(codec.encode(event))
    return sharing.share(received, register, origin=ORIGIN, now=NOON, key=KEY, rules_digest="rules-1")


def told_by(found: sharing.Shared | sharing.SetAside) -> Told:
    """Who is told what of whom."""
    if isinstance(found, sharing.SetAside):
        return {}
    built = {output.notification.notification_id: output.built for output in found.outputs}
    return {
        (answer.recipient, answer.subject_index): set(_something_in(built[answer.notification_id]))
        for answer in found.record.answers
        if answer.outcome is Outcome.PERMIT and answer.notification_id is not None
    }


def _something_in(built: Any, path: str = "") -> Iterator[str]:
    if isinstance(built, Mapping):
        for name, inner in built.items():
            yield from _something_in(inner, f"{path}.{name}")
    elif isinstance(built, list):
        for inner in built:
            yield from _something_in(inner, f"{path}[]")
    elif built not in (None, ""):
        yield path


def more_than(after: Told, before: Told) -> list[str]:
    """What somebody is told after a slip and was not before."""
    return [
        f"{recipient} about subjects.{place}: {', '.join(sorted(paths - before.get((recipient, place), set())))}"
        for (recipient, place), paths in after.items()
        if not paths <= before.get((recipient, place), set())
    ]


def not_accounted_for(lost: set[tuple[str, int]], found: sharing.Shared | sharing.SetAside) -> set[tuple[str, int]]:
    """Those of these who are not told, without an answer on record and without anybody asked to look."""
    if isinstance(found, sharing.SetAside):
        return set()
    answers = {(answer.recipient, answer.subject_index) for answer in found.record.answers}
    looked_at = {each.who.split(" ")[0] for each in found.record.worklist}
    return {(who, place) for who, place in lost - answers if f"subjects.{place}" not in looked_at}
