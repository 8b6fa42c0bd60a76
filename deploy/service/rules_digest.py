"""
By which rules was this decided?

A digest over what can change a decision or a view, and nothing else: the rules, what they import of ours, how register
records become what they look up, and every schema. So a decision record names exactly what decided: same digest, same
register offset, same event: same bytes (rule R21). Comments, docstrings, layout and the sentences of
`streams.rules.reasons` change no answer and so no digest, and neither does a module that the rules do not import, such
as those that speak to Kafka.

Libraries are not covered: whether a release of one changes bytes is what `safebus replay verify` shows.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

#: What decides, and what turns the register's records into what it looks up; their imports follow.
DECIDING = ("streams.rules.sharing", "streams.register.store", "streams.register.dressing")
_US = "safebus"


@cache
def rules_digest() -> str:
    """16 hex digits over the code of `covered()` and over `schemas/avro/**`."""
    digest = hashlib.sha256()
    for name, data in [*_code(), *sorted(_schemas())]:
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


@cache
def covered() -> tuple[str, ...]:
    """Our modules that can change a decision or a view, by name, without `safebus.`."""
    found: set[str] = set()
    waiting = list(DECIDING)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _imported_by(module)
    return tuple(sorted(found))


def meaning_of(source: str) -> bytes:
    """What a module does, without what only people read: comments, docstrings, layout, `words(...)`."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        match node:
            case (
                ast.Module(body=[ast.Expr(value=ast.Constant(value=str())), *_])
                | ast.ClassDef(body=[ast.Expr(value=ast.Constant(value=str())), *_])
                | ast.FunctionDef(body=[ast.Expr(value=ast.Constant(value=str())), *_])
                | ast.AsyncFunctionDef(body=[ast.Expr(value=ast.Constant(value=str())), *_])
            ):
                del node.body[0]
            case ast.Call(func=ast.Name(id="words")):
                node.args.clear()
    return ast.dump(tree, annotate_fields=False).encode()


def _code() -> Iterator[tuple[str, bytes]]:
    for module in covered():
        source = _file(module)
        assert source is not None  # `covered` names only modules that are there
        yield module, meaning_of(source.read_text("utf-8"))


def _imported_by(module: str) -> Iterator[str]:
    source = _file(module)
    assert source is not None  # as above
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{_US}."):
            base = (node.module or "").removeprefix(f"{_US}.")
            for name in (base, *(f"{base}.{alias.name}" for alias in node.names)):
                if _file(name) is not None:
                    yield name


def _file(module: str) -> Traversable | None:
    *folders, name = module.split(".")
    here = resources.files(_US).joinpath(*folders)
    for file in (here / f"{name}.py", here / name / "__init__.py"):
        if file.is_file():
            return file
    return None


def _schemas() -> Iterator[tuple[str, bytes]]:
    yield from _files(resources.files(_US) / "schemas" / "avro", "schemas/avro")


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        name = f"{path}/{entry.name}"
        if entry.is_dir():
            yield from _files(entry, name)
        elif entry.name.endswith(".avsc"):
            yield name, entry.read_bytes()
