"""
How do we start a server that cannot outlive us, and stop it?

A server gets a session of its own, so Ctrl-C in our terminal does not reach it before we have stopped
in order. Then nothing would end it if we were killed with SIGKILL, so on Linux it is started through a
few lines of Python (`_LAUNCH`) that ask the kernel to signal it when we die, and become the server.
On other systems a server whose owner was killed has to be ended by hand.
"""

import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

LOG_LINES: Final = 15  # of a server's log, in an error message
PORTS: Final = range(15_000, 32_000)

# Not preexec_fn, which may deadlock in a process with threads. The order matters: changing the user
# clears the request, and a parent that died before the request was made is never noticed.
# 1 is PR_SET_PDEATHSIG. Python ignores SIGPIPE, and what is ignored stays so for the server.
_LAUNCH: Final = """
import ctypes, os, signal, sys
parent, death, uid, gid = map(int, sys.argv[1:5])
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
libc = ctypes.CDLL(None) if sys.platform == "linux" else None
if uid >= 0:
    os.setgroups([]); os.setgid(gid); os.setuid(uid)
if libc:
    libc.prctl(1, death)
if os.getppid() != parent:
    os._exit(1)
os.execv(sys.argv[5], sys.argv[5:])
"""


def start_child(
    argv: Sequence[str],
    *,
    log: Path,
    cwd: Path,
    environ: Mapping[str, str],
    if_we_die: signal.Signals = signal.SIGKILL,
    owner: pwd.struct_passwd | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """
    Start a server in a session of its own.

    Args:
        argv: The program by its full path, and its arguments.
        log: Where its output is appended.
        cwd: Where it runs; `owner` need not be allowed to walk there.
        if_we_die: What the kernel sends it when this process ends without stopping it.
        owner: The user it runs as; only root may name one.
    """
    who = (str(owner.pw_uid), str(owner.pw_gid)) if owner else ("-1", "-1")
    launch = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), str(int(if_we_die)), *who, *argv]

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                launch,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=dict(environ),
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )

    # The kernel signals when the THREAD that forked ends, not the process: a server started from
    # `asyncio.to_thread` would be killed with that thread. So one thread starts them all, and stays.
    starting = _launcher().submit(start)
    try:
        return starting.result()
    except BaseException:
        # Ctrl-C, while the other thread went on: nobody would know of this child.
        if starting.exception() is None:
            starting.result().kill()
            starting.result().wait()
        raise


@cache
def _launcher() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="child-launcher")


def stop_child(child: subprocess.Popen[bytes], *, ask: signal.Signals, wait_s: float) -> None:
    """Ask it to end, wait, and kill it if it does not; returns when it is gone."""
    if child.poll() is not None:
        return
    child.send_signal(ask)
    try:
        child.wait(wait_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def ended_within(child: subprocess.Popen[bytes], wait_s: float) -> bool:
    """Wait a moment for its end: the pace of every loop that waits for it to answer."""
    try:
        child.wait(wait_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def last_lines(log: Path) -> str:
    """The end of its log, for an error message; each line indented."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "".join(f"\n    {line}" for line in lines[-LOG_LINES:] if line.strip()) or " (its log is empty)"


#: What every server's log says of a port that another process took before it could.
TAKEN: Final = "Address already in use"


def free_port(*, but: int = 0) -> int:
    """
    A loopback port on which nobody listens, and another than `but`.

    Another process may take it before the server for which it was chosen does: look for `TAKEN` in that server's log,
    and choose again.

    Not one of the kernel's own choice (port 0): those are also handed to outgoing connections, so while
    a broker is down, a client that keeps trying can be given the broker's port, connect to itself, and
    keep the broker from coming back.
    """
    while True:
        port = secrets.choice(PORTS)
        if port != but and is_free(port):
            return port


def is_free(port: int) -> bool:
    """Nobody listens on this loopback port; a connection that only lingers there does not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
