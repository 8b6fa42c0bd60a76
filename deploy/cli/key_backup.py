"""`safebus keys backup`, `restore`, `drill`: one sealed file, and shares of what opens it for several people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import put_on_record
from safebus.deploy.cli.options import FORM, REASON, SOME, Form, example, needs_reason, stop
from safebus.deploy.cli.output import clear_terminal, show
from safebus.deploy.service.terminal import clock, say, tell

if TYPE_CHECKING:
    from safebus.deploy.service.key_backup import Backup
    from safebus.deploy.service.key_pack import Pack
    from safebus.deploy.service.key_shares import Share
    from safebus.deploy.service.operations import Act
    from safebus.deploy.service.settings import Settings

app = typer.Typer()

SHARE: list[Path] = typer.Option(
    [], "--share", metavar="FILE", help="one share; repeatable, in any order; none named: they are asked for"
)
NO_BROKER = typer.Option(
    False, "--no-broker", help="none can be reached: it is noted in the home, and on record as soon as one can"
)
FILE = typer.Argument(..., help="as `safebus keys backup` wrote it")


@app.command(
    "backup",
    epilog=example(
        'safebus keys backup --to bus.keys --shares 5 --needed 3 --reason "the bus goes live"',
        'safebus keys backup --to bus.keys --shares-to ./for-five-people --reason "a year has passed"',
    ),
)
def keys_backup(
    to: Path = typer.Option(..., "--to", help="a new file for all keys of SAFEBUS_HOME, sealed"),
    shares: int = typer.Option(5, "--shares", help="how many people get a share"),
    needed: int = typer.Option(3, "--needed", help="how many of them open it"),
    shares_to: Path | None = typer.Option(
        None, "--shares-to", help="a new folder, a file for each person; default: shown here, one after another"
    ),
    reason: str = REASON,
    no_broker: bool = NO_BROKER,
) -> None:
    """Seal all keys of SAFEBUS_HOME in one file, which only enough of the shares open."""
    from safebus.deploy.service import key_backup, settings
    from safebus.deploy.service.operations import Act
    from safebus.schemas.errors import BadInput

    needs_reason(True, reason, option="")
    found = settings.load()
    if to.exists() or not to.parent.is_dir():
        what = "exists already" if to.exists() else f"cannot be written: there is no folder `{to.parent}`"
        raise BadInput(f"`{to}` {what}; name a new file")
    if shares_to is not None:
        key_backup.check_new_folder(shares_to)
    backup = key_backup.make(found.home, number=shares, needed=needed, now=clock())
    _on_record(found, Act("keys backup", backup.header.about, reason, len(backup.header.keys)), no_broker)
    # The shares first: a file that nobody can open is no backup, and looks like one.
    if shares_to is None:
        _show_each(backup)
    else:
        files = key_backup.write_shares(shares_to, backup)
        say(f"wrote {', '.join(file.name for file in files)} into {shares_to}; give each to one person, and keep none")
    key_backup.write_new(to, backup.data)
    say(f"wrote {len(backup.header.keys)} keys into {to}; any {needed} of {shares} shares open it, fewer tell nothing")


def _show_each(backup: Backup) -> None:
    from safebus.deploy.service import key_backup

    for share in backup.shares:
        _wait(f"share {share.number} of {len(backup.shares)}: its person alone looks; Enter")
        tell(key_backup.share_text(backup.header, share))
        _wait("Enter when it is written down")
        clear_terminal()


def _wait(until: str) -> None:
    typer.prompt(until, default="", show_default=False, prompt_suffix=" ", err=True)


@app.command(
    "restore", epilog=example("safebus keys restore bus.keys --share 1.txt --share 4.txt --share 5.txt --reason fire")
)
def keys_restore(
    file: Path = FILE, share: list[Path] = SHARE, reason: str = REASON, no_broker: bool = NO_BROKER
) -> None:
    """Bring all keys of a backup back into a SAFEBUS_HOME that has none."""
    from safebus.deploy.service import key_backup, key_pack, settings

    needs_reason(True, reason, option="")
    found = settings.load()
    pack = key_pack.read(file)
    empty = key_backup.check_restorable(found.home, pack.header)
    keys = _opened(found, pack, share, _act_on(pack, "keys restore", reason), no_broker)
    if empty:
        key_backup.restore(found.home, keys)
    say(f"{'wrote' if empty else 'all there already, nothing written:'} {', '.join(keys)} in {found.home / 'keys'}")


@app.command(
    "drill", epilog=example("safebus keys drill bus.keys --share 2.txt --share 3.txt --share 5.txt --reason quarterly")
)
def keys_drill(
    file: Path = FILE,
    share: list[Path] = SHARE,
    output: Form = FORM,
    reason: str = REASON,
    no_broker: bool = NO_BROKER,
) -> None:
    """Prove that a backup opens and holds the very keys that this bus uses. Writes no key; exit code 3: it differs."""
    from safebus.deploy.service import key_drill, key_pack, settings

    needs_reason(True, reason, option="")
    found = settings.load()
    pack = key_pack.read(file)
    keys = _opened(found, pack, share, _act_on(pack, "keys drill", reason), no_broker)
    rows = key_drill.with_home(keys, found.home)
    if not no_broker:
        rows += run(lambda: key_drill.with_bus(keys, found.connection()))
    shown = [{"what": row.what, "as it should be": "yes" if row.fine else "no", "found": row.found} for row in rows]
    show(shown, output, columns=["what", "as it should be", "found"])
    if not all(row.fine for row in rows):
        raise stop(SOME, "this is no good backup of the bus as it is; `safebus keys backup` makes a new one")
    if no_broker:
        say(f"the backup of {pack.header.made:%Y-%m-%d} opens; with what the bus uses it was not compared: --no-broker")
        return
    _on_record(found, _act_on(pack, "keys drill passed", reason), no_broker)
    say(f"the backup of {pack.header.made:%Y-%m-%d} opens, and nothing differs; on record as `keys drill passed`")


def _act_on(pack: Pack, what: str, reason: str) -> Act:
    from safebus.deploy.service.operations import Act

    return Act(what, pack.header.about, reason, len(pack.header.keys))


def _opened(found: Settings, pack: Pack, files: Sequence[Path], act: Act, no_broker: bool) -> dict[str, bytes]:
    """The keys in a backup; that they are looked at is on record before a share is typed."""
    from safebus.deploy.service import key_backup

    shares = [key_backup.read_share(file) for file in files]
    _on_record(found, act, no_broker)
    return key_backup.opened(pack, shares or _asked_for(pack))


def _asked_for(pack: Pack) -> list[Share]:
    """One share after another, as people type it, until there are enough."""
    from safebus.deploy.service import key_shares
    from safebus.schemas.errors import BadInput

    shares: dict[int, Share] = {}
    of = pack.header.shares
    while len(shares) < of.needed:
        typed = typer.prompt(f"the words of a share, on one line ({len(shares)} of {of.needed} are there)", err=True)
        try:
            share = key_shares.read(str(typed), named="the share that was typed")
        except BadInput as exc:
            say(f"{exc}; type it again")
            continue
        shares[share.number] = share
    return list(shares.values())


def _on_record(found: Settings, act: Act, no_broker: bool) -> None:
    """
    Put on record what is about to be done; without a broker, note it until there is one.

    Raises:
        NotReachable: It cannot be written, and nobody said that there is no broker.
    """
    from safebus.deploy.service import late_record
    from safebus.schemas.errors import BadInput, NotReachable

    if no_broker:
        late_record.note(found.home, act, now=clock())
        return
    hint = "if there is none to be reached, --no-broker notes it and goes on"
    try:
        found.bootstrap()
    except BadInput as exc:
        raise NotReachable(
            f"{act.what}: nothing was done, because it could not be put on record: {exc}; {hint}"
        ) from None
    try:
        put_on_record(found, act)
    except NotReachable as exc:
        raise NotReachable(f"{exc}; {hint}") from exc
