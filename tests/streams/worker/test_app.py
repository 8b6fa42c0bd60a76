"""A worker is not built on settings that lose records."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from safebus.schemas.errors import BrokenPromise
from safebus.schemas.kafka.connection import Connection
from safebus.streams.worker import app as worker_app
from safebus.streams.worker.lane import Batches


async def test_a_worker_whose_process_did_not_install_the_tolerant_reading_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust makes its consumer itself, without asking `Connection`."""

    async def nothing(_batches: Batches, _generation: int) -> None:
        return None

    here = Connection("127.0.0.1:1")
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)  # as aiokafka has it
    with pytest.raises(BrokenPromise, match=r"not batches are read tolerantly \(`batches"):
        worker_app.build(
            here,
            ["in.police"],
            nothing,
            session_timeout_s=6.0,
            commit_every_s=0.2,
            scratch=tmp_path,
        )
