"""`safebus keys`: make the keys of a bus once, say which are here, and give each role its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safebus.deploy.cli import key_backup
from safebus.deploy.cli.options import FORM, Form, example
from safebus.deploy.cli.output import show
from safebus.deploy.service.terminal import say

app = typer.Typer(
    name="keys",
    help="The keys of the bus: made once, and each role has its own.",
    no_args_is_help=True,
    epilog=example("safebus keys init"),
)
app.add_typer(key_backup.app)


@app.command("init", epilog=example("safebus keys init", "safebus keys init --agency fordshire-police"))
def keys_init(
    agency: Annotated[
        list[str], typer.Option("--agency", help="only the secret for case keys of this publisher; may be repeated")
    ] = [],  # noqa: B006  # typer copies it
) -> None:
    """Make the keys of a new bus in SAFEBUS_HOME; what is there stays as it is. Keep a copy where the bus is not."""
    from safebus.deploy.service import key_files, settings

    home = settings.load().home
    made = key_files.init_cases(home, agency) if agency else key_files.init(home)
    say(f"made {', '.join(made)} in {home / 'keys'}" if made else f"all there already in {home / 'keys'}; nothing made")
    if not agency:
        say(f"person key {key_files.person_key(home).fingerprint}: every process of this bus says the same")


@app.command("show", epilog=example("safebus keys show"))
def keys_show(output: Form = FORM) -> None:
    """Say which keys are here, by fingerprint, and which roles work with them."""
    from safebus.deploy.service import key_files, settings

    home = settings.load().home
    rows = []
    for path in key_files.held(home):
        mark = key_files.fingerprint(path.name, key_files.read(home, path.name))
        rows.append({"file": path.name, "fingerprint": mark, "roles": key_files.roles_of(path.name)})
        if path.name == key_files.PERSON:
            mark = key_files.digest_key(home).fingerprint
            about = f"{key_files.DIGEST}, made of {path.name}"
            rows.append({"file": about, "fingerprint": mark, "roles": key_files.roles_of(key_files.DIGEST)})
    show(rows, output, columns=["file", "fingerprint", "roles"])


@app.command("export", epilog=example("safebus keys export adapter --to ./adapter-home"))
def keys_export(
    role: str = typer.Argument(..., help="worker, registrar, adapter, importer, auditor or operator"),
    to: str = typer.Option(..., "--to", help="a folder; becomes the SAFEBUS_HOME of that process"),
) -> None:
    """Write what one role works with, and nothing else, into a folder that is carried to where it runs."""
    from safebus.deploy.service import key_files, settings
    from safebus.schemas.errors import BadInput
    from safebus.schemas.nearest import or_the_known

    if role not in key_files.ROLES:
        raise BadInput(f"there is no role `{role}`{or_the_known(role, key_files.ROLES, said='there are')}")
    if not to.strip():
        raise BadInput("--to names no folder; expected one that becomes the SAFEBUS_HOME of that process")
    written = key_files.export(settings.load().home, role, Path(to))
    say(f"wrote {', '.join(written)} into {Path(to) / 'keys'}; whoever has it can do what the role `{role}` can")
