"""
Which jars is Apache Kafka, as `kafka_jars/pom.xml` names it, today?

    python -m safebus.deploy.local.brokers.lock_jars     fetches all anew, past every cache, and writes down their sums
"""

import os
import sys
import tempfile
from pathlib import Path

from safebus.deploy.local.brokers import jar_sums
from safebus.deploy.local.brokers.broker import BrokerError
from safebus.deploy.local.brokers.kafka_tools import fetch, find_java, find_mvn
from safebus.deploy.service.terminal import say


def main() -> None:
    """Fetch the jars of `pom.xml` anew, and write down what they are; say what changed."""
    before = jar_sums.read_sums() if jar_sums.SUMS.is_file() else {}
    with tempfile.TemporaryDirectory() as work:
        try:
            java, mvn = find_java(os.environ), find_mvn(os.environ)
            found = jar_sums.sums_of(fetch(mvn, work=Path(work), java=java, environ=os.environ, past_caches=True))
            of_maven = jar_sums.sums_in_repository(Path(work) / "repository")
        except BrokerError as exc:
            say(f"safebus: {exc}")
            sys.exit(1)
    for file, sums in ((jar_sums.SUMS, found), (jar_sums.OF_MAVEN, of_maven)):
        file.parent.mkdir(exist_ok=True)
        file.write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()), "ascii")
    changed = [name for name in sorted(found.keys() | before.keys()) if found.get(name) != before.get(name)]
    say("\n  ".join([f"{len(found)} jars in {jar_sums.SUMS.name}; other than before: {len(changed)}", *changed]))


if __name__ == "__main__":
    main()
