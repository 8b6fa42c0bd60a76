"""`safebus bench`: what does the bus cost?"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import typer

from safebus.deploy.cli.options import DONE, SOME, USAGE, Form, example, stop
from safebus.deploy.cli.output import show
from safebus.deploy.service.terminal import clock, say, tell

app = typer.Typer()


_COLUMNS = ("part", "what", "value", "unit", "beside", "beside_value", "ratio", "low", "high", "target", "met")


@app.command(epilog=example("safebus bench --quick", "safebus bench pure flat --out docs/measured"))
def bench(
    parts: list[str] = typer.Argument(
        None, help="pure, flat, worker, sizes, deliver, replay, explain, soak; default: all but soak"
    ),
    quick: bool = typer.Option(False, "--quick", help="a little of each; with no part named, those without a broker"),
    full: bool = typer.Option(False, "--full", help="more rounds, and a million decisions for explain"),
    out: Path | None = typer.Option(None, "--out", help="keep JSON and a picture in this folder"),
    output: Form = typer.Option(Form.TABLE, "-o", "--output", help="table or json; data go to stdout"),
) -> None:
    """Measure what the bus costs, each figure beside another of the same run."""
    _find_the_bench()
    from tests.bench import keep, machine
    from tests.bench.parts import FULL, NORMAL, PARTS, QUICK, USUAL, WITHOUT_BROKER

    if quick and full:
        raise stop(USAGE, "--quick and --full exclude each other; give one")
    chosen = list(dict.fromkeys(parts or [])) or list(WITHOUT_BROKER if quick else USUAL)
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        raise stop(USAGE, f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    amount, name = (QUICK, "quick") if quick else (FULL, "full") if full else (NORMAL, "normal")
    results = []
    with ending_in_order():
        for part in chosen:
            before = machine.facts()
            rows = PARTS[part](amount, say)
            at = clock().isoformat(timespec="seconds")
            results.append(keep.result(part, rows, machine=before, load_after=machine.load(), at=at, amount=name))
            if out is not None:
                # After each part: what an hour has measured must not be lost with the next one.
                keep.write(out, results, order=list(PARTS))
    if output is Form.JSON:
        tell(json.dumps(results, indent=1))
    else:
        rows_ = [row for result in results for row in result["rows"]]
        show([{k: "" if v is None else v for k, v in row.items()} for row in rows_], output, columns=_COLUMNS)
    say(keep.machine_line(results))
    missed = [row["what"] for result in results for row in result["rows"] if row["met"] is False]
    if missed:
        say(f"not as asked: {', '.join(missed)}")
    raise typer.Exit(SOME if missed else DONE)


@contextmanager
def ending_in_order() -> Iterator[None]:
    """
    End on SIGTERM as on Ctrl-C: what was started is ended and what was written is removed on the way out.

    Raises:
        SystemExit: 128 and the signal's number, as a shell says it, whatever else goes wrong on that way: the signal
            meets anything, such as a lock that is then left half taken.
    """
    asked: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough: another would meet the tidying up
        asked.append(number)
        raise SystemExit

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except BaseException as exc:
        if not asked:
            raise
        if not isinstance(exc, SystemExit):
            say(f"while it ended: {type(exc).__name__}: {exc}; look for what it left behind")
        raise SystemExit(128 + asked[0]) from exc
    finally:
        signal.signal(signal.SIGTERM, before)


def _find_the_bench() -> None:
    """The benchmark stands beside the tests, in a checkout; an installed safebus has neither."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "tests" / "bench").is_dir():
        raise stop(USAGE, "the benchmark is not installed with safebus; run it in a checkout of the source")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    # Also for the small programs that it starts beside our own.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
