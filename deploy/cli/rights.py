"""`safebus rights`: who may do what on the broker, as it should be and as it is?"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, NamedTuple

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import put_on_record
from safebus.deploy.cli.options import DONE, EXECUTE, FORM, REASON, SOME, Form, example, needs_reason
from safebus.deploy.cli.output import show
from safebus.deploy.service.terminal import say

app = typer.Typer(
    name="rights",
    help="Who may read and write what on the broker.",
    no_args_is_help=True,
    epilog=example("safebus rights plan --operator op-anna"),
)

OPERATORS = typer.Option("--operator", metavar="NAME", help="a person, as the certificate names them; repeatable")
REGISTRARS = typer.Option("--registrar", metavar="NAME", help="a person who also changes the register; repeatable")
SENDERS = typer.Option("--sender", metavar="NAME", help="a person who also sends what partners are owed; repeatable")
TAKE_FROM = typer.Option("--take-from", metavar="NAME", help="who has left: take all they have; repeatable")
ADAPTERS = typer.Option(
    "--adapter", metavar="NAME=PARTNERS", help="a delivery process for several partners, with commas; repeatable"
)
IMPORTERS = typer.Option("--importer", metavar="AGENCY", help="an agency that others publish for; repeatable")


@app.command("plan", epilog=example("safebus rights plan --operator op-anna -o csv"))
def rights_plan(
    operator: Annotated[list[str], OPERATORS] = [],  # noqa: B006  # typer copies it
    registrar: Annotated[list[str], REGISTRARS] = [],  # noqa: B006
    sender: Annotated[list[str], SENDERS] = [],  # noqa: B006
    adapter: Annotated[list[str], ADAPTERS] = [],  # noqa: B006
    importer: Annotated[list[str], IMPORTERS] = [],  # noqa: B006
    output: Form = FORM,
) -> None:
    """Say which rights there should be, which are missing, and which are too many (exit code 3: some)."""
    _rights(_Named(operator, registrar, sender, adapter, importer), output, execute=False)


@app.command("apply", epilog=example('safebus rights apply --operator op-anna --execute --reason "Anna starts"'))
def rights_apply(
    operator: Annotated[list[str], OPERATORS] = [],  # noqa: B006
    registrar: Annotated[list[str], REGISTRARS] = [],  # noqa: B006
    sender: Annotated[list[str], SENDERS] = [],  # noqa: B006
    adapter: Annotated[list[str], ADAPTERS] = [],  # noqa: B006
    importer: Annotated[list[str], IMPORTERS] = [],  # noqa: B006
    output: Form = FORM,
    take_from: Annotated[list[str], TAKE_FROM] = [],  # noqa: B006
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """
    Give the rights that are missing, and take those that are too many from whoever is in the plan.

    Needs the certificate of an administrator of the broker. Who is not in the plan keeps what they have.
    """
    needs_reason(execute, reason)
    _rights(
        _Named(operator, registrar, sender, adapter, importer),
        output,
        execute=execute,
        reason=reason,
        take_from=take_from,
    )


class _Named(NamedTuple):
    """Who was named as what."""

    operators: list[str]
    registrars: list[str]
    senders: list[str]
    adapters: list[str]
    importers: list[str]


def _rights(named: _Named, output: Form, *, execute: bool, reason: str = "", take_from: Sequence[str] = ()) -> None:
    from safebus.deploy.service import rights, settings
    from safebus.deploy.service.operations import Act
    from safebus.schemas.errors import BadInput
    from safebus.schemas.kafka import acls
    from safebus.streams.register.follow import current_register

    found = settings.load()
    client = found.admin_client()
    partners = run(lambda: current_register(found.connection())).partners
    for name in (*named.operators, *named.registrars, *named.senders):
        if not rights.is_a_person(name, partners) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise BadInput(f"`{name}` is no person's name: it is that of a process or an agency, or stands for several")
    couriers = _couriers(named.adapters, partners)
    wanted = rights.of_bus(partners, partners, **named._asdict() | {"adapters": couriers})
    there, odd = acls.given(client), acls.odd(client)
    planned = {right.principal for right in wanted}
    to_give = sorted(set(wanted) - set(there))
    to_take = [right for right in there if right not in wanted and right.principal in {*planned, *take_from}]
    others = [right for right in there if right.principal not in {*planned, *take_from}]
    states = dict.fromkeys(to_give, "give") | dict.fromkeys(to_take, "take") | dict.fromkeys(others, "not ours")
    rows = [
        {
            "principal": right.principal,
            "right": right.operation,
            "of": right.of,
            "name": f"{right.name}*" if right.prefixed else right.name,
            "state": states.get(right, "same"),
        }
        for right in sorted({*wanted, *there})
    ]
    show(rows, output, columns=["principal", "right", "of", "name", "state"])
    for line in odd:
        say(f"no rule of this bus, and it may let in or keep out whoever it names: {line}")
    if execute and (to_give or to_take):
        about = tuple(sorted({right.principal for right in (*to_give, *to_take)}))
        put_on_record(found, Act("rights apply", about, reason, len(to_give) + len(to_take)))
        acls.change(client, give=to_give, take=to_take)
        say(f"gave {len(to_give)} rights, took {len(to_take)}")
    elif to_give or to_take:
        say(f"{len(to_give)} rights are missing and {len(to_take)} are too many; `safebus rights apply` mends it")
        raise typer.Exit(SOME)
    if others:
        names = ", ".join(sorted({right.principal for right in others}))
        say(f"in no plan, and have rights: {names}; name them (--operator, --adapter ...) or take theirs (--take-from)")
    raise typer.Exit(SOME if odd or others else DONE)


def _couriers(adapters: Iterable[str], partners: Collection[str]) -> dict[str, list[str]]:
    """Name of a delivery process -> its partners, from what was typed."""
    from safebus.schemas.errors import BadInput
    from safebus.schemas.nearest import or_the_known

    found: dict[str, list[str]] = {}
    for typed in adapters:
        name, _, of = typed.partition("=")
        if not name or not of:
            raise BadInput(f"`--adapter {typed}`: expected NAME=PARTNER,PARTNER")
        for partner in of.split(","):
            if partner not in partners:
                raise BadInput(f"there is no partner `{partner}`{or_the_known(partner, partners)}")
            found.setdefault(name, []).append(partner)
    return found
