"""
The `safebus` command.

Commands import what they need when they run, so that `--help` answers at once. Errors that people can mend are one
line on stderr and an exit code (see `deploy.cli.options`), never a traceback: a traceback quotes values.
"""

from __future__ import annotations

import logging
import sys
import traceback
from types import FrameType

import typer

from safebus.deploy.cli import (
    audit,
    bench,
    consent,
    deliver,
    deliveries,
    explain,
    import_,
    keys,
    local,
    operations,
    parked,
    partners,
    policy,
    publish,
    quarantine,
    reconcile,
    register,
    replay,
    rights,
    schemas,
    topics,
    worker,
)
from safebus.deploy.cli.options import FAILED, UNREACHABLE, example
from safebus.deploy.service.terminal import say, tell

app = typer.Typer(
    name="safebus",
    help="Share safeguarding notifications between agencies, by agreement, lawful basis and consent.",
    epilog=example("safebus demo", "safebus publish EVENT.json --case MY-1"),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
# In the order in which `--help` lists them. What has no name of its own adds its commands to these.
for one in (local, worker, deliver, publish, import_, explain, reconcile, bench):
    app.add_typer(one.app)
for one in (
    keys,
    topics,
    rights,
    register,
    consent,
    policy,
    replay,
    audit,
    partners,
    deliveries,
    parked,
    quarantine,
    operations,
    schemas,
):
    app.add_typer(one.app)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        tell(f"safebus {version('safebus')}")
        raise typer.Exit


@app.callback()
def safebus(
    version: bool = typer.Option(
        False, "--version", callback=_say_version, is_eager=True, help="say which version this is"
    ),
) -> None:
    """Nothing happens before a command but its own options; `--version` alone ends here."""


def main() -> None:
    """Run the command and end with its exit code."""
    from setproctitle import setproctitle

    from safebus.deploy.service.key_files import keep_out_of_core_files
    from safebus.schemas.errors import NotReachable, SafebusError
    from safebus.schemas.kafka import batches

    keep_out_of_core_files()
    setproctitle(_title(sys.argv[1:]))
    batches.install()
    # They report every broker that is still starting as an error; what matters raises, and is said once by us.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        app()
    except NotReachable as exc:
        say(f"safebus: {exc}")
        sys.exit(UNREACHABLE)
    except SafebusError as exc:
        say(f"safebus: {exc}")
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as exc:
        # A bug of ours. The message may quote an event, so only where it is and what kind.
        frames = [*traceback.walk_tb(exc.__traceback__)]
        at, line = next((f for f in reversed(frames) if _is_ours(f[0])), frames[-1])
        where = f"{at.f_code.co_filename}:{line}"
        say(f"safebus: a bug: {type(exc).__name__} at {where}; please report these words")
        sys.exit(FAILED)


def _title(arguments: list[str]) -> str:
    """What others on this machine see of this process: which command, and none of its reasons, cases and files."""
    return " ".join(["safebus", *(word for word in arguments[:1] if word.isalpha())])


def _is_ours(frame: FrameType) -> bool:
    """Whose code is it? By its name: where the package is installed, and under which folder, tells nothing."""
    return str(frame.f_globals.get("__name__")).startswith("safebus.")


if __name__ == "__main__":
    main()
