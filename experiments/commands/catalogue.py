"""``copyloom catalogue``: the products of a shop come in, and its approved texts go out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from copyloom import InputError
from copyloom.tables import Reading
from experiments.commands import console
from experiments.commands.options import DEFAULT, NOBODY, By, Commands, Json, Shop, Tenant, output, reads
from generator.paths import expanded

Part = Annotated[
    Literal["title", "description", "short description"] | None,
    typer.Option("--texts", help="What of the products are texts; their (short) descriptions, in an export what came."),
]
_SHOWN = 5

catalogue_app = Commands(no_args_is_help=True, help="Take a shop's products in, and give it approved texts.")


@catalogue_app.command("import")
@reads("delimiter", "encoding", "sheet")
def import_(
    file: Annotated[Path, typer.Argument(help="Products as Shopify or WooCommerce export them; - is standard input.")],
    database: Shop,
    slot: Annotated[
        str, typer.Option(help="Also take their texts for this slot; without, only what is said of them.")
    ] = "",
    part: Part = None,
    product: Annotated[list[str] | None, typer.Option(help="A product whose text is taken; once for each.")] = None,
    currency: Annotated[str, typer.Option(help="Sign before prices in texts, as €; files have none.")] = "",
    whole: Annotated[bool, typer.Option("--whole", help="Products that are not in the file are gone.")] = False,
    config: Annotated[Path | None, typer.Option(help="YAML settings of the slot, if it is to be opened.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    tenant: Tenant = DEFAULT,
    by: By = NOBODY,
    *,
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Take products in: records that texts are checked against, and texts of a slot. All of the file, or nothing."""
    from experiments.storefront.catalogue import read_shop_file
    from experiments.storefront.config import SlotConfig
    from experiments.storefront.importing import import_products, slot_texts
    from experiments.storefront.slots import open_storefront

    if not slot and (part or product or config):
        raise InputError("--texts, --product and --config are of a slot's texts; give --slot with them")
    found = read_shop_file(file, reading, currency)
    texts = slot_texts(found, part, product or ()) if slot else None
    settled = None if config is None else SlotConfig.from_yaml(config)
    absent = dry_run and "://" not in database and not expanded(database).exists()
    engine = None if absent else open_storefront(database, create=not dry_run)
    done = import_products(engine, tenant, found, by, whole=whole, slot=slot, texts=texts, config=settled,
                           dry_run=dry_run)  # fmt: skip
    priced = any(product.said.get("price") for product in found.products)
    data = {"file": found.name, "shop": found.shop, "products": len(found.products), "left_out": dict(found.left_out),
            "dry_run": dry_run, "whole": whole, "slot": slot, "priced_without_currency": priced and not currency,
            **asdict(done)}  # fmt: skip
    console.deliver(data, _show_import, as_json)


@catalogue_app.command("show")
def show(
    product: Annotated[str, typer.Argument(help="Its id: Shopify's handle, WooCommerce's ID.")],
    database: Shop,
    tenant: Tenant = DEFAULT,
    as_json: Json = False,
) -> None:
    """Say what is on record of a product, by which its texts are checked, and since which import."""
    from experiments.storefront.importing import history
    from experiments.storefront.slots import open_storefront

    versions = history(open_storefront(database, create=False), tenant, product)
    last = versions[-1]
    rows = [[what, phrase] for what, phrases in last["said"].items() for phrase in phrases]

    def shown(_: dict[str, Any]) -> None:
        console.table(f"{product}, {last['shop']}" if rows else f"{product}: gone", ["what", "is said"], rows)
        lines = [[str(one["import"]), one["at"], one["file"], one["by"], "" if one["said"] else "gone"]
                 for one in versions]  # fmt: skip
        console.table("\nVersions", ["import", "at", "file", "by", ""], lines)

    console.deliver({"product": product, "versions": versions}, shown, as_json)


@catalogue_app.command("export")
def export_(
    out: Annotated[Path, output("File to write.", "--out")],
    database: Shop,
    slot: Annotated[str, typer.Option(help="Whose texts.")],
    form: Annotated[
        Literal["shopify", "woocommerce", "csv", "jsonl"],
        typer.Option("--as", help="Columns of a shop: each product's most shown text; or all texts, with lineage."),
    ],
    part: Part = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also texts that are the catalogue's own; takes HTML out of descriptions.")
    ] = False,
    tenant: Tenant = DEFAULT,
    as_json: Json = False,
) -> None:
    """Write the texts of a slot that may be shown: as a file that the shop imports, or with their lineage."""
    from experiments.storefront.exporting import export_texts, export_to_shop
    from experiments.storefront.slots import Slots, open_storefront

    engine = open_storefront(database, create=False)
    found = Slots(engine).get(tenant, slot)
    if form in ("csv", "jsonl"):
        if part or everything:
            raise InputError("--texts and --all are of a shop's columns; leave them out with --as csv and jsonl")
        many = export_texts(found, form, out)
        console.deliver({"file": str(out), "texts": many},
                        lambda _: console.out.print(f"Written: {many} texts in {out}"), as_json)  # fmt: skip
        return
    done = export_to_shop(engine, found, form, out, part, everything)  # type: ignore[arg-type]
    console.deliver({"file": str(out), **asdict(done)}, _show_export, as_json)


def _show_import(found: dict[str, Any]) -> None:
    would = "would be " if found["dry_run"] else ""
    rows = [[what, f"{len(found[what]):,}", _some(found[what])] for what in ("new", "changed", "unchanged")]
    rows.append(["gone" if found["whole"] else "not in the file", f"{len(found['absent']):,}", _some(found["absent"])])
    console.table(
        f"{found['file']}: {found['products']:,} products of {found['shop']}", ["what", "many", "which"], rows
    )
    if found["absent"] and not found["whole"]:
        console.out.print("What is not in the file stays as it is; --whole says that the file is all there is")
    if found["priced_without_currency"]:
        console.out.print(
            "Prices have no currency here, so no price of a text is backed: give its sign with --currency"
        )
    if not found["slot"]:
        return
    many, slot = len(found["texts"]), found["slot"]
    what = "opened with" if found["opened"] else "given, for another person's approval,"
    console.out.print(f"Slot {slot}: {would}{what} {many:,} new texts ({found['part']})")
    for why, words in (("no_text", "have none"), ("too_long", "have one that is too long for a slot")):
        if found[why]:
            console.out.print(f"{len(found[why]):,} products {words}: {_some(found[why])}")


def _show_export(found: dict[str, Any]) -> None:
    console.out.print(f"Written: the {found['part']} of {len(found['written']):,} products in {found['file']}")
    if found["same"]:
        console.out.print(f"Left out, for the text shown most is the catalogue's own: {len(found['same']):,} products")
    if found["without"]:
        console.out.print(f"Without a text that may be shown: {_some(found['without'])}")


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (", ..." if len(ids) > _SHOWN else "")
