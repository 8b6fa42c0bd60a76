"""
An event as the pieces that stand in its bytes, put together by hand from the Avro specification.

So a test can change one piece and nothing else.
"""

from __future__ import annotations

from typing import Any


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
