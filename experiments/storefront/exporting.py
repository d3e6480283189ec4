"""The approved texts of a slot go out: into a file that its shop imports, or one with their lineage."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from sqlalchemy import Engine, select

from copyloom import InputError
from embeddings.database import reading
from embeddings.folders import replacing
from experiments.storefront import review
from experiments.storefront.catalogue import PARTS, write_shop_file
from experiments.storefront.decide import Slot
from experiments.storefront.products import Part, newest, texts_once
from experiments.storefront.tables import AboutRow, ImportRow


@dataclass(frozen=True)
class Approved:
    """A text of a slot that may be shown, and where it comes from.

    Parameters
    ----------
    text, state, author : str
        The state is live or approved; the author is "" of stored and generated texts.
    parents : list of dict
        Texts and weights of those that it was made of.
    products : list of str
        Products on whose pages it may stand alone; of a text that may stand on all, none.
    probability : float
        Share of impressions that the last snapshot gives it.
    impressions, clicks : int
        Closed ones.
    """

    text: str
    state: str
    author: str
    parents: list[dict[str, Any]]
    products: list[str]
    probability: float
    impressions: int
    clicks: int


def approved_texts(slot: Slot) -> list[Approved]:
    """Return the texts of a slot that may be shown, that with the highest probability first."""
    state = slot.state
    last, (shown, clicked) = state.snapshots[-1].probabilities, state.totals
    found = []
    for draft in review.texts(state):
        if draft.state not in ("live", "approved"):
            continue
        place = state.slate.index(draft.text) if draft.text in state.slate else len(state.slate)
        pairs = zip(draft.lineage.parents, draft.lineage.weights, strict=True) if draft.lineage else ()
        products = slot.products_of(draft.text)
        counted = (int(shown[place]), int(clicked[place])) if place < len(state.slate) else (0, 0)
        found.append(Approved(
            draft.text, draft.state, draft.author,
            [{"text": text, "weight": weight} for text, weight in pairs if text != draft.text],
            sorted(frozenset.intersection(*products)) if products else [],
            float(last[place]) if place < len(last) else 0.0, *counted,
        ))  # fmt: skip
    return sorted(found, key=lambda one: -one.probability)


@dataclass(frozen=True)
class Exported:
    """What went into a shop's file.

    Parameters
    ----------
    part : str
        What of the products the texts are.
    written : list of str
        Ids of products.
    same : list of str
        Ids of those that were left out: the text is the catalogue's own, or was until an import brought another, which
        the slot has not tried.
    without : list of str
        Ids of those of which no text may be shown.
    """

    part: str
    written: list[str]
    same: list[str]
    without: list[str]


def export_to_shop(
    engine: Engine, slot: Slot, form: Literal["shopify", "woocommerce"], path: Path, part: Part | None = None,
    everything: bool = False,
) -> Exported:  # fmt: skip
    """Write the text that a slot shows most of each product into a file that its shop imports.

    Parameters
    ----------
    engine : Engine
    slot : Slot
    form : str
        The shop.
    path : Path
    part : str, optional
        What of the products it becomes; unless given, what the slot's texts were.
    everything : bool
        Also where the text is the catalogue's own, or an older one of it: that takes the HTML out of descriptions.

    Raises
    ------
    InputError
        If the slot has no texts of a catalogue, of this shop, or of several parts.
    """
    with reading(engine) as connection:
        parts = set(connection.scalars(select(AboutRow.part).where(AboutRow.slot_id == slot.id).distinct()))
        products = newest(connection, slot.tenant, sorted(frozenset().union(*slot.about.values())))
        last = connection.scalar(
            select(ImportRow.shop).where(ImportRow.tenant == slot.tenant, ImportRow.shop.like(f"{form}%"))
            .order_by(ImportRow.id.desc()).limit(1)
        )  # fmt: skip
    if not parts:
        raise InputError(f"slot {slot.name!r} has no texts of a catalogue; import one into it, or export as csv")
    if part is None and len(parts) > 1:
        raise InputError(f"slot {slot.name!r} has texts that were the {' and the '.join(sorted(parts))} of products; "
                         "say with --texts which they become")  # fmt: skip
    chosen = part or next(iter(parts))
    if chosen not in PARTS[form]:
        raise InputError(f"products of {form} have no {chosen}; choose one of {', '.join(PARTS[form])}")
    if others := sorted({product.shop for product in products.values()} - {form}):
        raise InputError(f"slot {slot.name!r} has products of {others[0]}; export as {others[0]}")
    best: dict[str, str] = {}
    approved = approved_texts(slot)
    for one in approved:
        for name in one.products:
            best.setdefault(name, one.text)
    with reading(engine) as connection:
        once = texts_once(connection, slot.tenant, sorted(best), chosen)
    tried = {one.text for one in approved}

    def stays(name: str) -> bool:
        own = products[name].text(chosen)
        return best[name] == own or (best[name] in once[name] and own not in tried)

    same = [] if everything else [name for name in products if name in best and stays(name)]
    rows = [(product, best[name]) for name, product in products.items() if name in best and name not in same]
    with replacing(path) as partial, _new_file(partial) as file:
        write_shop_file(file, form, chosen, rows, older="older" in (last or ""))
    return Exported(chosen, [product.id for product, _ in rows], same, [name for name in products if name not in best])


def export_texts(slot: Slot, form: Literal["csv", "jsonl"], path: Path) -> int:
    """Write the texts of a slot that may be shown, with their lineage, and return how many there are.

    Nothing is put before a text that a spreadsheet would take for a formula: what reads the file would read another.
    """
    found = [asdict(one) for one in approved_texts(slot)]
    with replacing(path) as partial, _new_file(partial) as file:
        if form == "jsonl":
            file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in found)
        else:
            writer = csv.DictWriter(file, list(Approved.__dataclass_fields__))
            writer.writeheader()
            writer.writerows(_flat(found))
    return len(found)


def _flat(found: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for one in found:
        lists = {name: json.dumps(one[name], ensure_ascii=False) for name in ("parents", "products") if one[name]}
        yield {**one, "parents": "", "products": "", **lists}


def _new_file(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="")
