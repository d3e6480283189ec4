"""``copyloom brand``: what a shop's brand says of its texts, version by version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from experiments.commands import console
from experiments.commands.options import DEFAULT, By, Commands, Json, Reason, Shop, Tenant

brand_app = Commands(no_args_is_help=True, help="Check brand rules, set them, and read their versions.")


@brand_app.command("check")
def check_(
    file: Annotated[Path, typer.Argument(help="Brand rules: YAML.")],
    texts: Annotated[Path | None, typer.Argument(help="Texts to hold to them: one a line, or a table.")] = None,
    column: Annotated[str | None, typer.Option(help="Of a table, the column of the texts.")] = None,
    slot: Annotated[str | None, typer.Option(help="By the rules as they hold in this slot.")] = None,
    as_json: Json = False,
) -> None:
    """Read brand rules, and say which texts break them; the exit status is 1 if one does."""
    from experiments.texts import read_lines
    from generator.brand_book import BrandBook

    book = BrandBook.from_yaml(file)
    rules = book.of(slot or "")
    lines = read_lines(texts, column) if texts else []
    against = {text: [one.reason for one in rules.refusals(text)] for text in lines}
    broken = {text: reasons for text, reasons in against.items() if reasons}
    found = {"file": str(file), "rules": book.written(), "texts": len(lines), "broken": broken}
    console.deliver(found, _show_checked, as_json)
    if broken:
        raise typer.Exit(1)


@brand_app.command("set")
def set_brand(
    file: Annotated[Path, typer.Argument(help="Brand rules: YAML.")],
    database: Shop,
    by: By,
    reason: Reason,
    tenant: Tenant = DEFAULT,
    version: Annotated[
        int | None, typer.Option(help="The version that you looked at: refused if someone set another meanwhile.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make brand rules hold, and hold all texts to them: what breaks them is listed, and paused if they say so."""
    from experiments.storefront.brand import set_book
    from experiments.storefront.screening import screen_all
    from experiments.storefront.slots import Slots, open_storefront
    from generator.brand_book import BrandBook

    book = BrandBook.from_yaml(file)
    engine = open_storefront(database, create=False)
    made = set_book(engine, tenant, book, by, reason, version)
    broken = screen_all(engine, Slots(engine), tenant)
    found = {"version": made.number, "broken": [
        {"slot": one.slot, "text": one.text, "state": one.state, "did": one.did, "refusals": list(one.refusals)}
        for one in broken]}  # fmt: skip
    console.deliver(found, _show_set, as_json)


@brand_app.command("show")
def show_brand(database: Shop, tenant: Tenant = DEFAULT, as_json: Json = False) -> None:
    """Print the brand rules that hold, as `set` takes them."""
    from experiments.storefront.brand import current
    from experiments.storefront.slots import open_storefront

    now = current(open_storefront(database, create=False), tenant)
    found = {
        "version": now.number,
        "by": now.by,
        "reason": now.reason,
        "at": console.iso(now.at),
        "rules": now.book.written(),
    }
    said = f"# version {now.number}, by {now.by}, {console.iso(now.at)}: {now.reason}\n{now.book.yaml()}"
    none = f"# {tenant} has no brand rules; set some with `copyloom brand set`"
    console.deliver(found, lambda _: console.out.print(said if now.number else none, markup=False), as_json)


@brand_app.command("history")
def brand_history(database: Shop, tenant: Tenant = DEFAULT, as_json: Json = False) -> None:
    """List the versions of the brand rules: who set them, when, why, and what changed."""
    from experiments.storefront.brand import differences, history
    from experiments.storefront.slots import open_storefront

    versions = differences(history(open_storefront(database, create=False), tenant))
    found = [{"version": one.number, "by": one.by, "reason": one.reason, "at": console.iso(one.at),
              "rules": one.book.written()} for one, _ in versions]  # fmt: skip
    marks = {"added": "+", "removed": "-", "same": " "}

    def show(_: Any) -> None:
        for one, lines in versions:
            console.out.print(f"version {one.number}, {console.iso(one.at)}, by {one.by}: {one.reason}", markup=False)
            for line, how in lines:
                console.out.print(f"  {marks[how]} {line}", markup=False)

    console.deliver({"versions": found}, show, as_json)


def _show_checked(found: dict[str, Any]) -> None:
    console.out.print(f"{found['file']} can be used.")
    if found["texts"]:
        console.out.print(f"{len(found['broken'])} of {found['texts']} texts break the rules.")
    if found["broken"]:
        console.table("Broken", ["text", "why"], [[text, "; ".join(why)] for text, why in found["broken"].items()])


def _show_set(found: dict[str, Any]) -> None:
    console.out.print(f"Version {found['version']} holds; {len(found['broken'])} texts break it.")
    if found["broken"]:
        rows = [[one["slot"], one["text"], one["state"], "; ".join(one["refusals"]), one["did"] or "-"]
                for one in found["broken"]]  # fmt: skip
        console.table("Broken", ["slot", "text", "stood", "why", "done"], rows)
