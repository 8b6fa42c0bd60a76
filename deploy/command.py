"""What does the word `safebus` start? The command line, which a publisher's install does not bring."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from safebus.deploy.cli import main as command_line
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] == "safebus":
            raise
        sys.exit(f"the command line needs `{exc.name}`, which is not installed here: pip install 'safebus[cli]'")
    command_line()
