"""Where each partner wants its notifications, and what is wrong with the file."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from safebus.consumers.adapters import destinations
from safebus.schemas.errors import BadInput


def read(tmp_path: Path, text: str) -> dict[str, object]:
    file = tmp_path / "destinations.yaml"
    file.write_text(text, "utf-8")
    found = destinations.read(file)
    return dict(found.there) | dict(found.wrong)


def test_relative_files_stand_beside_the_file_that_names_them(tmp_path: Path) -> None:
    found = read(
        tmp_path, "a-school: {transport: folder, folder: drop}\nb-hub: {transport: postgres, dsn_file: b.dsn}\n"
    )

    assert found == {
        "a-school": destinations.Folder(transport="folder", folder=tmp_path / "drop"),
        "b-hub": destinations.Postgres(transport="postgres", dsn_file=tmp_path / "b.dsn"),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A School: {transport: folder, folder: x}", "agency id"),
        ("a: [", "not YAML"),
        ("a-school: {transport: folder, folder: x}\na-school: {transport: folder, folder: y}", "`a-school`.*twice"),
        ("- a-school", "a section for each"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a-school: {transport: pigeon}", "`a-school`"),
        ("a-school: {transport: folder, foldr: x}", "`a-school.folder.foldr`"),
        ("a-school: {transport: folder, folder: x}\nb-school: {transport: folder, folder: ./y/../x}", "same `folder`"),
        (
            "a-school: {transport: webhook, url: 'https://a.example', secrets_file: s}\n"
            "b-school: {transport: webhook, url: 'https://b.example', secrets_file: s}",
            "same `secrets_file`",
        ),
        (
            "a-school: {transport: postgres, dsn_file: d}\nb-school: {transport: postgres, dsn_file: d}",
            "`a-school` and `b-school` have the same `dsn_file`",
        ),
    ],
)
def test_a_section_that_is_wrong_is_its_partner_s_trouble(tmp_path: Path, text: str, said: str) -> None:
    found = read(tmp_path, f"{text}\nhub: {{transport: folder, folder: hub}}")

    assert found["hub"] == destinations.Folder(transport="folder", folder=tmp_path / "hub")
    wrong = found["a-school"]
    assert isinstance(wrong, BadInput) and re.search(said, str(wrong)) and "destinations.yaml" in str(wrong)


def test_one_table_for_each_of_two_partners_in_one_database_is_right(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "a-school: {transport: postgres, dsn_file: d, table: a}\n"
        "b-school: {transport: postgres, dsn_file: d, table: b}",
    )

    assert not any(isinstance(each, BadInput) for each in found.values())


def test_whoever_asks_for_one_is_told_what_is_wrong_with_it_or_which_there_are(tmp_path: Path) -> None:
    file = tmp_path / "destinations.yaml"
    file.write_text("a-school: {transport: pigeon}\nhub: {transport: folder, folder: x}", "utf-8")
    found = destinations.read(file)

    assert found.of("hub") == destinations.Folder(transport="folder", folder=tmp_path / "x")
    with pytest.raises(BadInput, match=r"pigeon|transport"):
        found.of("a-school")
    with pytest.raises(BadInput, match=r"no section for `hubb`.*`hub`"):
        found.of("hubb")


def place_of(folder: Path, text: str) -> destinations.Opened:
    [found] = read(folder, text).values()
    return destinations.opened(found, clock=lambda: datetime.now(UTC))


@pytest.mark.parametrize(
    ("dsn", "unclear"),
    [
        ("postgresql://u:p@127.0.0.1:5432/health", ""),
        ("postgresql://u:p@127.0.0.1:5432/health?dbname=evil", "`dbname`"),
        ("postgresql://u:p@127.0.0.1:5432/health?search_path=evil", "`search_path`"),
        ("postgresql://u:p@127.0.0.1:5432/health?options=-csearch_path%3Devil", "`options`"),
        ("postgresql://u:p@127.0.0.1/health", "host, port and database must all be written"),
        ("postgresql://u:p@127.0.0.1:5432", "host, port and database must all be written"),
    ],
)
def test_where_a_dsn_leads_is_told_or_said_to_be_unclear(tmp_path: Path, dsn: str, unclear: str) -> None:
    """The environment, or a parameter, could take it to a database of somebody's own."""
    (tmp_path / "d").write_text(dsn, "utf-8")

    found = place_of(tmp_path, "health: {transport: postgres, dsn_file: d}")

    assert unclear in found.unclear and bool(unclear) == bool(found.unclear)
    assert "u:p" not in found.place


def test_a_place_holds_no_secret_and_is_what_is_used(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("whsec_" + "b2xk" * 8, "utf-8")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    text = "hub: {transport: webhook, url: 'https://hub.example.com/in?token=s3cret', secrets_file: s}"

    assert place_of(tmp_path, text).place == "https://hub.example.com/in"
    found = place_of(tmp_path, "ash: {transport: folder, folder: link}")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("elsewhere")  # between looking and writing
    assert found.place == str((tmp_path / "real").resolve())
    assert found.adapter._folder == (tmp_path / "real").resolve()  # type: ignore[attr-defined]


def test_every_transport_has_its_adapter(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("whsec_" + "b2xk" * 8, "utf-8")
    (tmp_path / "d").write_text("postgresql://u:p@127.0.0.1:1/x", "utf-8")
    text = (
        "a-one: {transport: folder, folder: x}\n"
        "b-two: {transport: webhook, url: 'http://127.0.0.1:1/', secrets_file: s, allow_private: true}\n"
        "c-three: {transport: postgres, dsn_file: d}\n"
    )
    file = tmp_path / "destinations.yaml"
    file.write_text(text, "utf-8")
    made = [
        destinations.opened(d, clock=lambda: datetime.now(UTC)).adapter for d in destinations.read(file).there.values()
    ]

    assert [adapter.transport for adapter in made] == ["folder", "webhook", "postgres"]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{transport: webhook, url: 'https://a.example', secrets_file: bytes}", "this is UTF-16; save it as UTF-8"),
        ("{transport: webhook, url: 'https://a.example', secrets_file: none}", "cannot be read"),
        ("{transport: folder, folder: loop}", "leads to itself"),
        ("{transport: postgres, dsn_file: port}", "cannot be read"),
        ("{transport: postgres, dsn_file: host}", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_said_and_is_no_bug(tmp_path: Path, section: str, said: str) -> None:
    """Anything else would end the deliveries to everybody."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "port").write_text("postgresql://u:p@127.0.0.1:abc/x", "utf-8")
    (tmp_path / "host").write_text(f"postgresql://u:p@{'a' * 70}.example/x?sslmode=verify-full", "utf-8")

    with pytest.raises(BadInput, match=said):
        place_of(tmp_path, f"haven: {section}")


@pytest.mark.parametrize(
    "section",
    [
        "{transport: folder, folder: ''}",
        "{transport: folder, folder: .}",
        '{transport: folder, folder: "x\\0y"}',
        "{transport: webhook, url: '', secrets_file: a}",
        "{transport: webhook, url: 'https://a.example', secrets_file: ''}",
        "{transport: postgres, dsn_file: a, table: ''}",
    ],
)
def test_a_place_without_a_name_is_none(tmp_path: Path, section: str) -> None:
    """It was the folder of the file itself, with the secrets of all others."""
    found = destinations.read(_written(tmp_path, f"a-school: {section}"))

    assert list(found.wrong) == ["a-school"] and found.there == {}


def _written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "destinations.yaml"
    file.write_text(text, "utf-8")
    return file
