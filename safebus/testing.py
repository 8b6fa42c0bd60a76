"""What is a publisher's own test written with? See `safebus.deploy.testing`."""

from safebus.deploy.testing import Answer as Answer
from safebus.deploy.testing import BusInMemory as BusInMemory
from safebus.deploy.testing import Told as Told

__all__ = ["Answer", "BusInMemory", "Told"]
