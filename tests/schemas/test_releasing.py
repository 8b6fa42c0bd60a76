"""A schema is frozen as the next version of its type, and only if it may replace those before it."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from safebus.schemas.errors import BadSchema
from safebus.schemas.event_schemas import EventSchemas, build, event_schemas
from safebus.schemas.releasing import release

TYPE = "care.protection-plan.v1"


def schemas_with(*fields: dict[str, Any]) -> EventSchemas:
    """One event type, released once, and since then with these fields in its payload."""
    first = event_schemas().released[TYPE][0].raw
    envelope = {"fields": first["fields"][:-1]}
    payload = copy.deepcopy(first["fields"][-1]["type"])
    payload["fields"] += fields
    return build({TYPE: payload}, {TYPE: [first]}, envelope)


NEW = {"name": "reviewed", "type": ["null", "string"], "default": None, "dataClass": "PLAN_STATUS", "since": 2}


def test_what_is_frozen_already_is_left_alone(tmp_path: Path) -> None:
    assert release(execute=True, folder=tmp_path) == ["nothing to release: every schema is frozen"]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(tmp_path: Path) -> None:
    said = release(execute=False, schemas=schemas_with(NEW), folder=tmp_path)

    assert said == [f"would release {TYPE} version 2"]
    assert list(tmp_path.iterdir()) == []


def test_the_next_version_is_written_whole(tmp_path: Path) -> None:
    schemas = schemas_with(NEW)

    assert release(execute=True, schemas=schemas, folder=tmp_path) == [f"released {TYPE} version 2"]
    assert json.loads((tmp_path / TYPE / "2.avsc").read_text("utf-8")) == schemas.current[TYPE].raw


def test_one_that_may_not_replace_the_older_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    without_default = {key: value for key, value in NEW.items() if key != "default"}

    with pytest.raises(BadSchema, match=r"`payload\.reviewed` has no default, so older events cannot be read"):
        release(execute=True, schemas=schemas_with(without_default), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
