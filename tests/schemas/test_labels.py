"""A label acts, travels or is kept; one that the bus does not honour refuses the event."""

import pytest

from safebus.deploy.local.demo import story
from safebus.schemas import labels
from safebus.schemas.errors import BadInput
from safebus.schemas.events import Handling
from safebus.schemas.labels import Effect


def test_those_of_an_effect_are_given_in_the_order_of_the_event() -> None:
    given = ("ORCON", "NODSCLCD", "PERSISTLABEL", "AUDIT")

    assert labels.those(given, Effect.TRAVELS) == ("ORCON", "PERSISTLABEL")
    assert labels.those(given, Effect.HOLDS) == ("NODSCLCD",)
    assert labels.those(given, Effect.KEPT) == ("AUDIT",)


@pytest.mark.parametrize("where", ["refrain", "obligations"])
def test_a_label_that_is_not_honoured_is_refused_with_those_that_are(where: str) -> None:
    with pytest.raises(BadInput) as err:
        Handling.model_validate({where: ["NOREUSE"]})

    honoured = labels.REFRAIN if where == "refrain" else labels.OBLIGATIONS
    assert f"it honours {', '.join(sorted(honoured))}" in str(err.value)
    assert "NOREUSE" not in str(err.value)


def test_a_label_stands_where_it_belongs() -> None:
    """An obligation is no refrain: the bus would look for it in the wrong list."""
    with pytest.raises(BadInput):
        Handling(refrain=("HUAPRV",))


def test_the_demonstration_is_labelled_as_made_up() -> None:
    assert story.incident().handling.obligations == ("HTEST",)
