"""
Where on the topics does it stand what we know of an event?

A cache in one SQLite file of the home: event id -> offsets of its decision and its receipts, and how far each partition
has been read. It holds ids and offsets, nothing else, and can be deleted at any time: `indexing` makes it again
from the topics. For each partition it remembers the last record it read, as a digest: if something else stands there
now, this is another broker or another topic, and the index is begun again.

Several processes may have it open. Each adds what follows on what was there when it began, so whichever is first, the
others add the same again; a `generation` tells them when someone begun it again in between.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safebus.schemas.errors import NotReachable

FILE = "index.db"
_VERSION = 2
_WAIT_MS = 20_000  # for another process that is writing
_CACHE_KIB = 32_768

_TABLES = """
    CREATE TABLE generation (number INTEGER NOT NULL);
    INSERT INTO generation VALUES (1);
    CREATE TABLE place (
        event BLOB, topic TEXT, part INTEGER, at INTEGER, PRIMARY KEY (event, topic, part, at)
    ) WITHOUT ROWID;
    CREATE TABLE entry (record_id TEXT PRIMARY KEY, at INTEGER) WITHOUT ROWID;
    CREATE TABLE reached (
        topic TEXT, part INTEGER, next INTEGER, last INTEGER, digest BLOB, PRIMARY KEY (topic, part)
    ) WITHOUT ROWID;
"""


class Unusable(Exception):
    """The file is no index, or a damaged one."""


class BegunAgain(Exception):
    """Another process cleared the index; what this one knows of it no longer holds."""


@dataclass(frozen=True)
class Reached:
    """
    How far a partition was read.

    Attributes:
        next: Offset of the next record to read.
        last, digest: Offset of the last record read, and what tells it from any other.
    """

    next: int
    last: int
    digest: bytes


class EventIndex:
    """One open index. Made by `open_index`."""

    def __init__(self, path: Path, base: sqlite3.Connection) -> None:
        self._path, self._base = path, base
        self._inode = path.stat().st_ino
        self._generation = self._number()

    def is_there(self) -> bool:
        """Is what we have open still the file at its path? Someone may have deleted it."""
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def reached(self) -> dict[tuple[str, int], Reached]:
        """(topic, partition) -> how far it was read."""
        with _damage_said():
            self._generation = self._number()
            rows = self._base.execute("SELECT topic, part, next, last, digest FROM reached").fetchall()
        return {(topic, part): Reached(next_, last, digest) for topic, part, next_, last, digest in rows}

    def places(self, event: bytes) -> list[tuple[str, int, int]]:
        """(topic, partition, offset) of every record about this event, in this order."""
        asked = "SELECT topic, part, at FROM place WHERE event = ? ORDER BY topic, part, at"
        with _damage_said():
            return [(str(t), int(p), int(at)) for t, p, at in self._base.execute(asked, (event,))]

    def entries(self) -> Mapping[str, int]:
        """Register record id -> offset of its newest record, for the kinds that are indexed."""
        with _damage_said():
            return dict(self._base.execute("SELECT record_id, at FROM entry").fetchall())

    def add(
        self,
        topic: str,
        part: int,
        *,
        events: Iterable[tuple[bytes, int]] = (),
        entries: Iterable[tuple[str, int]] = (),
        reached: Reached,
    ) -> None:
        """
        Add what was read of one partition.

        Args:
            events: (event, offset). That they were there before changes nothing.

        Raises:
            BegunAgain: The index was cleared since `reached` was asked.
        """
        rows = sorted((event, topic, part, at) for event, at in events)
        with self._writing():
            self._base.executemany("INSERT OR IGNORE INTO place VALUES (?, ?, ?, ?)", rows)
            self._base.executemany(
                "INSERT INTO entry VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)", list(entries)
            )
            self._base.execute(
                "INSERT INTO reached VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
                "SET next = excluded.next, last = excluded.last, digest = excluded.digest "
                "WHERE excluded.next > next",
                (topic, part, reached.next, reached.last, reached.digest),
            )

    def clear(self) -> None:
        """Begin again; other processes are told."""
        with self._writing():
            for table in ("place", "entry", "reached"):
                self._base.execute(f"DELETE FROM {table}")  # noqa: S608 - our own three words
            self._base.execute("UPDATE generation SET number = number + 1")
        self._generation += 1

    def _number(self) -> int:
        [(number,)] = self._base.execute("SELECT number FROM generation").fetchall()
        return int(number)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with _damage_said():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                if self._number() != self._generation:
                    raise BegunAgain
                yield
                self._base.execute("COMMIT")
            except BaseException:
                self._base.execute("ROLLBACK")
                raise


@contextmanager
def open_index(home: Path, *, say: Callable[[str], None]) -> Iterator[EventIndex]:
    """Open the index of this home, or make one. What is no index is thrown away, and `say` tells."""
    path = home / FILE
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        base = _open(path)
    except Unusable as exc:
        say(f"`{path}` cannot be used ({exc}); it is made again from the topics")
        throw_away(home)
        base = _open(path)
    try:
        yield EventIndex(path, base)
    finally:
        base.close()


def throw_away(home: Path) -> None:
    """Delete the index. It is a cache: nothing is lost."""
    for ending in ("", "-wal", "-shm"):
        (home / f"{FILE}{ending}").unlink(missing_ok=True)


def _open(path: Path) -> sqlite3.Connection:
    # Made by us first, so that it is ours alone; SQLite gives its other files the same rights.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    base = sqlite3.connect(path, isolation_level=None, timeout=_WAIT_MS / 1000)
    try:
        with _damage_said():
            base.execute("PRAGMA journal_mode = WAL")
            base.execute("PRAGMA synchronous = NORMAL")  # after a power cut it may be a little older: it is a cache
            base.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            if _version(base) == 0:
                _make_tables(base)
            if _version(base) != _VERSION:
                raise Unusable(f"it is of version {_version(base)}, expected {_VERSION}")
            base.execute("SELECT number FROM generation").fetchall()
    except BaseException:
        base.close()
        raise
    return base


def _version(base: sqlite3.Connection) -> int:
    [(found,)] = base.execute("PRAGMA user_version").fetchall()
    return int(found)


def _make_tables(base: sqlite3.Connection) -> None:
    base.execute("BEGIN IMMEDIATE")
    if _version(base) == 0:  # another process may have been first
        for statement in _TABLES.strip().rstrip(";").split(";"):
            base.execute(statement)
        base.execute(f"PRAGMA user_version = {_VERSION}")
    base.execute("COMMIT")


@contextmanager
def _damage_said() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as exc:
        if "locked" in str(exc):
            raise NotReachable(
                f"another process has been writing `{FILE}` for {_WAIT_MS // 1000} s; try again"
            ) from exc
        raise Unusable(str(exc)) from exc
    except sqlite3.DatabaseError as exc:
        raise Unusable(str(exc)) from exc
