"""The brand rules of a tenant: every version is kept, and the last one holds in all processes within two seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update

from copyloom import InputError
from embeddings.database import reading, text_id, writing
from experiments.campaigns.ledger import StaleError
from experiments.storefront.decide import Slot
from experiments.storefront.differences import Change, changed_lines
from experiments.storefront.journal import Clock, insert_new, now
from experiments.storefront.slots import audit, make_tenant
from experiments.storefront.tables import BrandRow, ScreeningRow, TenantRow
from generator.brand_book import BrandBook


@dataclass(frozen=True)
class Version:
    """Brand rules as somebody set them.

    Parameters
    ----------
    number : int
        From 1; 0 where none were set.
    book : BrandBook
    by, reason : str
    at : datetime, optional
    """

    number: int
    book: BrandBook
    by: str = ""
    reason: str = ""
    at: datetime | None = None


NONE = Version(0, BrandBook())


def current(engine: Engine, tenant: str) -> Version:
    """Return the brand rules that hold; version 0 where none were set."""
    return next(iter(history(engine, tenant, last=1)), NONE)


def history(engine: Engine, tenant: str, last: int = 1000) -> list[Version]:
    """Return the last versions of a tenant's brand rules, newest first."""
    query = select(BrandRow.__table__).where(BrandRow.tenant == tenant).order_by(BrandRow.version.desc()).limit(last)
    with reading(engine) as connection:
        return [_version(row) for row in connection.execute(query)]


def set_book(
    engine: Engine, tenant: str, book: BrandBook, by: str, reason: str, expected: int | None = None, clock: Clock = now
) -> Version:
    """Make rules hold from now on, as a new version, and return it; nothing happens where they hold already.

    Texts are held to them by `experiments.storefront.screening.screen_all`: call it next.

    Parameters
    ----------
    expected : int, optional
        The version that was looked at before: refused if it is not the last.

    Raises
    ------
    StaleError
        If somebody set others meanwhile.
    InputError
        If nobody is named, or no reason is given.
    """
    if not by.strip() or not reason.strip():
        raise InputError("say who sets the brand rules, and why; both stay on record")
    make_tenant(engine, tenant, clock)
    with writing(engine) as connection:
        connection.execute(select(TenantRow.name).where(TenantRow.name == tenant).with_for_update()).all()
        row = connection.execute(select(BrandRow.__table__).where(BrandRow.tenant == tenant)
                                 .order_by(BrandRow.version.desc()).limit(1)).first()  # fmt: skip
        last = NONE if row is None else _version(row)
        if expected is not None and expected != last.number:
            raise StaleError(
                f"the brand rules are at version {last.number}, set by {last.by or 'nobody'}; you looked at version "
                f"{expected}: look again, and set yours anew"
            )
        before, after = last.book.written(), book.written()
        if before == after:
            return last
        made = Version(last.number + 1, book, by, reason, clock())
        connection.execute(insert(BrandRow), {
            "tenant": tenant, "version": made.number, "by": by, "reason": reason, "at": made.at,
            "body": book.model_dump_json(exclude_unset=True)})  # fmt: skip
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        audit(connection, tenant, by, "brand rules set", f"version {made.number}", _some(before, changed),
              _some(after, changed), reason, clock())  # fmt: skip
    return made


def check_version(connection: Connection, tenant: str, version: int) -> None:
    """Raise StaleError unless a version holds still, and will until the transaction ends."""
    mine = select(TenantRow.name).where(TenantRow.name == tenant)
    connection.execute(mine.with_for_update(read=True, key_share=True)).all()
    last = connection.scalar(select(func.max(BrandRow.version)).where(BrandRow.tenant == tenant)) or 0
    if last != version:
        raise StaleError("the brand rules were changed meanwhile; look at the texts again")


def differences(versions: Sequence[Version]) -> list[tuple[Version, list[tuple[str, Change]]]]:
    """Return versions, newest first as they are given, with the lines by which each differs from the one before."""
    older = [one.book.yaml() for one in versions[1:]] + [""] * (bool(versions) and versions[-1].number == 1)
    return [(one, changed_lines(before, one.book.yaml())) for one, before in zip(versions, older, strict=False)]


def note(connection: Connection, slot: Slot, found: Mapping[str, tuple[Sequence[str], str]], at: datetime) -> set[str]:
    """Write down that texts of a slot were held to the rules that it knows, and return those of which that is new.

    New it is too where something else is done for a text now that was left before.

    Parameters
    ----------
    found : mapping of str to (sequence of str, str)
        By text what the rules have against it, and what was done for that.
    """
    if not slot.brand_version:
        return set()
    ids = {text_id(text): text for text in found}
    rows = [{"slot_id": slot.id, "version": slot.brand_version, "text_id": number, "did": found[text][1], "at": at,
             "refusals": json.dumps(found[text][0], ensure_ascii=False)} for number, text in ids.items()]  # fmt: skip
    new = {row.text_id for row in insert_new(connection, ScreeningRow, rows)}
    for row in rows:
        if row["text_id"] not in new and row["did"] != "left":
            mine = (ScreeningRow.slot_id == slot.id, ScreeningRow.version == slot.brand_version,
                    ScreeningRow.text_id == row["text_id"], ScreeningRow.did == "left")  # fmt: skip
            if connection.execute(update(ScreeningRow).where(*mine).values(did=row["did"], at=at)).rowcount:
                new.add(row["text_id"])
    return {ids[number] for number in new}


def _version(row: Any) -> Version:
    return Version(row.version, BrandBook.kept(row.body), row.by, row.reason, row.at)


def _some(rules: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return some of the rules, as the audit log tells of them: a list in one line."""
    return {name: json.dumps(rules[name], ensure_ascii=False) if name in rules else None for name in names}
