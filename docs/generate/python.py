"""What does a publisher import from `safebus`?"""

from __future__ import annotations

import inspect
from typing import Any

import safebus
from docs.generate.markdown import code, table
from docs.generate.markdown import page as whole

_SENDING = ("Publisher", "PublisherSync", "Connection", "Accepted")
_ERRORS = (
    *("SafebusError", "BadInput", "BadIdentifier", "NotReachable", "NotAllowed", "NoTopic", "SomeNotAccepted"),
    "WrongUse",
)


def page() -> str:
    """The page."""
    parts: list[str] = []
    for name in _SENDING:
        parts += _class(name)
    others = [name for name in safebus.__all__ if name not in (*_SENDING, *_ERRORS, "settings")]
    return whole(
        "In Python",
        "All of it is imported from `safebus`, typed, and loaded when it is first asked for. "
        "[Your first event](../tutorial/first-event.md) shows it at work, and "
        "[In an application](../how-to/embed-a-publisher.md) what to look after there; `safebus.testing` is for its "
        "own tests.",
        *parts,
        "## settings",
        "`settings.load()` reads where the broker is and, on this machine, an agency's own secret: "
        "`.connection()`, `.case_secret(agency)`.",
        code(*inspect.cleandoc(safebus.settings.__doc__ or "").split("\n")[2:]),
        "## Errors",
        table(("error", "means"), ((f"`{name}`", _first_line(name)) for name in _ERRORS)),
        "An event that does not fit its class raises `BadInput` as it is made, as it is changed (`event.with_(...)`) "
        "and as it is read (`model_validate_json`). No message repeats a value, nor does what Python prints of an "
        "event.",
        "## Events and what stands in them",
        "Their fields are those of [Events and data classes](events.md).",
        table(("class", "is"), ((f"`{name}`", _first_line(name)) for name in others)),
        source="`safebus/__init__.py` and the docstrings of what it names",
    )


def _class(name: str) -> list[str]:
    found = getattr(safebus, name)
    parts = [f"## {name}", code(f"{name}{_signature(found)}", "", _doc(found))]
    for method, function in vars(found).items() if name.startswith("Publisher") else ():
        if inspect.isfunction(function) and not method.startswith("_") and function.__doc__:
            awaited = "await " if inspect.iscoroutinefunction(function) else ""
            parts.append(code(f"{awaited}{name.lower()}.{method}{_signature(function)}", "", _doc(function)))
    return parts


def _signature(found: Any) -> str:
    text = str(inspect.signature(found)).replace("'", "").removesuffix(" -> None")
    return text.replace("(self, ", "(").replace("(self)", "()")


def _doc(found: Any) -> str:
    return "\n".join(f"    {line}".rstrip() for line in inspect.cleandoc(found.__doc__ or "").splitlines())


def _first_line(name: str) -> str:
    found = getattr(safebus, name)
    said = inspect.cleandoc(found.__dict__.get("__doc__") or "").split("\n")[0]
    values = ", ".join(f"`{value}`" for value in getattr(found, "__members__", ()))
    return f"{values}. {said}" if values and said else values or said
