"""
The `safebus` command.

Commands import what they need when they run, so that `--help` answers at once. Errors that people can mend are one
line on stderr and an exit code (see `deploy.cli.common`), never a traceback: a traceback quotes values.
"""

from __future__ import annotations

import logging
import sys
import traceback

import typer

from safebus.deploy.cli import changing, looking, measuring, proving, running
from safebus.deploy.cli.common import FAILED, UNREACHABLE

app = typer.Typer(
    name="safebus",
    help="Share safeguarding notifications between agencies, by agreement, lawful basis and consent.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
running.add_to(app)
changing.add_to(app)
looking.add_to(app)
proving.add_to(app)
measuring.add_to(app)


def main() -> None:
    """Run the command and end with its exit code."""
    from safebus.schemas.errors import NotReachable, SafebusError
    from safebus.schemas.kafka import batches

    batches.install()
    # They report every broker that is still starting as an error; what matters raises, and is said once by us.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        app()
    except NotReachable as exc:
        typer.echo(f"safebus: {exc}", err=True)
        sys.exit(UNREACHABLE)
    except SafebusError as exc:
        typer.echo(f"safebus: {exc}", err=True)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as exc:
        # A bug of ours. The message may quote an event, so only where it is and what kind.
        at = traceback.extract_tb(exc.__traceback__)[-1]
        ours = next((f for f in reversed(traceback.extract_tb(exc.__traceback__)) if "/deploy/" in f.filename), at)
        typer.echo(
            f"safebus: a bug: {type(exc).__name__} at {ours.filename}:{ours.lineno}; please report these words",
            err=True,
        )
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
