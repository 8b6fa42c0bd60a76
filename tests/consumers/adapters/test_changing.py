"""A destination that gets another secret: nothing waits for it, and each attempt ends with what it began with."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from a_parcel import ALERT, ID, handed, parcel

from safebus.consumers.adapters.adapter import PartnerAnswer, Reply, hand_over
from safebus.consumers.adapters.changing import Changing
from safebus.consumers.adapters.folder import FolderAdapter

OTHER_ID = ID[:-1] + "f"


class Told(FolderAdapter):
    """A real one that says how often it was opened and closed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        super().__init__(folder)
        self.folder, self.opened, self.closed = folder, 0, 0

    async def open(self) -> None:
        self.opened += 1
        await super().open()

    async def close(self) -> None:
        self.closed += 1
        await super().close()

    def has(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.json"))


async def test_an_attempt_that_is_under_way_ends_where_it_began_and_the_next_goes_elsewhere(tmp_path: Path) -> None:
    old, new = Told(tmp_path / "old"), Told(tmp_path / "new")
    changing, begun, go = Changing(old), asyncio.Event(), asyncio.Event()

    async def waits() -> bool:
        begun.set()
        await go.wait()
        return True

    await changing.open()
    slow = asyncio.create_task(hand_over(changing, ALERT, may_go=waits))
    await begun.wait()
    await changing.use(new)
    in_between = (old.closed, new.opened)
    later = await handed(changing, parcel(notification_id=OTHER_ID))
    go.set()
    first = await slow

    assert first == later == PartnerAnswer(Reply.ACCEPTED, "written")
    assert (old.has(), new.has()) == ([ID], [OTHER_ID])
    assert in_between == (0, 1)
    assert (old.closed, new.closed) == (1, 0)
    await changing.close()
    assert (old.closed, new.closed) == (1, 1)


async def test_one_that_nobody_uses_any_more_is_let_go_of_at_once(tmp_path: Path) -> None:
    each = [Told(tmp_path / str(n)) for n in range(3)]
    changing = Changing(each[0])
    for adapter in each[1:]:
        await handed(changing, ALERT)
        await changing.use(adapter)

    assert [adapter.closed for adapter in each] == [1, 1, 0]
    assert [adapter.has() for adapter in each] == [[ID], [ID], []]


async def test_what_goes_wrong_in_an_attempt_lets_go_all_the_same(tmp_path: Path) -> None:
    old, new = Told(tmp_path / "old"), Told(tmp_path / "new")
    changing = Changing(old)

    async def breaks() -> bool:
        await changing.use(new)
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await hand_over(changing, ALERT, may_go=breaks)
    assert (old.closed, new.closed, old.has(), new.has()) == (1, 0, [], [])


async def test_another_transport_is_no_other_secret(tmp_path: Path) -> None:
    old, new = Told(tmp_path / "old"), Told(tmp_path / "new")
    new.transport = "webhook"
    changing = Changing(old)

    with pytest.raises(ValueError, match="delivers to a folder, not to a webhook"):
        await changing.use(new)
    assert (await handed(changing, ALERT)).code == "written"
    assert (old.has(), new.opened) == ([ID], 0)
