"""Documents as others may send them: with any value anywhere."""

import copy
from typing import Any

from hypothesis import strategies as st

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def paths(value: Any, *, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value inside stands."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for step, inside in steps for path in ((*at, step), *paths(inside, at=(*at, step)))]


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value there; `...` takes it out."""
    document = copy.deepcopy(document)
    place = document
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


@st.composite
def changes(draw: st.DrawFn, document: Any, most: int = 3) -> Any:
    """The document after one or several of them."""
    for _ in range(draw(st.integers(1, most))):
        if where := paths(document):
            document = changed(document, draw(st.sampled_from(where)), draw(json_values | st.just(...)))
    return document
