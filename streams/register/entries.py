"""
What stands in a register folder, and does it hold together?

An information-governance lead keeps partners, bases, agreements and involvements as YAML files. This reads them into
register entries and says, with file and line, everything that does not fit, all at once. Identifiers of people become
tokens here and never go further.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from safebus.schemas.classes import NEVER
from safebus.schemas.errors import BadRegister, BadSchema
from safebus.schemas.event_schemas import EventSchemas
from safebus.schemas.events import LocalId, NhsNumber, Upn
from safebus.schemas.identifiers import derived_id, for_trying_only, is_a_process
from safebus.schemas.keys import PersonKey
from safebus.schemas.names import fold, named
from safebus.schemas.nearest import did_you_mean, or_the_known
from safebus.schemas.plain_types import Day, YesNo
from safebus.streams.register import yaml_text
from safebus.streams.register.governance import PEOPLE, TWO_PERSONS, People, RegisteredDestination, TwoPersons
from safebus.streams.register.releases import release_problems
from safebus.streams.register.store import KINDS
from safebus.streams.register.yaml_text import YamlPath, YamlText
from safebus.streams.rules import alike
from safebus.streams.rules.agreements import Agreement
from safebus.streams.rules.bases import Basis, EventRule
from safebus.streams.rules.consent import Capacity, ConsentEntry
from safebus.streams.rules.identity import confirm_tokens, near_dates
from safebus.streams.rules.parties import (
    Affiliation,
    Danger,
    Involvement,
    KnownPerson,
    MaySpeakFor,
    Partner,
    Subscription,
)


class PersonInFolder(BaseModel):
    """A person as a folder names them. `alias` is for this folder only and is not kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    alias: str
    nhs_number: NhsNumber | None = None
    upn: Upn | None = None
    local: dict[str, LocalId] = {}
    unborn_of: str | None = None
    superseded_numbers: tuple[NhsNumber, ...] = ()
    given_name: str | None = None
    family_name: str | None = None
    date_of_birth: Day | None = None
    adopted: YesNo = False
    restricted: YesNo = False
    lives_independently: YesNo = False
    competent_since: Day | None = None


#: The scheme of a person whom the register knows by name and date of birth only.
BY_NAME = "named"


@dataclass(frozen=True)
class Entry:
    """One entry to be registered. `where`: file and line it came from."""

    record_id: str
    kind: str
    body: BaseModel
    where: str


@dataclass
class _Reading:
    key: PersonKey
    schemas: EventSchemas
    entries: list[Entry] = field(default_factory=list)
    standing: dict[str, Entry] = field(default_factory=dict)  # by record id
    problems: list[str] = field(default_factory=list)
    person_ids: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)  # aliases whose own line is wrong: said once, there
    numbers: dict[str, str] = field(default_factory=dict)
    owners: dict[tuple[str, str], str] = field(default_factory=dict)  # (scheme, token) -> alias
    names: dict[str, PersonInFolder] = field(default_factory=dict)  # by person id
    tried: list[str] = field(default_factory=list)  # what to say of numbers that are nobody's, if people are real

    def add(self, entry: Entry) -> None:
        same = self.standing.setdefault(entry.record_id, entry)
        if same is not entry:
            self.problems.append(f"{entry.where}: {entry.kind} stands already at {same.where}; keep one")
        else:
            self.entries.append(entry)


def read_folder(
    files: Mapping[str, str],
    key: PersonKey,
    schemas: EventSchemas,
    *,
    tied: Collection[str] = (),
    real_people: bool = False,
) -> list[Entry]:
    """
    Read a register folder.

    Args:
        files: Name -> text of every `*.yaml` in it.
        tied: Ids of those who are so in the register already (`Register.tied`).
        real_people: The register says that this bus is about real people; the folder may say so too.

    Raises:
        BadRegister: Every problem found, one line each.
    """
    reading = _Reading(key, schemas)
    texts: list[YamlText] = []
    for name in sorted(files):
        try:
            texts.append(yaml_text.parse(name, files[name]))
        except BadRegister as exc:
            reading.problems += exc.problems
    for text in texts:
        reading.problems += _unknown_sections(text)
    # People first: what follows refers to them by alias, whichever file it stands in.
    for section, reader in _SECTIONS.items():
        for text in texts:
            _read_section(reading, text, section, reader)
    for text in texts:
        if isinstance(text.data, dict) and "agreement" in text.data:
            _try(reading, lambda text=text: _agreement(reading, text))  # type: ignore[misc]
    said = next((entry.body for entry in reading.entries if isinstance(entry.body, People)), None)
    if said.are == "real" if said is not None else real_people:
        reading.problems += reading.tried
    if reading.problems:
        raise BadRegister(reading.problems)
    noted = {*tied, *(person_id for entry in reading.entries for person_id in _noted(entry.body))}
    return [_as_it_sounds(reading, entry) if _about(entry) in noted else entry for entry in reading.entries]


def _noted(body: BaseModel) -> tuple[str, ...]:
    """Those who must be found by name too, because nobody may know their number when it matters."""
    if isinstance(body, KnownPerson):
        return (body.person_id,) if body.restricted or body.adopted else ()
    if isinstance(body, Danger):
        return (body.person_id, body.to)
    if isinstance(body, MaySpeakFor):
        return (body.by,)
    return (body.person_id,) if isinstance(body, Affiliation) else ()


def _about(entry: Entry) -> str | None:
    return entry.body.person_id if isinstance(entry.body, KnownPerson) else None


def _as_it_sounds(reading: _Reading, entry: Entry) -> Entry:
    """Nobody knows how a suspect's name is spelt, nor a mother's at a door at night."""
    assert isinstance(entry.body, KnownPerson)
    said = reading.names[entry.body.person_id]
    family, given = alike.registered(said.family_name, said.given_name, reading.key)
    return replace(entry, body=entry.body.model_copy(update={"family_alike": family, "given_alike": given}))


def _unknown_sections(text: YamlText) -> Iterator[str]:
    if not isinstance(text.data, dict):
        yield f"`{text.name}` line 1: no sections; known are {', '.join(_SECTIONS)}, or a file with one `agreement`"
    elif "agreement" not in text.data:
        for section in sorted(set(text.data) - set(_SECTIONS)):
            hint = or_the_known(section, [*_SECTIONS, "agreement"])
            yield f"{text.where((section,))}: unknown section `{section}`{hint}"


def _read_section(reading: _Reading, text: YamlText, section: str, reader: PartReader) -> None:
    rows = text.data.get(section) if isinstance(text.data, dict) and "agreement" not in text.data else None
    if rows is None:
        return
    if not isinstance(rows, list):
        reading.problems.append(f"{text.where((section,))}: `{section}` must be a list")
        return
    for i, row in enumerate(rows):
        _try(reading, lambda i=i, row=row: reader(reading, text, row, (section, i)))  # type: ignore[misc]


def _try(reading: _Reading, read: Callable[[], None]) -> None:
    try:
        read()
    except BadRegister as exc:
        reading.problems += exc.problems


PartReader = Callable[[_Reading, YamlText, Any, YamlPath], None]


def _partner(reading: _Reading, text: YamlText, row: Any, at: YamlPath) -> None:
    body = yaml_text.read(text, row, at, Partner, "partner")
    if is_a_process(body.partner):
        where = text.where((*at, "partner"))
        raise BadRegister([f"{where}: `{body.partner}` is what a process of the bus is called; name it otherwise"])
    reading.add(Entry(f"partner/{body.partner}", "partner", body, text.where(at)))


def _basis(reading: _Reading, text: YamlText, row: Any, at: YamlPath) -> None:
    body = yaml_text.read(text, row, at, Basis, "basis")
    reading.add(Entry(f"basis/{body.code}", "basis", body, text.where(at)))


def _event_rule(reading: _Reading, text: YamlText, row: Any, at: YamlPath) -> None:
    body = yaml_text.read(text, row, at, EventRule, "event rule")
    _known_type(reading, text, body.event_type, (*at, "event_type"))
    reading.add(Entry(f"event_rule/{body.event_type}", "event_rule", body, text.where(at)))


def _known_type(reading: _Reading, text: YamlText, event_type: str, at: YamlPath) -> None:
    # A misspelt type is never sent: its rule would guard nothing, its subscriber would wait for ever.
    try:
        reading.schemas.of(event_type)
    except BadSchema as exc:
        raise BadRegister([f"{text.where(at)}: {exc}"]) from None


def _person(reading: _Reading, text: YamlText, row: Any, at: YamlPath) -> None:
    try:
        body = yaml_text.read(text, row, at, PersonInFolder, "person")
    except BadRegister:
        # Said here, once: lines that name this person are not wrong for it.
        reading.broken.add(str(row.get("alias")) if isinstance(row, dict) else "")
        raise
    if body.alias in reading.person_ids:
        raise BadRegister([f"{text.where(at)}: alias `{body.alias}` stands twice; keep one"])
    if body.unborn_of is not None and body.unborn_of not in reading.numbers:
        raise BadRegister(
            [
                f"{text.where((*at, 'unborn_of'))}: person `{body.alias}` is `unborn_of` `{body.unborn_of}`, "
                "who does not stand before it with an nhs_number"
            ]
        )
    tokens = _tokens(reading, body)
    if not tokens:
        raise BadRegister(
            [
                f"{text.where(at)}: person `{body.alias}` has no identifier; give nhs_number, upn or local; or "
                "family_name and date_of_birth, for one who is only looked for by name"
            ]
        )
    if body.nhs_number:
        reading.numbers[body.alias] = body.nhs_number
    if any(for_trying_only(each) for each in (body.nhs_number, *body.superseded_numbers) if each):
        reading.tried.append(
            f"{text.where(at)}: person `{body.alias}` has an NHS number that is for trying only and nobody's, and this "
            "bus is about real people; give theirs"
        )
    person_id = next(iter(tokens.values()))
    theirs = {*tokens.items(), *(("nhs", key_of) for key_of in _superseded(reading, body))}
    for scheme, token in sorted(theirs):
        other = reading.owners.setdefault((scheme, token), body.alias)
        if other != body.alias:
            raise BadRegister(
                [
                    f"{text.where(at)}: person `{body.alias}` has the same {scheme} number as `{other}`, now or "
                    "before; events about both would be set aside, so give each their own"
                ]
            )
    reading.person_ids[body.alias] = person_id
    reading.names[person_id] = body
    key = reading.key
    known = KnownPerson(
        person_id=person_id,
        tokens=tokens,
        confirm=confirm_tokens(body.family_name, body.date_of_birth, key, given_name=body.given_name),
        near=tuple(sorted(near_dates(body.date_of_birth, key))),
        superseded=_superseded(reading, body),
        adopted=body.adopted,
        restricted=body.restricted,
        lives_independently=body.lives_independently,
        competent_since=body.competent_since,
    )
    reading.add(Entry(f"person/{person_id}", "person", known, text.where(at)))


def _superseded(reading: _Reading, body: PersonInFolder) -> tuple[str, ...]:
    return tuple(reading.key.token("nhs", number) for number in body.superseded_numbers)


def _tokens(reading: _Reading, body: PersonInFolder) -> dict[str, str]:
    key = reading.key
    found: dict[str, str] = {}
    if body.unborn_of:
        found["unborn"] = key.token("unborn", reading.numbers[body.unborn_of])
    if body.nhs_number:
        found["nhs"] = key.token("nhs", body.nhs_number)
    if body.upn:
        found["upn"] = key.token("upn", body.upn)
    for agency, number in sorted(body.local.items()):
        found[f"local:{agency}"] = key.token(f"local:{agency}", number)
    if not found and named(body.family_name) and body.date_of_birth:
        # Known by name alone: no event matches this token, but a suspect of that name is not overlooked.
        names = f"{fold(body.family_name)}|{fold(body.given_name)}|{body.date_of_birth.isoformat()}"
        found[BY_NAME] = key.token(BY_NAME, names)
    return found


def _tie(kind: str, model: type[BaseModel]) -> PartReader:
    """Involvements, affiliations, consents: rows that name a person by alias."""

    def read(reading: _Reading, text: YamlText, row: Any, at: YamlPath) -> None:
        row = dict(row) if isinstance(row, dict) else {}
        alias = row.pop("person", None)
        if isinstance(alias, str) and alias in reading.broken:
            return
        if not isinstance(alias, str) or alias not in reading.person_ids:
            known = ", ".join(sorted(reading.person_ids)) or "nobody"
            raise BadRegister([f"{text.where(at)}: {kind} names person `{alias}`, who is not in `people` ({known})"])
        if _names_someone(reading, text, row, at, kind, "to" if kind == "danger" else "by"):
            return
        body = yaml_text.read(text, {**row, "person_id": reading.person_ids[alias]}, at, model, kind)
        reading.add(Entry(f"{kind}/{_id_of(body)}", kind, body, text.where(at)))

    return read


def _names_someone(reading: _Reading, text: YamlText, row: dict[str, Any], at: YamlPath, kind: str, who: str) -> bool:
    """
    Put the id of a person in place of the alias in `by` (who speaks, for someone else or for themselves) or `to`.

    An alias in `expressed_by` is meant so too, and is no word for a capacity: it must not go into the register.

    Returns:
        Whether that person's own line is wrong: then it was said there.
    """
    spoken = row.get("expressed_by")
    named = isinstance(spoken, str) and spoken not in set(Capacity)
    if kind == "consent" and "by" not in row and named and spoken in reading.person_ids:
        row["by"] = row.pop("expressed_by")
    if who not in row:
        return False
    alias = row[who]
    if isinstance(alias, str) and alias in reading.broken:
        return True
    if not isinstance(alias, str) or alias not in reading.person_ids:
        known = ", ".join(sorted(reading.person_ids)) or "nobody"
        raise BadRegister(
            [f"{text.where((*at, who))}: {kind}: `{who}` names `{alias}`, who is not in `people` ({known})"]
        )
    row[who] = reading.person_ids[alias]
    return False


_HOW = {"starts_on", "ends_on", "expires_at", "method", "expressed_by", "source"}


def _id_of(body: BaseModel) -> str:
    """Ties are told apart by what they say, except how long it holds: saying it again changes the dates."""
    values = body.model_dump(mode="json", exclude=_HOW)
    for later in ("by", "capacity"):
        if values.get(later, later) is None:  # came later: what says nothing of it keeps the id it had
            del values[later]
    return derived_id(type(body).__name__, *(f"{k}={v}" for k, v in sorted(values.items())))


def consent_record_id(body: ConsentEntry) -> str:
    """The register id of one consent decision."""
    return f"consent/{_id_of(body)}"


def _subscription(reading: _Reading, text: YamlText, row: Any, at: YamlPath) -> None:
    body = yaml_text.read(text, row, at, Subscription, "subscription")
    _known_type(reading, text, body.event_type, (*at, "event_type"))
    reading.add(Entry(f"subscription/{body.partner}/{body.event_type}", "subscription", body, text.where(at)))


def _destination(reading: _Reading, text: YamlText, row: Any, at: YamlPath) -> None:
    body = yaml_text.read(text, row, at, RegisteredDestination, "destination")
    reading.add(Entry(f"destination/{body.partner}", "destination", body, text.where(at)))


def _two_persons(reading: _Reading, text: YamlText, row: Any, at: YamlPath) -> None:
    """One row, so that it is read as all others are."""
    body = yaml_text.read(text, row, at, TwoPersons, "two_persons")
    for kind in body.kinds:
        if kind not in KINDS:
            hint = or_the_known(kind, KINDS)
            raise BadRegister([f"{text.where((*at, 'kinds'))}: `{kind}` is no kind of register entry{hint}"])
    reading.add(Entry(TWO_PERSONS, TWO_PERSONS, body, text.where(at)))


def _people_here(reading: _Reading, text: YamlText, row: Any, at: YamlPath) -> None:
    reading.add(Entry(PEOPLE, PEOPLE, yaml_text.read(text, row, at, People, PEOPLE), text.where(at)))


_SECTIONS: dict[str, PartReader] = {
    "partners": _partner,
    "bases": _basis,
    "event_rules": _event_rule,
    "people": _person,
    "involvements": _tie("involvement", Involvement),
    "affiliations": _tie("affiliation", Affiliation),
    "subscriptions": _subscription,
    "dangers": _tie("danger", Danger),
    "may_speak_for": _tie("may_speak_for", MaySpeakFor),
    "consents": _tie("consent", ConsentEntry),
    "destinations": _destination,
    "two_persons": _two_persons,
    PEOPLE: _people_here,
}


def _agreement(reading: _Reading, text: YamlText) -> None:
    what = f"agreement `{text.data['agreement']}`"
    body = yaml_text.read(text, text.data, (), Agreement, what)
    found = [
        f"{text.where(('flows', i, name))}: {what} flow `{body.flows[i].flow}`: {problem}"
        for i, name, problem in against_schemas(body, reading.schemas)
    ]
    if found:
        raise BadRegister(found)
    reading.add(Entry(f"agreement/{body.agreement}/v{body.version}", "agreement", body, text.where(("agreement",))))


def against_schemas(agreement: Agreement, schemas: EventSchemas) -> Iterator[tuple[int, str, str]]:
    """
    What does not fit between an agreement and the event schemas.

    Yields:
        (index of the flow, field of the flow, what was found and what was expected).
    """
    from safebus.streams.rules.release import view_paths

    for i, flow in enumerate(agreement.flows):
        try:
            schema = schemas.of(flow.event_type)
        except BadSchema as exc:
            yield i, "event_type", str(exc)
            continue
        if flow.schema_version > schema.version:
            yield i, "schema_version", f"version {flow.schema_version} of `{flow.event_type}` does not exist yet"
        paths = view_paths(schema)
        for path in flow.fields:
            if path not in paths:
                hint = did_you_mean(path, paths, alike=0.8)
                yield i, "fields", f"`{path}` is no field of `{flow.event_type}`{hint}"
            elif paths[path].data_class in NEVER:
                yield i, "fields", f"`{path}` may be released by no agreement"
        yield from ((i, name, problem) for name, problem in release_problems(flow, schema))
