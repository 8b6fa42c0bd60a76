"""
An event as the pieces that stand in its bytes, put together by hand from the Avro specification.

So a test can change one piece and nothing else.
"""

from __future__ import annotations

import random
from typing import Any

from random_events import as_plain_avro

from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import Event
from safebus.schemas.gate import MARKER


def long(number: int) -> bytes:
    """Zig-zag, then seven bits a byte, the lowest first."""
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


def string(text: str) -> bytes:
    return long(len(text.encode())) + text.encode()


def pieces(node: Any, value: Any, path: str = "", named: dict[str, Any] | None = None) -> dict[str, bytes]:
    """Path -> the bytes there, in order; `<path>?`: a union's branch, `#`: a block's count, `$`: no more."""
    named = {} if named is None else named
    if isinstance(node, list):
        branch = 0 if value is None else 1
        found = {f"{path}?": long(branch)}
        return found | ({} if value is None else pieces(node[1], value, path, named))
    if isinstance(node, str):
        node = named.get(node, node)
    if isinstance(node, str):
        write = {"string": string, "boolean": lambda b: bytes([b]), "int": long, "long": long}[node]
        return {path: write(value)}
    named |= {node["name"]: node} if "name" in node else {}
    found = {}
    if node["type"] == "record":
        for field in node["fields"]:
            step = f"{path}.{field['name']}" if path else field["name"]
            found |= pieces(field["type"], value[field["name"]], step, named)
    elif node["type"] == "array":
        found |= {f"{path}#": long(len(value))} if value else {}
        for number, item in enumerate(value):
            found |= pieces(node["items"], item, f"{path}[{number}]", named)
        found |= {f"{path}$": long(0)}
    else:
        found[path] = long(node["symbols"].index(value) if node["type"] == "enum" else value)
    return found


def in_blocks(node: Any, value: Any, chance: random.Random, named: dict[str, Any] | None = None) -> bytes:
    """A value with its lists cut into blocks as chance has it, with or without their size: all of it valid Avro."""
    named = {} if named is None else named
    if isinstance(node, list):
        branch = b"" if value is None else in_blocks(node[1], value, chance, named)
        return long(0 if value is None else 1) + branch
    if isinstance(node, str):
        node = named.get(node, node)
    if isinstance(node, str):
        return pieces(node, value)[""]
    named |= {node["name"]: node} if "name" in node else {}
    if node["type"] == "record":
        return b"".join(in_blocks(field["type"], value[field["name"]], chance, named) for field in node["fields"])
    if node["type"] != "array":
        return pieces(node, value)[""]
    found, rest = b"", list(value)
    while rest:
        count = chance.randint(1, len(rest))
        items = b"".join(in_blocks(node["items"], item, chance, named) for item in rest[:count])
        found += long(-count) + long(len(items)) + items if chance.random() < 0.5 else long(count) + items
        rest = rest[count:]
    return found + long(0)


def in_blocks_of(event: Event, seed: int) -> bytes:
    """A value of this event that no encoder without blocks writes; another for another seed, as far as there are."""
    schema = event_schemas().of(event.event_type)
    plain = as_plain_avro(schema.raw, event.model_dump())
    return MARKER + schema.fingerprint + in_blocks(schema.raw, plain, random.Random(seed))
