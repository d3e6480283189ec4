"""A shop's products come into a database, and their texts into a slot: in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from copyloom import InputError
from embeddings.database import reading, text_id, writing
from experiments.campaigns import people
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Happening
from experiments.campaigns.given import Given
from experiments.campaigns.ledger import Ledger
from experiments.campaigns.state import State
from experiments.counts import read_past
from experiments.storefront import review
from experiments.storefront.catalogue import PARTS, ShopFile
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.decide import Slot
from experiments.storefront.journal import Clock, insert_new, now
from experiments.storefront.products import Part, Product, newest
from experiments.storefront.screening import screen_all
from experiments.storefront.slots import MissingError, Slots, audit, make_tenant, open_slot
from experiments.storefront.tables import AboutRow, ImportRow, ProductRow
from generator.checks import WritingRules

LONGEST = 600
"""Bytes of a text in UTF-8 that a slot takes: about as many as the writers' 160 tokens hold."""


@dataclass(frozen=True)
class Imported:
    """What an import did, or would do.

    Parameters
    ----------
    new, changed, unchanged : list of str
        Ids of products.
    absent : list of str
        Ids of products that the file has not: gone, if it is the whole catalogue.
    part : str
        What of the products was taken for texts of a slot; "" without one.
    texts : list of str
        That the slot did not have: shown at once where it was opened with them, else waiting for approval.
    no_text : list of str
        Ids of products whose text is empty.
    too_long : list of str
        Ids of products whose text is too long for a slot.
    opened : bool
        Whether the slot was opened.
    """

    new: list[str]
    changed: list[str]
    unchanged: list[str]
    absent: list[str]
    part: str = ""
    texts: tuple[str, ...] = ()
    no_text: tuple[str, ...] = ()
    too_long: tuple[str, ...] = ()
    opened: bool = False


@dataclass(frozen=True)
class SlotTexts:
    """The texts of a file for a slot.

    Parameters
    ----------
    part : str
        What of the products they are.
    about : mapping of str to list of str
        Ids of the products that each is about.
    no_text, too_long : tuple of str
        Ids of products without.
    """

    part: Part
    about: Mapping[str, list[str]]
    no_text: tuple[str, ...]
    too_long: tuple[str, ...]


def slot_texts(file: ShopFile, part: Part | None = None, only: Sequence[str] = ()) -> SlotTexts:
    """Return the texts of a file's products.

    Parameters
    ----------
    file : ShopFile
    part : str, optional
        title, description or short description; unless given a description, of WooCommerce a short one if there is one.
    only : sequence of str
        Ids of the products; all unless given.

    Raises
    ------
    InputError
        If the file has no such part or product, or no text.
    """
    there = [one for one in PARTS[file.shop] if any(one in product.said for product in file.products)]
    filled = [one for one in there if any(product.text(one) for product in file.products)]
    chosen = part or next(iter(filled or there), "title")
    if chosen not in there:
        raise InputError(f"{file.name} has no column for the {chosen}; it has those for {', '.join(there)}")
    if unknown := sorted(set(only) - {product.id for product in file.products}):
        raise InputError(f"{file.name} has no product {unknown[0]!r}; name those that it has")
    about: dict[str, list[str]] = defaultdict(list)
    no_text, too_long = [], []
    for product in file.products:
        text = product.text(chosen)
        if only and product.id not in only:
            continue
        if not text:
            no_text.append(product.id)
        elif len(text.encode()) > LONGEST:
            too_long.append(product.id)
        else:
            about[text].append(product.id)
    if not about:
        raise InputError(
            f"{file.name} holds no {chosen} that a slot can show: {len(no_text)} are empty, {len(too_long)} longer "
            f"than {LONGEST} bytes; choose other texts"
        )
    return SlotTexts(chosen, about, tuple(no_text), tuple(too_long))


def import_products(
    engine: Engine | None, tenant: str, file: ShopFile, by: str, *, whole: bool = False, slot: str = "",
    texts: SlotTexts | None = None, config: SlotConfig | None = None, dry_run: bool = False, clock: Clock = now,
) -> Imported:  # fmt: skip
    """Take the products of a file into a database, and their texts into a slot: all of it, or after an error nothing.

    Earlier versions of products are kept. A slot that is not open is opened with the texts; to an open one they are
    added as written by a person, whom another must follow in approving them.

    Parameters
    ----------
    engine : Engine, optional
        None only of a dry run, for a database that is not there yet.
    tenant, by : str
    file : ShopFile
    whole : bool
        Whether products that the file has not are gone.
    slot : str
    texts : SlotTexts, optional
        For the slot.
    config : SlotConfig, optional
        Of a slot that is to be opened.
    dry_run : bool
        Only say what would be done.
    clock : callable, optional

    Raises
    ------
    InputError
        If the slot cannot take the texts.
    """
    if dry_run:
        earlier: dict[str, Product] = {}
        if engine is not None:
            with reading(engine) as connection:
                earlier = newest(connection, tenant)
        done = _compared(file, earlier)[0]
        return done if texts is None else _with_texts(done, texts, _open(engine, tenant, slot))
    if engine is None:
        raise InputError("there is no database to import into; give one")
    make_tenant(engine, tenant, clock)
    if texts is None:
        with writing(engine) as connection:
            return _store(connection, tenant, file, whole, by, clock)[0]
    opened = _open(engine, tenant, slot)
    _with_texts(Imported([], [], [], []), texts, opened)  # or refuse before any work
    if opened is None:
        return _open_with(engine, tenant, file, slot, texts, config, whole, by, clock)
    if config is not None:
        raise InputError(f"slot {slot!r} is open: settings for opening it cannot be given any more")
    return _add_to(engine, opened, file, texts, whole, by, clock)


def _open(engine: Engine | None, tenant: str, slot: str) -> Slot | None:
    if engine is None:
        return None
    try:
        return Slots(engine).get(tenant, slot)
    except MissingError:
        return None


def _with_texts(done: Imported, texts: SlotTexts, slot: Slot | None) -> Imported:
    """Return what is done with a slot's texts too.

    Raises
    ------
    InputError
        If there are too few texts for a slot, or too many.
    """
    state = slot.state if slot else State()
    known = _known(state)
    fresh = tuple(text for text in texts.about if text not in known)
    review.check_room(state, len(fresh))
    if slot is None and len(fresh) < 2:
        raise InputError("one text alone was found; a slot that is opened needs at least two")
    return replace(done, part=texts.part, texts=fresh, no_text=texts.no_text, too_long=texts.too_long,
                   opened=slot is None)  # fmt: skip


def _known(state: State) -> set[str]:
    return {*state.slate, *state.usable}


def _open_with(
    engine: Engine, tenant: str, file: ShopFile, slot: str, texts: SlotTexts, config: SlotConfig | None, whole: bool,
    by: str, clock: Clock,
) -> Imported:  # fmt: skip
    """Open a slot with texts of a file, and store its products."""
    config = config or SlotConfig()
    if config.texts is not None or config.subject is not None:
        raise InputError(
            "the settings name texts or a subject, but the catalogue gives the slot's texts; leave them out"
        )
    given = list(texts.about)
    past = () if config.prior.text_prior is None else read_past(config.prior.text_prior.past)
    none = config.proposer.model_copy(update={"warm_up": 0})  # mixtures of two products' texts, which no page shows
    settled = config.model_copy(update={"rules": config.rules or WritingRules.like(given), "proposer": none})
    found: list[Imported] = []

    def also(connection: Connection, slot_id: int) -> None:
        done, number = _store(connection, tenant, file, whole, by, clock)
        found.append(_with_texts(done, texts, None))
        _tie(connection, slot_id, texts, number)
        audit(connection, tenant, by, "texts imported", slot, None, {"texts": len(given)}, file.name, clock())

    open_slot(engine, tenant, slot, settled, Given(given, None, given, [], past), SlotSettings(), by, clock, also)
    screen_all(engine, Slots(engine), tenant, clock)  # a shop's own texts may break its brand's rules
    if not found:
        raise InputError(f"slot {slot!r} was opened by someone else meanwhile; import once more")
    return found[0]


def _add_to(
    engine: Engine, slot: Slot, file: ShopFile, texts: SlotTexts, whole: bool, by: str, clock: Clock
) -> Imported:
    """Add texts of a file to an open slot, and store its products."""
    campaign = Campaign(slot.campaign, seeds=())
    ledger = Ledger(engine, clock=clock, shared=True)
    ledger.resume([campaign])
    slot = replace(slot, state=campaign.state)
    with reading(engine) as connection:
        earlier = newest(connection, slot.tenant, sorted({one for some in texts.about.values() for one in some}))
    found: list[Imported] = []

    def keep(connection: Connection, events: Sequence[Happening]) -> None:
        done, number = _store(connection, slot.tenant, file, whole, by, clock)
        found.append(_with_texts(done, texts, slot))
        _tie(connection, slot.id, texts, number)
        audit(connection, slot.tenant, by, "texts imported", slot.name, None, {"texts": len(fresh)}, file.name, clock())

    there = _known(slot.state)
    fresh = [text for text in texts.about if text not in there]
    known = {*slot.state.parents, *there}
    if not fresh:
        with writing(engine) as connection:
            keep(connection, [])
        return found[0]
    with ledger.step([campaign], keep) as record:
        for text in fresh:
            before = [earlier[one].text(texts.part) for one in texts.about[text] if one in earlier]
            record([people.write(campaign, text, by, next((one for one in before if one in known), None))])
    return found[0]


def _store(
    connection: Connection, tenant: str, file: ShopFile, whole: bool, by: str, clock: Clock
) -> tuple[Imported, int]:
    """Write what an import changes of a tenant's products; return that, and the import's number."""
    last = select(ImportRow.id).where(ImportRow.tenant == tenant).order_by(ImportRow.id.desc()).limit(1)
    connection.execute(last.with_for_update()).all()  # one import at a time; shoppers do not wait for it
    done, rows = _compared(file, newest(connection, tenant))
    shop = f"{file.shop}, older columns" if file.shop == "shopify" and file.older else file.shop
    row = {"tenant": tenant, "file": file.name, "shop": shop, "by": by, "at": clock()}
    number = connection.execute(insert(ImportRow).returning(ImportRow.id), row).scalar_one()
    rows |= {product: "" for product in done.absent} if whole else {}
    if rows:
        connection.execute(insert(ProductRow), [
            {"tenant": tenant, "product": product, "import_id": number, "body": body} for product, body in rows.items()
        ])  # fmt: skip
    counts = {what: len(ids) for what, ids in asdict(done).items() if what in ("new", "changed", "unchanged")}
    gone = len(done.absent) if whole else 0
    audit(connection, tenant, by, "catalogue imported", file.name, None, {**counts, "gone": gone}, "", clock())
    return done, number


def _compared(file: ShopFile, earlier: Mapping[str, Product]) -> tuple[Imported, dict[str, str]]:
    """Return what an import changes, and the new products as JSON by id."""
    new: list[str] = []
    changed: list[str] = []
    unchanged: list[str] = []
    rows: dict[str, str] = {}
    for product in file.products:
        before = earlier.get(product.id)
        body = product.after(before).body
        if before is not None and before.body == body:
            unchanged.append(product.id)
            continue
        (new if before is None else changed).append(product.id)
        rows[product.id] = body
    there = {product.id for product in file.products}
    absent = [one for one, product in earlier.items() if one not in there and product.shop == file.shop]
    return Imported(new, changed, unchanged, absent), rows


def _tie(connection: Connection, slot_id: int, texts: SlotTexts, number: int) -> None:
    """Note which products the texts of a slot are about."""
    rows = [{"slot_id": slot_id, "text_id": text_id(text), "product": product, "part": texts.part, "import_id": number}
            for text, products in texts.about.items() for product in products]  # fmt: skip
    insert_new(connection, AboutRow, rows)


def history(engine: Engine, tenant: str, product: str) -> list[dict[str, Any]]:
    """Return the versions of a product: what was said, nothing where it was gone, since which import.

    Raises
    ------
    InputError
        If there is none.
    """
    query = select(ProductRow.body, ImportRow).join(ImportRow, ImportRow.id == ProductRow.import_id)
    query = query.where(ProductRow.tenant == tenant, ProductRow.product == product).order_by(ProductRow.import_id)
    with reading(engine) as connection:
        rows = list(connection.execute(query))
    if not rows:
        raise InputError(f"there is no product {product!r} of {tenant!r}; give an id as files have it")
    return [{"import": row.id, "at": row.at.isoformat(timespec="seconds"), "file": row.file, "by": row.by,
             "shop": row.shop, "said": dict(Product.from_body(row.body).said) if row.body else {}}
            for row in rows]  # fmt: skip
