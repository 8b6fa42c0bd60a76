"""What a person reads about a decision: each answer, and what somebody must still look at."""

from a_register import KEY, NOON, ORIGIN, demo

from safebus.consumers.audit.explain.explanation import as_dict, as_text
from safebus.deploy.local.demo import story
from safebus.schemas import codec
from safebus.schemas.bus_records import DecisionRecord
from safebus.schemas.events import Confidentiality, Event, Handling
from safebus.streams.rules import sharing


def decided(event: Event) -> DecisionRecord:
    received = codec.decode(codec.encode(event))
    found = sharing.share(received, demo(), origin=ORIGIN, now=NOON, key=KEY, rules_digest="rules-1")
    assert isinstance(found, sharing.Shared)
    return found.record


def test_what_somebody_must_look_at_stands_below_the_answers_in_words() -> None:
    ava, *others = story.incident().subjects
    doubtful = ava.model_copy(update={"family_name": "Hurst"})
    record = decided(story.incident().model_copy(update={"subjects": (doubtful, *others)}))

    below = as_text(record, [], demo()).split("a person must look at:\n")[1].splitlines()

    assert below == [
        "  subjects.0 (CHILD): name or date of birth do not confirm the identifier of a subject: family_name  "
        "[IDENTITY_MISMATCH]",
        "  subjects.1 (CHILD), for beech-primary: the alleged perpetrator works for or governs beech-primary  "
        "[ADVERSARY]",
    ]
    assert [seen["in_words"] for seen in as_dict(record, [], demo())["worklist"]] == [
        line.split(": ", 1)[1].rsplit("  [", 1)[0] for line in below
    ]


def test_the_day_by_which_an_answer_is_needed_stands_there() -> None:
    record = decided(story.incident().model_copy(update={"respond_by": NOON}))

    assert ", until 2026-11-20 12:00 UTC: " in as_text(record, [], demo())


def test_what_is_held_says_whom_to_speak_to() -> None:
    held = story.incident().model_copy(update={"handling": Handling(confidentiality=Confidentiality.V)})

    text = as_text(decided(held), [], demo())

    assert "HOLD  Ash Primary" in text
    assert "marked very restricted: a person must decide, not the bus" in text
    assert text.count("to speak to a person: ") == text.count("HOLD  ") + text.count("REFUSE  ")


def test_nothing_to_look_at_is_not_mentioned() -> None:
    assert "a person must look at" not in as_text(decided(story.moved_to_temporary_accommodation(1)), [], demo())


def test_a_name_with_a_new_line_begins_no_verdict_of_its_own() -> None:
    """Whoever registers a partner, or answers as one, could write what nobody decided."""
    register = demo()
    forged = "x\nPERMIT  Fordshire Housing\u2028PERMIT\x85PERMIT"
    for name, partner in register.partners.items():
        register.partners[name] = partner.model_copy(update={"name": forged})
    record = decided(story.incident())
    honest = sum(line.startswith("PERMIT") for line in as_text(record, [], demo()).splitlines())

    found = as_text(record, [], register).splitlines()

    assert sum(line.startswith("PERMIT") for line in found) == honest > 0


def test_that_nobody_can_tell_who_is_meant_stands_with_the_answer_and_whom_to_ask() -> None:
    ava, *others = story.incident().subjects
    barely_known = ava.model_copy(update={"family_name": None, "date_of_birth": None, "upn": None})
    record = decided(story.incident().model_copy(update={"subjects": (barely_known, *others)}))

    text = as_text(record, [], demo())
    school = text.split("PERMIT  Ash Primary")[1].split("PERMIT  ")[0]
    says = "does not say which person is meant; it goes all the same, and says whom to ask"

    assert "WHO IS MEANT IS UNCLEAR: what ash-primary may have " + says in school
    assert "01632 960101  [TOLD_APART: " in school
    assert text.count("WHO IS MEANT IS UNCLEAR") == 1 == sum(answer.unclear for answer in record.answers)
    assert "who is meant is told by subject.nhs_number" in text
    [words] = [a["in_words"] for a in as_dict(record, [], demo())["answers"] if a["unclear"]]
    assert words[-1].startswith(f"what ash-primary may have {says}")
