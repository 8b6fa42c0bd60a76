"""
Do all processes of an agency make the keys of its cases with the same secret?

Two that do not put one case on two partitions: its events are decided in no order, and a correction may come before
what it corrects. Nobody sees it, since keys are opaque. So each event says by a fingerprint which secret its key was
made with (`schemas.headers.CASE_KEY_BY`), and the register may name the one that an agency uses. What differs is
counted and logged, and decided all the same: an alert that is lost costs more than one out of order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

import structlog

from safebus.schemas import headers as wrapping
from safebus.streams.worker.counts import Counts

log = structlog.get_logger()

_FINGERPRINT = re.compile(rb"[0-9a-f]{16}")
#: Of one agency: each is said once, and anybody may write another beside each event.
_MOST_SAID = 10


class CaseSecrets:
    """Watches the fingerprints that agencies' events carry. Where there is none nothing is said: not all are ours."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._first: dict[str, str] = {}
        self._said: defaultdict[str, set[str]] = defaultdict(set)

    def seen(
        self, agency: str, headers: Iterable[tuple[str, bytes | None]], *, topic: str, registered: str | None
    ) -> None:
        """
        An event of this agency has come.

        Args:
            agency: Who owns the topic.
            registered: The fingerprint that the register names; None: it names none, and the first that came is it.
        """
        value = next((value for name, value in headers if name == wrapping.CASE_KEY_BY), None)
        if value is None or not _FINGERPRINT.fullmatch(value):
            return
        found = value.decode()
        expected = registered or self._first.setdefault(agency, found)
        if found == expected:
            return
        self._counts.under_other_secret(topic)
        said = self._said[agency]
        if found not in said and len(said) < _MOST_SAID:
            said.add(found)
            log.warning(
                "publisher.other_case_secret",
                source=agency,
                found=found,
                expected=expected,
                registered=registered is not None,
                mend="two processes of this agency have different case secrets: give all of them one, and name its "
                "fingerprint in the register (`case_secret` of the partner)",
            )
