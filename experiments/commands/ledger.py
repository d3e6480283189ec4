"""``copyloom ledger``: checks of a storefront's ledger, copies of it, and what is deleted from it."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from experiments.commands import console
from experiments.commands.options import Commands, Json, Shop

if TYPE_CHECKING:
    from sqlalchemy import Engine

ledger_app = Commands(no_args_is_help=True, help="Check a storefront's ledger, copy it, delete from it.")
By = Annotated[str | None, typer.Option(help="In whose name, for the audit; yours unless given.")]
_SHOWN = 20


@ledger_app.command()
def verify(database: Shop, as_json: Json = False) -> None:
    """Check that each event closed and counts once, and nothing unapproved was shown; exit status 1 if not."""
    from experiments.storefront.verify import size
    from experiments.storefront.verify import verify as check

    with _opened(database) as engine:
        faults, many = check(engine), size(engine)
    looked_at = ", ".join(f"{count:,} {name}" for name, count in many.items())
    _deliver({**many, "faults": faults}, lambda: f"Nothing is wrong: {looked_at}.", as_json)


@ledger_app.command()
def rebuild(
    database: Shop,
    check: Annotated[bool, typer.Option("--check", help="Only say what differs; change nothing.")] = False,
    beliefs: Annotated[
        bool, typer.Option("--beliefs", help="Also learn again before each snapshot; loads the model that writes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Work out counts and beliefs again from the events, and put the queue of open events right."""
    from experiments.storefront.golden import publish_again
    from experiments.storefront.rebuild import rebuild as again

    with _opened(database) as engine:
        found = dict(vars(again(engine, check)))
        if beliefs:
            with console.progress() as report:
                found["snapshots"], differing = publish_again(engine, report)
            found["faults"] = [*found["faults"], *differing]

    def said() -> str:
        words = [f"{found['slots']} campaigns, {found['events']:,} impressions: as on record, beliefs within "
                 f"{found['difference']:.0e}."]  # fmt: skip
        if not check:
            words.append(f"{found['missing']:,} open events put into the queue, {found['extra']:,} taken out.")
        if beliefs:
            words.append(f"{found['snapshots']:,} snapshots learned again, with the same chances.")
        return " ".join(words)

    _deliver(found, said, as_json)


@ledger_app.command()
def backup(
    copy: Annotated[Path, typer.Argument(metavar="COPY", help="New file of the copy.")],
    database: Shop,
    as_json: Json = False,
) -> None:
    """Copy a SQLite database while it is in use, and check the copy."""
    from experiments.storefront.backup import backup as write

    with _opened(database) as engine, console.progress() as report:
        faults = write(engine, copy, report)
    _deliver({"copy": str(copy), "faults": faults}, lambda: f"Copy: {copy}, nothing is wrong with it.", as_json)


@ledger_app.command()
def restore(
    copy: Annotated[Path, typer.Argument(metavar="BACKUP", help="A copy, from `copyloom ledger backup`.")],
    database: Annotated[Path, typer.Option(help="The file of SQLite whose place it takes.")],
    by: By = None,
    as_json: Json = False,
) -> None:
    """Check a copy and put it in the place of a database that nobody uses; the old one is kept beside it."""
    from experiments.storefront.backup import restore as put_back

    with console.progress() as report:
        kept, faults = put_back(copy, database, by or getpass.getuser(), report)
    old = f" The old one: {kept}." if kept else ""
    _deliver({"database": str(database), "kept": str(kept) if kept else None, "faults": faults},
             lambda: f"Restored: {database}, nothing is wrong with it.{old}", as_json)  # fmt: skip


@ledger_app.command()
def forget(
    database: Shop,
    tenant: Annotated[str, typer.Option(help="Whose visitor it is.")],
    unit: Annotated[str, typer.Option(help="The visitor's id, as the pages send it.")],
    by: By = None,
    as_json: Json = False,
) -> None:
    """Delete who a visitor is, and what was known of them, from all events; the events still count."""
    from experiments.storefront.retention import forget as blank

    with _opened(database) as engine:
        many = blank(engine, tenant, unit, by or getpass.getuser())
    _deliver({"events": many}, lambda: f"{many:,} events name them no more.", as_json)


@ledger_app.command()
def prune(
    database: Shop,
    days: Annotated[float, typer.Option(min=0, max=36500, help="Events that closed later than that are kept.")],
    by: By = None,
    as_json: Json = False,
) -> None:
    """Delete events that were learned from long ago; what they came to stays."""
    from experiments.storefront.retention import prune as delete

    with _opened(database) as engine:
        many = delete(engine, days, by or getpass.getuser())
    _deliver({"events": many}, lambda: f"{many:,} events deleted; their counts stay.", as_json)


@contextmanager
def _opened(database: str) -> Iterator[Engine]:
    from experiments.storefront.slots import open_storefront

    engine = open_storefront(database, create=False)
    try:
        yield engine
    finally:
        engine.dispose()


def _deliver(found: dict[str, Any], said: Callable[[], str], as_json: bool) -> None:
    """Print what was found; if there are faults, the first of them, and exit status 1."""
    faults = found.get("faults", [])

    def show(_: dict[str, Any]) -> None:
        for fault in faults[:_SHOWN]:
            console.out.print(str(fault))
        if len(faults) > _SHOWN:
            console.out.print(f"and {len(faults) - _SHOWN:,} more; --json names them")
        if not faults:
            console.out.print(said())

    console.deliver({name: [vars(fault) for fault in value] if name == "faults" else value
                     for name, value in found.items()}, show, as_json)  # fmt: skip
    if faults:
        raise typer.Exit(1)
