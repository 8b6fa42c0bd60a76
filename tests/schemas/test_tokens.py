"""A token is dressed wherever it stands, and who adds a field says whether it holds one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, Field

from safebus.schemas import bus_records, tokens
from safebus.schemas.bus_records import Accused, BusRecord, Earlier, Episode
from safebus.schemas.errors import BadSchema
from safebus.schemas.frozen_model import FrozenModel
from safebus.schemas.keys import PersonKey
from safebus.schemas.tokens import NamedToken, Token
from safebus.streams.register.store import KINDS
from safebus.streams.rules.agreements import Agreement
from safebus.streams.rules.bases import Basis, EventRule

KEY = PersonKey(b"k" * 32, (b"l" * 32,))
NEW = KEY.of(2)
A, B = KEY.token("nhs", "9990079196"), KEY.token("nhs", "9990237573")

#: Texts of records that stand for nobody. A field that is new stands here, or is a `Token`: nothing else is looked at.
SAYS_NOTHING_OF_WHO = {
    "Accused": "named_in works_for",
    "Affiliation": "partner relation",
    "Answer": "decision_id recipient interest agreement_id flow purpose consent_state call notification_id "
    "output_digest view_fields consent_meaning labels takes_back told_apart_by",
    "ConsentEntry": "purpose recipients expressed_by method",
    "Danger": "source",
    "DecisionRecord": "event_id event_type lifecycle source purpose input_digest rules_digest",
    "DeliveriesWord": "partner",
    "DestinationState": "",
    "Earlier": "original",
    "Episode": "adds_to",
    "FieldRule": "path rule",
    "FourAnswers": "art6 art9_or_10 sch1 power_or_duty confidentiality",
    "Holder": "recipient notification_id agreement_id flow purpose",
    "Involvement": "partner role",
    "KnownPerson": "",
    "MaySpeakFor": "source",
    "Notification": "notification_id decision_id event_id event_type lifecycle recipient publisher purpose urgency "
    "agreement_id flow consent_meaning labels view_schema takes_back role whom_to_ask",
    "Operation": "operation_id certificate system_user what about reason request seconds to",
    "Origin": "topic",
    "People": "",
    "Partner": "partner name sector territory flags call case_secret",
    "Quarantined": "quarantine_id reason detail topic",
    "Reason": "code rule about",
    "Receipt": "notification_id event_id partner transport answer reason purpose consent_meaning output_digest "
    "written_by place",
    "RegisterRecord": "record_id kind recorded_by reason body",
    "RegisteredDestination": "partner transport place",
    "Subscription": "partner event_type",
    "ToSee": "who code about recipient",
    "TokenKey": "fingerprint digest_fingerprint",
    "TwoPersons": "kinds",
}
#: What organisations agreed with each other, and law.
OF_NOBODY = (Agreement, Basis, EventRule)


def models() -> Iterator[type[BaseModel]]:
    for each in vars(bus_records).values():
        if isinstance(each, type) and issubclass(each, BusRecord) and each is not BusRecord:
            yield each
    yield from (model for model in KINDS.values() if model not in OF_NOBODY)


def holds_text(kind: Any) -> bool:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return holds_text(args[0])
    if origin is dict:
        return holds_text(args[1])
    return kind is str or (origin in (Union, UnionType, tuple) and any(map(holds_text, args)))


@pytest.mark.parametrize("model", [*models()], ids=lambda model: model.__name__)
def test_every_text_of_a_record_is_a_token_or_says_nothing_of_who_it_is_about(model: type[BaseModel]) -> None:
    """Whoever adds a field to a record and forgets this would write it down as the stolen secret made it."""
    texts = {name for name, each in model.model_fields.items() if holds_text(each.annotation)}

    assert texts - tokens.walks_of(model).keys() == {*SAYS_NOTHING_OF_WHO[model.__name__].split()}


ACCUSED = Accused(named_in="e", ids=(f"nhs {A}", f"local:school {B}"), family=(A,), works_for=("ash-primary",))
EARLIER = Earlier(tokens=(A, B), accused=(ACCUSED,), original="e")


def test_a_record_is_dressed_however_deep_a_token_stands() -> None:
    written = tokens.dressed(EARLIER, NEW)

    assert written.tokens == (NEW.dressed(A), NEW.dressed(B))
    assert written.accused[0].ids == (f"nhs {NEW.dressed(A)}", f"local:school {NEW.dressed(B)}")
    assert (written.accused[0].works_for, written.original) == (("ash-primary",), "e")
    assert A not in written.model_dump_json() and B not in written.model_dump_json()
    assert tokens.plain(written, KEY) == EARLIER == tokens.plain(EARLIER, KEY)


def test_under_the_first_secret_a_record_is_as_it_was() -> None:
    assert tokens.dressed(EARLIER, KEY) is EARLIER
    assert tokens.plain(EARLIER, PersonKey(b"k" * 32)) is EARLIER
    assert tokens.dressed(bus_records.Reason(code="c", rule="r", about="a"), NEW).about == "a"


def test_a_record_as_plain_values_is_changed_in_the_same_places() -> None:
    values: dict[str, Any] = Episode(tokens=(A,)).model_dump() | {"adds_to": None}
    person = KINDS["person"]
    found = tokens.changed_values({"person_id": A, "tokens": {"nhs": A}, "confirm": {}}, person, str.upper)

    assert tokens.changed_values(values, Episode, str.upper)["tokens"] == (A.upper(),)
    assert found == {"person_id": A.upper(), "tokens": {"nhs": A.upper()}, "confirm": {}}
    assert tokens.changed_values({"person_id": A, "by": None}, KINDS["consent"], str.upper) == {
        "person_id": A.upper(),
        "by": None,
    }


class InLists(FrozenModel):
    many: list[Token] = Field(default_factory=list)
    maybe: NamedToken | None = None


class InASet(FrozenModel):
    who: frozenset[Token]


class AsAName(FrozenModel):
    who: dict[Token, str]


class InAMapping(FrozenModel):
    who: Mapping[str, Token]


class InAPair(FrozenModel):
    who: tuple[Token, int]


class OneOrMany(FrozenModel):
    who: Token | tuple[Token, ...]


def test_lists_and_what_may_be_missing_are_looked_through() -> None:
    found = tokens.dressed(InLists(many=[A], maybe=f"nhs {B}"), NEW)

    assert found == InLists(many=[NEW.dressed(A)], maybe=f"nhs {NEW.dressed(B)}")
    assert tokens.dressed(InLists(), NEW) == InLists()


@pytest.mark.parametrize("model", [InASet, AsAName, InAMapping, InAPair, OneOrMany])
def test_where_a_token_would_not_be_found_again_none_may_stand(model: type[BaseModel]) -> None:
    with pytest.raises(BadSchema, match=r"a token stands in .* where it is not found again; use a tuple, list, dict"):
        tokens.walks_of(model)
