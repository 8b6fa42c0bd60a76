"""
What is true of an event and of everything that stands in one?

It is about people, so nothing that Python prints of it by itself holds a value: not its `repr`, no error, no warning.
Whoever needs one asks for the field. And there is none that is not what its class says: `with_` checks what it changes,
and what was made past the checks is found before it leaves (`check`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from safebus.schemas.errors import BadInput
from safebus.schemas.frozen_model import FrozenModel
from safebus.schemas.nearest import did_you_mean


def what_is_wrong(exc: ValidationError) -> str:
    """Fields and what was expected of each, without any value: pydantic's own text repeats the input."""
    problems = [
        f"`{'.'.join(str(step) for step in problem['loc']) or 'event'}`: {_in_words(problem)}"
        for problem in exc.errors(include_url=False, include_context=False, include_input=False)
    ]
    return "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")


def _in_words(problem: ErrorDetails) -> str:
    match problem["type"]:
        case "extra_forbidden":
            return f"there is no such field{did_you_mean(str(problem['loc'][-1]), _fields_of(EventPart))}"
        case "string_type":
            return "expected text, in quotes"
        case _:
            return problem["msg"].removeprefix("Value error, ")


def _fields_of(cls: type[FrozenModel]) -> set[str]:
    """The names of all fields of all that stands in events."""
    return set(cls.model_fields).union(*map(_fields_of, cls.__subclasses__()))


class EventPart(FrozenModel):
    """
    An event, or a part of one.

    Raises:
        BadInput: A field is missing, unknown, or cannot hold what it was given; never says what that was.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    if not TYPE_CHECKING:  # pragma: no branch - a type checker makes the signature of each class of its fields

        def __init__(self, /, **fields):
            try:
                super().__init__(**fields)
                return
            except ValidationError as exc:
                problem = what_is_wrong(exc)
            # Outside: pydantic's error, as the context of ours, would hold what was given.
            raise BadInput(f"this is no `{type(self).__name__}`: {problem}")

        # Otherwise pydantic would call it for each part of each event that it reads, in four times the time.
        __init__.__pydantic_base_init__ = True

        @classmethod
        def model_validate(cls, obj, **how):
            return _plainly(super().model_validate, obj, how)

        @classmethod
        def model_validate_json(cls, json_data, **how):
            return _plainly(super().model_validate_json, json_data, how)

        @classmethod
        def model_validate_strings(cls, obj, **how):
            return _plainly(super().model_validate_strings, obj, how)

        def model_dump(self, **how):
            return super().model_dump(**{"warnings": False, **how})  # pydantic's would show the value

        def model_dump_json(self, **how):
            return super().model_dump_json(**{"warnings": False, **how})

        def __setattr__(self, name, value):
            raise BadInput(f"an event is not changed in place; `{type(self).__name__}.with_({name}=...)` makes another")

        def __delattr__(self, name):
            raise BadInput(
                f"an event is not changed in place; `{type(self).__name__}.with_({name}=None)` makes another"
            )

    def with_(self, **changes: Any) -> Self:
        """
        The same with other values in some fields.

        Raises:
            BadInput: There is no such field, or it cannot hold the value.
        """
        return type(self)(**{**{name: getattr(self, name) for name in type(self).model_fields}, **changes})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, and what is changed is checked, as by `with_`."""
        changed = self.with_(**update) if update else self
        return super(EventPart, changed).model_copy(deep=deep) if deep or not update else changed

    def check(self) -> None:
        """
        Is it what its class says, down to its last part?

        Raises:
            BadInput: It was made or changed past the checks, such as by `model_construct`.
        """
        name = type(self).__name__
        if type(self).model_validate(self.model_dump()) != self or _has_more(self):
            raise BadInput(f"this `{name}` holds what its class does not allow; make it by `{name}(...)` or `with_`")

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return []

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__


def _has_more(value: object) -> bool:
    """Does something stand in it that is no field? Whoever misspelt one would have it dropped in silence."""
    if isinstance(value, tuple):
        return any(map(_has_more, value))
    if not isinstance(value, EventPart):
        return False
    held = vars(value)
    return not held.keys() <= type(value).model_fields.keys() or any(map(_has_more, held.values()))


def _plainly(validate: Any, given: Any, how: dict[str, Any]) -> Any:
    try:
        return validate(given, **how)
    except ValidationError as exc:
        problem = what_is_wrong(exc)
    raise BadInput(problem)
