"""
May this text be read, and what does it hold?

The feeds come from outside, so the text may be anyone's. It is read within bounds (1 MiB, 64 levels) and strictly:
JSON in which a name stands twice, or a number that JSON does not have, is refused, because two programs would
understand it differently; XML that declares anything (a DTD, an entity) is refused before it is expanded.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder  # parsing itself is defusedxml's

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from safebus.producers.importers.outcome import ImportReason
from safebus.schemas import strict_json
from safebus.schemas.errors import Refused
from safebus.schemas.strict_json import MAX_BYTES, MAX_DEPTH

#: Source: expat.h, XML_ERROR_INVALID_TOKEN and XML_ERROR_UNDEFINED_ENTITY.
_NOT_WELL_FORMED = {
    4: "it is not UTF-8, or not allowed there",
    11: "an entity such as `&nbsp;`, which is of HTML and not of XML",
}


def read_json(data: bytes) -> Any:
    """
    Read JSON that anyone may have written.

    Raises:
        Refused: TOO_LARGE, TOO_DEEP or NOT_JSON.
    """
    try:
        return strict_json.parse(data)
    except strict_json.BadJson as exc:
        raise Refused(ImportReason(exc.why), str(exc)) from None


def read_xml(data: bytes) -> Element:
    """
    Read XML that anyone may have written. Comments and processing instructions are dropped.

    Raises:
        Refused: TOO_LARGE, TOO_DEEP, HOSTILE_XML or NOT_XML.
    """
    _bounded(data)
    parser = DefusedXMLParser(target=_Shallow(), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(data)
        root = parser.close()
    except DefusedXmlException:
        raise Refused(
            ImportReason.HOSTILE_XML, "the XML declares a document type or an entity; no FHIR message has one"
        ) from None
    except ParseError as exc:
        # The parser's own text can repeat a name from the message; its position cannot.
        line, column = exc.position
        why = _NOT_WELL_FORMED.get(exc.code, "it is not whole")
        raise Refused(
            ImportReason.NOT_XML,
            f"this is not XML from line {line}, column {column + 1} on: {why}; ask the source for the message",
        ) from None
    except (ValueError, LookupError):
        raise Refused(ImportReason.NOT_XML, "the XML names an encoding that is not read here; expected UTF-8") from None
    if not isinstance(root, Element):
        raise Refused(ImportReason.NOT_XML, "the XML holds no element")
    return root


class _Shallow(TreeBuilder):
    """Builds the tree, and stops before it is too deep to walk."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Refused(ImportReason.TOO_DEEP, f"the XML is nested deeper than {MAX_DEPTH} levels")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def _bounded(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise Refused(ImportReason.TOO_LARGE, f"it is larger than {MAX_BYTES} bytes; no message of the NHS is")
