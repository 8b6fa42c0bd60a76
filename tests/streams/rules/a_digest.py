"""Everything the demonstration decides, as one digest; run in a process of its own by test_properties."""

import hashlib

from a_register import demo, share

from safebus.deploy.local.demo import story
from safebus.schemas import codec


def digest() -> str:
    """SHA-256 over every decision record and every notification of the story's first chapter."""
    found = hashlib.sha256()
    for event, _ in story.first_chapter():
        shared = share(event, demo())
        found.update(codec.encode_record(shared.record))
        for output in shared.outputs:
            found.update(output.value)
    return found.hexdigest()


if __name__ == "__main__":
    print(digest())
