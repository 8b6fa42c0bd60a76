"""What does a count say, in sentences and for a program?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from safebus.consumers.audit.reconcile.balance import Account


def in_words(account: Account) -> Iterator[str]:
    """What is worth knowing, then whether it adds up."""
    noted = account.noted
    if noted.oldest_waiting_at is not None:
        waiting = sum(a.waiting for a in account.agencies.values())
        yield f"{waiting} wait to be decided, the oldest since {time_of(noted.oldest_waiting_at)}; is a worker running?"
    copies = noted.same_decision_again + noted.same_notification_again + noted.handed_over_again
    if copies:
        yield f"{copies} copies, byte for byte, of decisions, notifications or receipts: work that was redone"
    if noted.sent_again_by_hand:
        yield f"{noted.sent_again_by_hand} were handed over once more because a person sent them again"
    if noted.sent_again_not_taken:
        what = f"{noted.sent_again_not_taken} that were handed over before were sent again by a person and not taken"
        yield f"{what}: they count as handed over, and stand among the parked (`safebus parked list PARTNER`)"
    for where, at in noted.events_kept_since.items():
        yield f"{where} is kept since {time_of(at)} only: what was published there before is not counted"
    if noted.event_no_longer_kept:
        yield f"{noted.event_no_longer_kept} decisions are about events that are kept no longer, and were not looked at"
    yield verdict(account)


def verdict(account: Account) -> str:
    """Does it add up?"""
    published = sum(a.published for a in account.agencies.values())
    if account.findings or not account.adds_up():
        said = Counter(str(f.code) for f in account.findings)
        return "does not add up: " + ", ".join(f"{n} {code}" for code, n in sorted(said.items()))
    if not published:
        return "nothing was published in that span that is still kept"
    return f"{published} published events add up"


def as_json(account: Account) -> dict[str, Any]:
    """For a program: every count and finding, with names that stay."""
    noted = {
        **vars(account.noted),
        "oldest_waiting_at": time_of(account.noted.oldest_waiting_at),
        "events_kept_since": {where: time_of(at) for where, at in account.noted.events_kept_since.items()},
    }
    return {
        "adds_up": account.adds_up(),
        "agencies": {name: vars(agency) for name, agency in sorted(account.agencies.items())},
        "partners": {name: vars(partner) for name, partner in sorted(account.partners.items())},
        "noted": noted,
        "findings": [{**vars(finding), "to_do": finding.to_do} for finding in account.findings],
    }


def time_of(at: int | None) -> str | None:
    """Milliseconds since 1970, as ISO 8601 in UTC."""
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
