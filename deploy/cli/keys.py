"""`safebus keys`: make the keys of a bus once, say which are here, and give each role its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safebus.deploy.cli import key_backup
from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import SECOND, put_on_record, write_to_register
from safebus.deploy.cli.options import EXECUTE, FORM, REASON, Form, example, needs_reason
from safebus.deploy.cli.output import show
from safebus.deploy.service.terminal import clock, say

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
    from safebus.deploy.service import key_files, key_names, settings

    home = settings.load().home
    rows = []
    for path in key_files.held(home):
        mark = key_files.fingerprint(path.name, key_files.read(home, path.name))
        rows.append({"file": path.name, "fingerprint": mark, "roles": key_files.roles_of(path.name)})
        if key_names.base_name(path.name) == key_files.PERSON:
            generation = key_names.generation(path.name)
            mark = key_files.digest_key(home).of(generation).fingerprint
            about = f"{key_names.numbered(key_files.DIGEST, generation)}, made of {path.name}"
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


@app.command("rotate", epilog=example('safebus keys rotate person --execute --reason "a laptop was stolen"'))
def keys_rotate(
    what: str = typer.Argument(..., help="person: what tokens are written under; seal: what quarantine is sealed to"),
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """Make the secret, or the pair, that follows the one in use."""
    from safebus.deploy.service import key_rotation, settings
    from safebus.deploy.service.operations import Act
    from safebus.schemas.errors import BadInput
    from safebus.schemas.nearest import or_the_known
    from safebus.streams.register.follow import current_register

    needs_reason(execute, reason)
    if what not in key_rotation.ROTATED:
        raise BadInput(f"`{what}` does not rotate{or_the_known(what, key_rotation.ROTATED, said='what does is')}")
    found = settings.load()
    register = run(lambda: current_register(found.connection(), key=found.person_key()))
    files = key_rotation.following(found.home, what, in_use=register.generation)
    if not execute:
        say(f"dry run: {', '.join(files)} would be made; --execute --reason ... does it")
        return
    put_on_record(found, Act("keys rotate", tuple(files), reason))
    made = key_rotation.rotate(found.home, what, in_use=register.generation)
    say(f"made {', '.join(made)} in {found.home / 'keys'}; keep a copy where the bus is not")
    say("`safebus keys export ROLE --to FOLDER` gives each role its own; restart each process when it has it")
    if what == "person":
        say("the one before stays in use until `safebus keys switch`")


@app.command("switch", epilog=example('safebus keys switch --execute --reason "every process has it"'))
def keys_switch(
    execute: bool = EXECUTE,
    reason: str = REASON,
    by: str = typer.Option("operator", "--by", help="who, as a role"),
    second: str = SECOND,
) -> None:
    """Write under the next generation of the person key from now on. A process that lacks it stops, and says so."""
    from safebus.deploy.service import settings
    from safebus.deploy.service.operations import Act
    from safebus.streams.register.follow import current_register
    from safebus.streams.register.write import switching_record

    needs_reason(execute, reason)
    found = settings.load()
    connection, key = found.connection(), found.person_key()
    register = run(lambda: current_register(connection, key=key))
    record = switching_record(register, key, at=clock(), by=by, reason=reason)
    following = key.of(register.generation + 1)
    if not execute:
        say(
            f"dry run: from then on generation {following.generation} counts, person key {following.fingerprint}, "
            f"digest key {following.digests.fingerprint}; --execute --reason ... does it. Every worker, adapter, "
            "registrar and auditor must have its own of it and have been restarted: `safebus keys show` there says so"
        )
        return
    act = Act("keys switch", (record.record_id,), reason)
    offset = write_to_register(found, register, [record], act, key=key, second=second)
    say(f"generation {following.generation} counts from register offset {offset}; keep those before it for ever")
