"""
May this text be read, and what does it hold?

The feeds come from outside, so the text may be anyone's. It is read within bounds (1 MiB, 64 levels) and strictly:
JSON in which a name stands twice, or a number that JSON does not have, is refused, because two programs would
understand it differently; XML that declares anything (a DTD, an entity) is refused before it is expanded.
"""

from __future__ import annotations

import json
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder  # parsing itself is defusedxml's

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from safebus.producers.importers.outcome import ImportReason
from safebus.schemas.errors import Refused

MAX_BYTES = 1024 * 1024  # the largest real message has 20 kB
MAX_DEPTH = 64  # the deepest real message has 12 levels


def read_json(data: bytes) -> Any:
    """
    Read JSON that anyone may have written.

    Raises:
        Refused: TOO_LARGE, TOO_DEEP or NOT_JSON.
    """
    _bounded(data)
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_no_name_twice, parse_constant=_no_such_number)
        # A lone surrogate is a string to Python and to nobody else: it could not be written down again.
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise Refused(ImportReason.TOO_DEEP, f"the JSON is nested deeper than {MAX_DEPTH} levels") from None
    except UnicodeError:
        raise Refused(ImportReason.NOT_JSON, "the text is not UTF-8, which JSON between systems is") from None
    except json.JSONDecodeError as exc:
        raise Refused(
            ImportReason.NOT_JSON, f"this is not JSON from line {exc.lineno}, column {exc.colno} on"
        ) from None
    except ValueError:  # an integer of more digits than Python reads
        raise Refused(ImportReason.NOT_JSON, "a number has too many digits; expected what a program can hold") from None
    _shallow(document)
    return document


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
        raise Refused(ImportReason.NOT_XML, f"this is not XML from line {line}, column {column + 1} on") from None
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
        raise Refused(ImportReason.TOO_LARGE, f"found {len(data)} bytes, expected at most {MAX_BYTES}")


def _shallow(document: Any) -> None:
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise Refused(ImportReason.TOO_DEEP, f"the JSON is nested deeper than {MAX_DEPTH} levels")
        level = [
            below
            for value in level
            if isinstance(value, dict | list)
            for below in (value.values() if isinstance(value, dict) else value)
        ]


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused(
            ImportReason.NOT_JSON, "a name stands twice in one object; expected each once (RFC 8259, section 4)"
        )
    return found


def _no_such_number(_: str) -> Any:
    raise Refused(ImportReason.NOT_JSON, "found NaN or Infinity; JSON has no such number")
