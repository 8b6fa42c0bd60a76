"""What does this application publish by?"""

from __future__ import annotations

from deploy import AGENCY, BUS
from safebus import Connection, Publisher

publisher = Publisher(Connection(BUS), agency=AGENCY, case_secret=b"s" * 32, timeout_s=30)
