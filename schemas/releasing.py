"""How is a schema frozen, so that bytes written under it can be read for ever?"""

from __future__ import annotations

import json
from pathlib import Path

from safebus.schemas.errors import BadSchema
from safebus.schemas.event_schemas import EventSchemas, event_schemas
from safebus.schemas.evolution import against

FOLDER = Path(__file__).parent / "avro" / "released"


def release(*, execute: bool, schemas: EventSchemas | None = None, folder: Path = FOLDER) -> list[str]:
    """
    Write `<folder>/<event type>/<n>.avsc` for every schema that is not frozen yet.

    Args:
        schemas: None: those that ship with this package.

    Returns:
        What was, or would be, written.

    Raises:
        BadSchema: A schema may not replace an older one; nothing is written.
    """
    found = schemas or event_schemas()
    new = [s for s in found.current.values() if s.version > len(found.released.get(s.event_type, ()))]
    problems = [
        f"{s.event_type}: {line}"
        for s in new
        for old in found.released.get(s.event_type, ())
        for line in against(old, s)
    ]
    if problems:
        raise BadSchema("\n".join(problems))
    said = []
    for schema in new:
        file = folder / schema.event_type / f"{schema.version}.avsc"
        if execute:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(schema.raw, indent=1) + "\n", "utf-8")
        said.append(f"{'released' if execute else 'would release'} {schema.event_type} version {schema.version}")
    return said or ["nothing to release: every schema is frozen"]
