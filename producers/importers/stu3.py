"""
What stands where in a FHIR STU3 message in XML?

FHIR's XML is regular: every value is the attribute `value` of an element, every element is in one namespace. These
few functions say "the one value at this path", "the resource this refers to", and refuse where there is not exactly
one. Paths are ours and may be named in a refusal; values are the message's and never are.

Source: FHIR STU3 (3.0), XML Representation; MessageHeader; Bundle, "message".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element  # the type alone: parsing is defusedxml's, in `reading`

from safebus.producers.importers.called import GivenName
from safebus.producers.importers.fhir_times import Days, days
from safebus.producers.importers.homes import GivenAddress
from safebus.producers.importers.outcome import ImportReason
from safebus.schemas.errors import Refused
from safebus.schemas.names import Name
from safebus.schemas.uk_day import uk_day

FHIR = "{http://hl7.org/fhir}"
_IN_FHIR = 'in the namespace "http://hl7.org/fhir"'
_ASK = "a person must read what it asks for"


@dataclass(frozen=True)
class Stu3Message:
    """
    A Bundle of type `message`.

    Attributes:
        header: Its first resource, the only MessageHeader.
        by_reference: The other resources, by everything that a reference may call them.
    """

    bundle: Element
    header: Element
    by_reference: dict[str, Element]

    def of_kind(self, kind: str) -> list[Element]:
        """The resources of this type, in the order of the message."""
        unique = {id(node): node for node in self.by_reference.values()}
        return [node for node in unique.values() if node.tag == FHIR + kind]

    def resolve(self, reference: str, kind: str, where: str) -> Element:
        """
        The resource that a reference names.

        Raises:
            Refused: MISSING_FIELD, if the message holds none of that type by that name.
        """
        node = self.by_reference.get(reference)
        if node is None or node.tag != FHIR + kind:
            raise Refused(ImportReason.MISSING_FIELD, f"`{where}` refers to a {kind} that the message does not hold")
        return node


def message(root: Element) -> Stu3Message:
    """
    Take a message apart into its header and what the header leads to.

    Raises:
        Refused: NOT_A_MESSAGE or UNKNOWN_MODIFIER.
    """
    if root.tag != FHIR + "Bundle" or values(root, "type") != ["message"]:
        raise Refused(ImportReason.NOT_A_MESSAGE, f"expected a FHIR `Bundle`, {_IN_FHIR}, whose `type` is `message`")
    for rule in ("modifierExtension", "implicitRules"):
        if root.find(f".//{FHIR}{rule}") is not None:
            # FHIR R4 2.5.1.0.1: whoever does not understand one must not act on what it stands in.
            raise Refused(
                ImportReason.UNKNOWN_MODIFIER, f"`{rule}` may turn what it stands in into its opposite; {_ASK}"
            )
    header: Element | None = None
    named: dict[str, Element] = {}
    for number, entry in enumerate(all_at(root, "entry")):
        inside = [node for resource in all_at(entry, "resource") for node in resource]
        if len(inside) != 1:
            raise Refused(ImportReason.NOT_A_MESSAGE, f"`entry[{number}]` holds {len(inside)} resources; expected one")
        if (inside[0].tag == FHIR + "MessageHeader") != (number == 0):
            raise Refused(ImportReason.NOT_A_MESSAGE, "expected a `MessageHeader` as the first entry, and only there")
        if number == 0:
            header = inside[0]
            continue
        for name in {*values(entry, "fullUrl"), *(f"urn:uuid:{text}" for text in values(inside[0], "id"))}:
            if named.setdefault(name, inside[0]) is not inside[0]:
                raise Refused(ImportReason.NOT_A_MESSAGE, f"`entry[{number}]` has the same name as an entry before it")
    if header is None:
        raise Refused(ImportReason.NOT_A_MESSAGE, "the `Bundle` has no entry; expected a `MessageHeader` first")
    return Stu3Message(root, header, named)


def all_at(parent: Element, path: str) -> list[Element]:
    """The elements at a path such as `name/family`."""
    return parent.findall("/".join(FHIR + step for step in path.split("/")))


def values(parent: Element, path: str) -> list[str]:
    """The values at a path, without those that are empty."""
    return [text for node in all_at(parent, path) if (text := (node.get("value") or "").strip())]


def value(parent: Element, path: str) -> str | None:
    """
    The one value at a path, or None.

    Raises:
        Refused: AMBIGUOUS, if there are several that differ.
    """
    found = set(values(parent, path))
    if len(found) > 1:
        raise Refused(ImportReason.AMBIGUOUS, f"`{_name(parent, path)}` has {len(found)} values; expected one")
    return found.pop() if found else None


def the(parent: Element, path: str) -> str:
    """
    The one value at a path.

    Raises:
        Refused: MISSING_FIELD or AMBIGUOUS.
    """
    found = value(parent, path)
    if found is None:
        raise Refused(ImportReason.MISSING_FIELD, f"`{_name(parent, path)}` is missing or empty")
    return found


def extensions(parent: Element, url: str) -> list[Element]:
    """The extensions of an element that carry this url."""
    return [node for node in all_at(parent, "extension") if node.get("url") == url]


def several_days(texts: Iterable[str], where: str) -> tuple[Days, ...]:
    """What dates may mean; errors as `fhir_times.days`."""
    return tuple(days(text, where) for text in texts)


def period(parent: Element, where: str) -> tuple[Days | None, Days | None]:
    """(start, end) of its `period`; errors as `fhir_times.days`."""
    start, end = value(parent, "period/start"), value(parent, "period/end")
    return (
        days(start, f"{where}.period.start") if start else None,
        days(end, f"{where}.period.end") if end else None,
    )


def ended(parent: Element, at: datetime) -> bool:
    """Was its period over at that moment?"""
    _, end = period(parent, _name(parent, "period"))
    return end is not None and end.last < uk_day(at)


def given_name(node: Element, where: str) -> GivenName:
    """A HumanName."""
    start, end = period(node, where)
    return GivenName(Name(" ".join(values(node, "given")), value(node, "family")), value(node, "use"), start, end)


def addresses(patient: Element) -> tuple[GivenAddress, ...]:
    """The addresses of a Patient."""
    return tuple(_address(node) for node in all_at(patient, "address"))


def _address(node: Element) -> GivenAddress:
    lines = [text for part in ("line", "city", "district") for text in values(node, part)] or values(node, "text")
    start, end = period(node, "Patient.address")
    return GivenAddress(
        tuple(lines), value(node, "postalCode"), value(node, "use"), value(node, "type") == "postal", start, end
    )


def labels(*resources: Element) -> Iterator[tuple[str | None, str | None]]:
    """(system, code) of every security label of these resources."""
    for label in (label for resource in resources for label in all_at(resource, "meta/security")):
        yield value(label, "system"), value(label, "code")


def _name(parent: Element, path: str) -> str:
    return f"{parent.tag.removeprefix(FHIR)}.{path.replace('/', '.')}"
