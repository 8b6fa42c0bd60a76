"""
What does this YAML say, and on which line?

An information-governance lead edits agreements by hand, so every complaint must name file, line, what was found and
what was expected. PyYAML gives marks for nodes; this keeps them beside the plain values.

PyYAML reads YAML 1.1, in which `NO` is false, `0123` is 83 and `12:30` is 750. What YAML 1.2 reads otherwise is no
value here: whoever wrote it says which of the two it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from safebus.schemas.errors import BadRegister
from safebus.schemas.nearest import or_the_known

#: Numbers that YAML 1.1 reads in eights, sixteens, twos or sixties, and 1.2 otherwise.
_NUMBER_OF_TWO_KINDS = re.compile(r"[-+]?0[0-9].*|.*[_:xb].*")
#: Control characters, and those that turn the direction of reading (UAX 9, 2): `"\x07"` and copied text bring them in.
#: A name with one looks like another name, or acts where it is shown. Line breaks and tabs are text.
_ACTS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: Values that aliases may add to those that stand in a file.
MOST_REPEATED = 1000

M = TypeVar("M", bound=BaseModel)
YamlPath = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlText:
    """
    One parsed file.

    Attributes:
        data: Plain values.
        lines: The line of every value, counted from 1, by its path.
    """

    name: str
    data: Any
    lines: Mapping[YamlPath, int]

    def where(self, path: YamlPath) -> str:
        """`file` line 4, for the value at this path or the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"`{self.name}` line {self.lines.get(path, 1)}"


def parse(name: str, text: str, *, hidden: bool = False) -> YamlText:
    """
    Parse one YAML file.

    Args:
        hidden: Let in characters that nobody sees: where each value is judged by itself, one must not stop the others.

    Raises:
        BadRegister: It is not YAML, or a key stands twice.
    """
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as exc:
        line = text[: exc.position].count("\n") + 1
        raise BadRegister([f"`{name}` line {line}: a control character stands here; type the line again"]) from None
    try:
        node = loader.get_single_node()
        lines: dict[YamlPath, int] = {}
        _few_repeats(name, node)
        if not hidden:
            _nothing_unseen(name, node)
        data = _plain(loader, node, (), lines, name) if node is not None else None
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise BadRegister([f"`{name}` line {line}: this is not YAML: {exc.problem}"]) from None
    except RecursionError:
        raise BadRegister([f"`{name}`: it is nested too deep, or a part of it contains itself"]) from None
    finally:
        loader.dispose()
    return YamlText(name=name, data=data, lines=lines)


def _few_repeats(name: str, node: yaml.Node | None) -> None:
    """An alias (`*name`) stands for a part again, which may hold aliases in turn: ten lines could fill a machine."""
    sizes: dict[int, int] = {}

    def size(of: yaml.Node) -> int:
        if id(of) not in sizes:
            sizes[id(of)] = 0  # what contains itself is without end, and found to be so when it is read
            below = [each for pair in of.value for each in (pair if isinstance(of, yaml.MappingNode) else (pair,))]
            sizes[id(of)] = 1 + sum(map(size, below)) if isinstance(of, yaml.CollectionNode) else 1
        return sizes[id(of)]

    if node is not None and size(node) - len(sizes) > MOST_REPEATED:
        raise BadRegister([f"`{name}`: aliases (`*name`) repeat more than {MOST_REPEATED} values; write them out"])


def _nothing_unseen(name: str, node: yaml.Node | None) -> None:
    left, looked_at = [node] if node is not None else [], set[int]()
    while left:
        each = left.pop()
        if id(each) in looked_at:  # an alias
            continue
        looked_at.add(id(each))
        if isinstance(each, yaml.ScalarNode):
            if found := _ACTS.search(each.value):
                where = f"`{name}` line {each.start_mark.line + 1}: U+{ord(found[0]):04X} stands in this text"
                raise BadRegister([f"{where}; nobody sees it, and it changes what is shown: take it out"])
        else:
            left += [one for pair in each.value for one in (pair if isinstance(each, yaml.MappingNode) else (pair,))]


def _plain(loader: yaml.SafeLoader, node: yaml.Node, path: YamlPath, lines: dict[YamlPath, int], name: str) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise BadRegister([f"`{name}` line {key_node.start_mark.line + 1}: a name is expected before `:`"])
            key = key_node.value  # as it is written: `no` is a name here
            if key in found:
                raise BadRegister([f"`{name}` line {key_node.start_mark.line + 1}: `{key}` stands twice; keep one"])
            found[key] = _plain(loader, value_node, (*path, key), lines, name)
            lines[(*path, key)] = key_node.start_mark.line + 1
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, item, (*path, i), lines, name) for i, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)  # there are three kinds of nodes
    if hint := _two_ways(node):
        raise BadRegister([f"`{name}` line {node.start_mark.line + 1}: {hint}"])
    try:
        return loader.construct_object(node)
    except (AttributeError, IndexError):  # `!!timestamp x`, `!!int ''`
        raise BadRegister([f"`{name}` line {node.start_mark.line + 1}: a value is not of the type it names"]) from None
    except ValueError as exc:  # a date such as 2026-02-30
        raise BadRegister([f"`{name}` line {node.start_mark.line + 1}: a value cannot be read: {exc}"]) from None


def _two_ways(node: yaml.ScalarNode) -> str:
    """What to do where YAML 1.1 and 1.2 read a plain word as two things; empty: they do not."""
    word, kind = node.value, node.tag.rpartition(":")[2]
    if kind == "bool" and word.casefold() not in ("true", "false"):
        return f"found `{word}`, which some programs read as yes or no; write true or false, or put text in quotes"
    if kind in ("int", "float") and _NUMBER_OF_TWO_KINDS.fullmatch(word):  # it may be somebody's, so it is not repeated
        return "programs read this number in more than one way; write 83, not 0123 or 8_3; put an identifier in quotes"
    return ""


def read(text: YamlText, data: Any, at: YamlPath, model: type[M], what: str) -> M:
    """
    Read one entry as a model.

    Args:
        at: Where in the file `data` stands.
        what: How to name the entry in a complaint: "agreement `school-gp`".

    Raises:
        BadRegister: One line for each problem.
    """
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        found = exc.errors()
        raise BadRegister(
            [_complaint(text, at, what, problem, model) for problem in found if not _follows(problem, found)]
        ) from None


def _follows(problem: Any, found: list[Any]) -> bool:
    """A list whose only item is wrong counts as empty too: that is the same slip, told twice."""
    return problem["type"] == "too_short" and any(
        other["loc"][: len(problem["loc"])] == problem["loc"] for other in found if other is not problem
    )


def _complaint(text: YamlText, at: YamlPath, what: str, problem: Any, model: type[BaseModel]) -> str:
    loc: YamlPath = tuple(problem["loc"])
    place = f"{text.where((*at, *loc))}: {what}"
    field = ".".join(str(step) for step in loc)
    if problem["type"] == "extra_forbidden":
        hint = or_the_known(str(loc[-1]), names_near(model, loc))
        return f"{place}: unknown field `{loc[-1]}`{hint}"
    if problem["type"] == "missing":
        return f"{place}: `{field}` is missing"
    if problem["type"] in ("enum", "literal_error"):
        expected = str(problem["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        hint = or_the_known(str(problem["input"]), expected, said="expected one of")
        return f"{place}: `{field}`: found `{problem['input']}`{hint}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "string_type" and isinstance(problem["input"], int | float | date):
        message = "expected text, and this is read as a number, a date, or yes or no; put it in quotes"
    return f"{place}: `{field}`: {message}" if field else f"{place}: {message}"


def names_near(model: type[BaseModel], loc: YamlPath) -> list[str]:
    """The fields that the model at this place knows."""
    current: Any = model
    for step in loc[:-1]:
        if isinstance(step, int):
            continue
        field = current.model_fields.get(step) if isinstance(current, type) and issubclass(current, BaseModel) else None
        current = next(iter(_models_in(field.annotation if field else None)), current)
    return sorted(field.alias or name for name, field in current.model_fields.items())


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models_in(part)
