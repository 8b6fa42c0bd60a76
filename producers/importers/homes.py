"""
Where does a Patient live now, of the addresses that a message gives?

Source: FHIR STU3, Address; nhsconnect/Events-Management, pds_change_of_address_1.md (current and previous address).
"""

from __future__ import annotations

from datetime import date, datetime
from xml.etree.ElementTree import Element  # the type alone: parsing is defusedxml's, in `reading`

from safebus.producers.importers.fhir_times import day
from safebus.producers.importers.stu3 import all_at, value, values
from safebus.schemas.events import DatedAddress
from safebus.schemas.uk_day import uk_day

SEVERAL = "several are given, and none starts last"


def home_of(patient: Element, *, as_of: datetime) -> tuple[DatedAddress | None, str | None]:
    """
    Where someone lives: the address with use `home` and the latest start, of those that have not ended.

    Where no address has a `use` and there is just one, it is the home (a birth notification gives the baby's so).
    Two homes of which neither is certainly the later are no answer: an address told wrongly is the worst mistake here.

    Returns:
        The address or None, and why there is none although some are given.
    """
    given = all_at(patient, "address")
    homes = [node for node in given if value(node, "use") == "home"]
    if not homes and len(given) == 1 and value(given[0], "use") is None:
        homes = given
    dated = []
    for node in homes:
        end = value(node, "period/end")
        ended = day(end, "Patient.address.period.end") if end else None
        if ended is None or ended > uk_day(as_of):
            start = value(node, "period/start")
            dated.append((day(start, "Patient.address.period.start") if start else None, node))
    if not dated:
        return None, "every home address given has ended" if homes else None
    starts = [start for start, _ in dated if start is not None]
    if len(dated) > 1 and (len(starts) < len(dated) or starts.count(max(starts)) > 1):
        return None, SEVERAL
    from_date, node = max(dated, key=lambda item: item[0] or date.min)
    lines = [text for part in ("line", "city", "district") for text in values(node, part)] or values(node, "text")
    if not lines:
        return None, "it has no lines"
    return DatedAddress(lines=tuple(lines), postcode=value(node, "postalCode"), from_date=from_date), None
