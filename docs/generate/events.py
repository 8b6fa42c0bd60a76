"""What may an event say, and which data class is each of its fields?"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from docs.generate.markdown import page as whole
from docs.generate.markdown import table
from safebus.schemas.classes import NEVER, PROSE, RESTRICTED_STRIPS, DataClass, category
from safebus.schemas.event_schemas import EventSchema, Leaf, event_schemas
from safebus.schemas.events import EVENT_CLASSES


def page() -> str:
    """The page."""
    schemas = [event_schemas().of(event_type) for event_type in EVENT_CLASSES]
    envelope = [leaf for leaf in schemas[0].leaves if not leaf.path.startswith("payload")]
    return whole(
        "Events and data classes",
        "Every event is an envelope, the same for all types, and a payload of its own. `[]` stands for each element "
        "of a list. An agreement releases data classes; a field that it does not release is not in the view at all. "
        "`safebus schemas show EVENT_TYPE` prints the whole Avro schema.",
        "## Envelope",
        _table(envelope, _docs(schemas[0].raw)),
        *_types(schemas),
        "## Codes",
        "A field that should hold a code and holds something else is treated as free text: it leaves only where an "
        "agreement names the exact field, and the answer says so (`NOT_A_CODE`). The event is taken all the same. "
        "Several codes may stand in one field, with a comma, semicolon, slash or `and` between them; capitals, "
        "accents, hyphens and apostrophes make no other code. A pattern is a regular expression for the whole field.",
        *_codes(schemas),
        "## Data classes",
        "Special and criminal data need an Article 9 or 10 condition besides the Article 6 basis. Prose leaves only "
        "where an agreement names the exact field. What is stripped of a restricted person "
        "is in no view of them, whatever was agreed.",
        _classes(schemas),
        source="`schemas/avro/` and `schemas/classes.py`",
    )


def _types(schemas: list[EventSchema]) -> Iterator[str]:
    for schema in schemas:
        cls = EVENT_CLASSES[schema.event_type]
        yield f"## {schema.event_type}"
        yield f"`safebus.{cls.__name__}`, version {schema.version}. {schema.raw['doc']}"
        yield _table([leaf for leaf in schema.leaves if leaf.path.startswith("payload")], _docs(schema.raw))


def _codes(schemas: list[EventSchema]) -> Iterator[str]:
    """Every list of codes once, under the name of its field."""
    found: dict[str, list[str]] = {}

    def visit(node: Any) -> None:
        for inner in node if isinstance(node, list) else node.values() if isinstance(node, dict) else ():
            visit(inner)
        if isinstance(node, dict) and "codes" in node:
            found[node["name"]] = node["codes"]

    for schema in schemas:
        visit(schema.raw)
    for name, codes in found.items():
        yield f"### {name.replace('_', ' ')}"
        yield ", ".join(f"`{code}`" for code in codes)


def _table(leaves: list[Leaf], docs: Mapping[str, tuple[bool, str]]) -> str:
    rows = []
    for leaf in leaves:
        optional, doc = docs[leaf.path]
        rows.append((f"`{leaf.path}`", leaf.kind, "" if optional else "yes", f"`{leaf.data_class}`", doc))
    return table(("field", "type", "must be given", "data class", ""), rows)


def _docs(raw: Mapping[str, Any]) -> dict[str, tuple[bool, str]]:
    """Path of a leaf -> (may it be left out, what the schema says of it)."""
    found: dict[str, tuple[bool, str]] = {}
    named: dict[str, Any] = {}

    def visit(record: Mapping[str, Any], before: str) -> None:
        named[record["name"]] = record
        for field in record["fields"]:
            path, node = f"{before}{field['name']}", field["type"]
            if isinstance(node, list):
                [node] = [branch for branch in node if branch != "null"]
            if isinstance(node, dict) and node["type"] == "array":
                node, path = (node["items"], f"{path}[]") if node["items"] != "string" else (node, path)
            node = named.get(node, node) if isinstance(node, str) else node
            if isinstance(node, dict) and node["type"] == "record":
                visit(node, f"{path}.")
            else:
                said = field.get("doc", "")
                if isinstance(node, dict) and node["type"] == "enum":
                    named[node["name"]] = node
                    symbols = ", ".join(f"`{symbol}`" for symbol in node["symbols"])
                    said = f"{symbols}; {said}" if said else symbols
                if "pattern" in field:
                    said = "; ".join(filter(None, (f"a code, as `{field['pattern']}`", said)))
                elif "codes" in field:
                    said = "; ".join(filter(None, ("[a code](#codes)", said)))
                found[path] = ("default" in field, said)

    visit(raw, "")
    return found


def _classes(schemas: list[EventSchema]) -> str:
    comments = dict(re.findall(r"^    (\w+) = .*?  # (.*)$", inspect.getsource(DataClass), re.MULTILINE))
    used: dict[DataClass, dict[str, None]] = {}
    for schema in schemas:
        for leaf in schema.leaves:
            used.setdefault(leaf.data_class, {})[f"`{leaf.path}`"] = None
    rows = []
    for one in DataClass:
        rules = [] if category(one) == "ordinary" else [str(category(one))]
        rules += ["prose"] if one in PROSE else []
        rules += ["stripped of a restricted person"] if one in RESTRICTED_STRIPS else []
        rules += ["released by no agreement"] if one in NEVER else []
        rows.append((f"`{one}`", comments.get(one.name, ""), "; ".join(rules), ", ".join(used.get(one, {}))))
    return table(("class", "holds", "rules", "fields"), rows)
