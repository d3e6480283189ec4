r"""A shop's product file, read and written in the columns of Shopify or WooCommerce.

Columns are known by their names, in any order, whatever others stand beside them:

- Shopify, as its help page "Using CSV files to import and export products" has them (help.shopify.com/en/manual/
  products/import-export/using-csv), and the older names that exports had before: Handle for URL handle, Body (HTML) for
  Description, Variant Price for Price. Rows of one handle are one product; what a row has no column for stays.
- WooCommerce, as its wiki page "Product CSV Import Schema" has them (github.com/woocommerce/woocommerce/wiki). Rows of
  the type variation belong to their Parent, named by SKU or as id:44. Its exporter puts ' before a cell that begins as
  a formula, and writes line breaks of descriptions as \n; its importer takes both back, and so does this.
"""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import TextIO

import numpy as np

from copyloom import InputError
from copyloom.columns import plain_name
from copyloom.markup import plain_text
from copyloom.numbers import parse_numbers
from copyloom.problems import Problem, problems_where, raise_if_any
from copyloom.tables import Reading, TableFile, open_table
from experiments.storefront.products import Part, Product, Shop

PARTS: dict[Shop, tuple[Part, ...]] = {
    "shopify": ("description", "title"), "woocommerce": ("short description", "description", "title"),
}  # fmt: skip
"""What of a product is text, the usual one first."""
_SHOPIFY = {
    "id": ("url handle", "handle"), "title": ("title",), "description": ("description", "body html"),
    "brand": ("vendor",), "type": ("type",), "category": ("product category",), "tags": ("tags",),
    "sku": ("sku", "variant sku"), "price": ("price", "variant price"),
    "sale price": ("compare at price", "variant compare at price"),
    "grams": ("weight value grams", "variant grams"), "unit": ("weight unit for display", "variant weight unit"),
    **{f"{what} {n}": (f"option{n} {what}",) for n in (1, 2, 3) for what in ("name", "value")},
}  # fmt: skip
_WOOCOMMERCE = {
    "id": ("id",), "sku": ("sku",), "type": ("type",), "parent": ("parent",), "title": ("name",),
    "short description": ("short description",), "description": ("description",), "price": ("regular price",),
    "sale price": ("sale price",), "category": ("categories",), "tags": ("tags",), "brand": ("brands",),
}  # fmt: skip
_MEASURE = re.compile(r"(weight|length|width|height) (kg|g|lbs|oz|m|cm|mm|in|yd)")
_METAFIELD = re.compile(r"(.+?) \(product\.metafields\..+\)")
_ATTRIBUTE = re.compile(r"attribute (\d+) (name|value s)")
_COMMA = re.compile(r"(?<!\\),")
_IN_GRAMS = {"kg": 1000.0, "lb": 453.59237, "oz": 28.349523}
_LONGEST_ID = 256


@dataclass(frozen=True)
class ShopFile:
    """What a shop's file says.

    Parameters
    ----------
    name : str
        Of the file.
    shop : str
    older : bool
        Whether it has the older names of Shopify's columns.
    products : list of Product
    left_out : mapping of str to int
        Rows that are no product, by why.
    """

    name: str
    shop: Shop
    older: bool
    products: list[Product]
    left_out: Mapping[str, int]


def read_shop_file(path: Path | str, reading: Reading | None = None, currency: str = "") -> ShopFile:
    """Return the products of a file; which shop's it is, its columns tell.

    Parameters
    ----------
    path : Path or str
        As for `copyloom.tables.open_table`.
    reading : Reading, optional
    currency : str
        The sign that stands before prices in texts, as files have none.

    Raises
    ------
    InputError
        If it cannot be read or is no shop's file, or rows are wrong: all of them are named.
    """
    reading = reading or Reading()
    table = open_table(path, replace(reading, header=True if reading.header is None else reading.header))
    names = [plain_name(column) for column in table.columns]
    if "title" in names and ("handle" in names or "url handle" in names):
        sheet = _Sheet(table, _SHOPIFY)
        products = _shopify(sheet, currency)
        left_out: dict[str, int] = {}
        shop: Shop = "shopify"
    elif "sku" in names and {"id", "name", "type"} & {*names}:
        sheet = _Sheet(table, _WOOCOMMERCE, (_MEASURE, _ATTRIBUTE))
        products, left_out = _woocommerce(sheet, currency)
        shop = "woocommerce"
    else:
        raise InputError(
            f"{table.name} is no export of products that is known: it has the columns {', '.join(table.columns)}. "
            "Shopify's have Handle (or URL handle) and Title, WooCommerce's ID, SKU and Name; name the columns so"
        )
    raise_if_any(sheet.problems, table.name)
    if not products:
        raise InputError(f"{table.name} holds no product; write one a row")
    return ShopFile(table.name, shop, "handle" in names, products, left_out)


class _Sheet:
    """The cells of a file by what they are, and what is wrong with them."""

    def __init__(
        self, table: TableFile, known: Mapping[str, tuple[str, ...]], patterns: Sequence[re.Pattern[str]] = ()
    ) -> None:
        plain: dict[str, str] = {}
        for column in table.columns:
            plain.setdefault(plain_name(column), column)
        self.columns = {role: plain[name] for role, names in known.items() for name in names[::-1] if name in plain}
        self.columns |= {name: column for name, column in plain.items() if any(one.fullmatch(name) for one in patterns)}
        self.columns |= {column: column for column in table.columns if _METAFIELD.fullmatch(column)}
        whole = table.table(list(dict.fromkeys(self.columns.values())))
        self.cells = {role: ["" if cell is None else str(cell).strip() for cell in whole[column].to_pylist()]
                      for role, column in self.columns.items()}  # fmt: skip
        self.rows = whole.num_rows
        self.problems: list[Problem] = []

    def has(self, role: str) -> bool:
        """Say whether there is such a column."""
        return role in self.cells

    def get(self, role: str, row: int) -> str:
        """Return a cell; "" where there is no such column."""
        return self.cells[role][row] if role in self.cells else ""

    def first(self, role: str, rows: Iterable[int]) -> str:
        """Return the first cell of some rows that is not empty."""
        return next((cell for row in rows if (cell := self.get(role, row))), "")

    def each(self, role: str, rows: Iterable[int]) -> list[str]:
        """Return the distinct cells of some rows, without empty ones."""
        return list(dict.fromkeys(cell for row in rows if (cell := self.get(role, row))))

    def numbers(self, role: str) -> None:
        """Make the cells of a column numbers in one spelling, and note those that are none, or below 0."""
        if role not in self.cells:
            return
        cells = self.cells[role]
        found = parse_numbers([cell or None for cell in cells])
        wrong = [bool(cell) and (isnan(value) or value < 0) for cell, value in zip(cells, found, strict=True)]
        self.refuse(wrong, role, "is no number", "a number from 0, such as 19.95, or nothing")
        self.cells[role] = ["" if isnan(value) else f"{value:.12g}" for value in found]

    def refuse(self, wrong: Sequence[bool], role: str, what: str, allowed: str) -> None:
        """Note the rows that are wrong."""
        self.problems += problems_where(np.array(wrong, bool), self.cells[role], self.columns[role], what, allowed)

    def said(self, phrases: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
        """Return the phrases of those kinds that the file has a column for, each once."""
        return {kind: _phrases(some) for kind, some in phrases.items() if self.has(kind)}


def _shopify(sheet: _Sheet, currency: str) -> list[Product]:
    for role in ("price", "sale price", "grams"):
        sheet.numbers(role)
    groups = _grouped(sheet, [sheet.get("id", row) for row in range(sheet.rows)], "the product's handle, in each row")
    titles = {handle: sheet.first("title", rows) for handle, rows in groups.items()}
    untitled = {rows[0] for handle, rows in groups.items() if not titles[handle]}
    sheet.refuse([row in untitled for row in range(sheet.rows)], "title", "is missing", "a title, in one row of each "
                 "product")  # fmt: skip
    other = [bool(cell) and cell != titles.get(handle, cell)
             for cell, handle in zip(sheet.cells["title"], sheet.cells["id"], strict=True)]  # fmt: skip
    sheet.refuse(other, "title", "is not that of the rows above with the same handle", "one title a handle")
    metafields = {role: match[1] for role in sheet.cells if (match := _METAFIELD.fullmatch(role))}
    products = []
    for handle, rows in groups.items():
        said = sheet.said({
            "title": [titles[handle]], "description": [plain_text(sheet.first("description", rows))],
            **{role: [sheet.first(role, rows)] for role in ("brand", "type", "category")},
            "tags": sheet.first("tags", rows).split(","), "sku": sheet.each("sku", rows),
            "price": _prices(sheet, rows, currency),
        })  # fmt: skip
        if any(sheet.has(f"value {n}") for n in (1, 2, 3)):
            said["options"] = _phrases(_options(sheet, rows))
        if sheet.has("grams"):
            said["measures"] = _phrases(_weights(sheet, rows))
        if metafields:
            said["attributes"] = _phrases(f"{label} {cell}" for role, label in metafields.items()
                                          if (cell := sheet.first(role, rows)))  # fmt: skip
        products.append(Product(handle, "shopify", "", said))
    return products


def _woocommerce(sheet: _Sheet, currency: str) -> tuple[list[Product], dict[str, int]]:
    sheet.cells = {role: [_unquoted(cell) for cell in cells] for role, cells in sheet.cells.items()}
    measures = [role for role in sheet.cells if _MEASURE.fullmatch(role)]
    for role in ("price", "sale price", *measures):
        sheet.numbers(role)
    ids = [sheet.get("id", row) or sheet.get("sku", row) for row in range(sheet.rows)]
    variation = ["variation" in sheet.get("type", row).lower() for row in range(sheet.rows)]
    main = {name: row for row, name in enumerate(ids) if not variation[row]}
    skus = {sku: ids[row] for row in main.values() if (sku := sheet.get("sku", row))}
    parents = [sheet.get("parent", row) if variation[row] else "" for row in range(sheet.rows)]
    owners = [ids[row] if not variation[row] else parent[3:].strip() if parent.startswith("id:")
              else skus.get(parent, parent) for row, parent in enumerate(parents)]  # fmt: skip
    if any(variation):
        role = "parent" if sheet.has("parent") else "type"
        lost = [variation[row] and owners[row] not in main for row in range(sheet.rows)]
        sheet.refuse(lost, role, "of a variation names no product of the file", "the SKU of another row, or id: and "
                     "its ID")  # fmt: skip
    key = "id" if sheet.has("id") else "sku"
    twice = [not variation[row] and bool(ids[row]) and main[ids[row]] != row for row in range(sheet.rows)]
    sheet.refuse(twice, key, "is that of a later row too", "each product in one row")
    groups = _grouped(sheet, owners, "the product's ID, or its SKU", key)
    if sheet.has("title"):
        bare = [not variation[row] and not sheet.get("title", row) for row in range(sheet.rows)]
        sheet.refuse(bare, "title", "is missing", "a name, of each product")
    attributes = sorted({int(match[1]) for role in sheet.cells if (match := _ATTRIBUTE.fullmatch(role))})
    products = []
    for name, rows in groups.items():
        if name not in main:
            continue  # told above
        first = main[name]
        said = sheet.said({
            "title": [plain_text(sheet.get("title", first))],
            **{role: [_described(sheet.get(role, first))] for role in ("short description", "description")},
            **{role: _listed(sheet.get(role, first)) for role in ("brand", "category", "tags")},
            "price": _prices(sheet, rows, currency),
        })  # fmt: skip
        if measures:
            said["measures"] = _phrases(f"{role.split()[0]} {cell} {role.split()[1]}" for role in measures
                                        for cell in sheet.each(role, rows) if cell != "0")  # fmt: skip
        if attributes:
            said["attributes"] = _phrases(
                f"{sheet.first(f'attribute {n} name', rows)} {value}" for n in attributes
                for cell in sheet.each(f"attribute {n} value s", rows) for value in _listed(cell))  # fmt: skip
        products.append(Product(name, "woocommerce", sheet.get("sku", first), said))
    many = sum(variation)
    return products, {"variations of others": many} if many else {}


def _grouped(sheet: _Sheet, owners: Sequence[str], allowed: str, role: str = "id") -> dict[str, list[int]]:
    """Return the rows of each product, and note rows that are of none."""
    sheet.refuse([not owner for owner in owners], role, "is missing", allowed)
    odd = [len(owner) > _LONGEST_ID or not owner.isprintable() for owner in owners]
    sheet.refuse(odd, role, "is no id", f"{_LONGEST_ID} letters at most that can be seen")
    found: dict[str, list[int]] = {}
    for row, owner in enumerate(owners):
        if owner:
            found.setdefault(owner, []).append(row)
    return found


def _options(sheet: _Sheet, rows: Sequence[int]) -> list[str]:
    """Return options as "Size M", each once; a product without any has one of Shopify's own."""
    found = [f"{sheet.first(f'name {n}', rows)} {value}".strip()
             for n in (1, 2, 3) for value in sheet.each(f"value {n}", rows)]  # fmt: skip
    return [one for one in found if one != "Title Default Title"]


def _prices(sheet: _Sheet, rows: Sequence[int], currency: str) -> list[str]:
    given = [price for role in ("price", "sale price") for price in sheet.each(role, rows)]
    return [f"{currency}{float(price):.2f}".removesuffix(".00") for price in given]


def _weights(sheet: _Sheet, rows: Sequence[int]) -> list[str]:
    """Return weights in grams and in the unit that the shop shows."""
    found = []
    for row in rows:
        grams, unit = sheet.get("grams", row), sheet.get("unit", row).lower()
        if grams not in ("", "0"):
            found.append(f"weight {grams} g")
            if unit in _IN_GRAMS:
                found.append(f"weight {round(float(grams) / _IN_GRAMS[unit], 2):g} {unit}")
    return found


def _phrases(some: Iterable[str]) -> tuple[str, ...]:
    """Return phrases on one line, each once, without empty ones."""
    return tuple(dict.fromkeys(filter(None, map(one_line, some))))


def _listed(cell: str) -> list[str]:
    """Return the values of a cell of WooCommerce, in which a comma of a value has a backslash."""
    return [plain_text(value.replace("\\,", ",")) for value in _COMMA.split(cell) if value.strip()]


def _unquoted(cell: str) -> str:
    """Return a cell without the ' that WooCommerce puts before formulas."""
    return cell[1:] if cell[:2] in ("'=", "'+", "'-", "'@") else cell


def _described(cell: str) -> str:
    """Return what a browser shows of a description of WooCommerce, which writes line ends as a backslash and an n."""
    return plain_text("\\n".join(part.replace("\\n", " ") for part in cell.split("\\\\n")))


def one_line(text: str) -> str:
    """Return a text with single spaces, without characters that are not seen."""
    line = " ".join(text.split())
    return line if line.isprintable() else " ".join("".join(filter(str.isprintable, line)).split())


def as_cell(text: str) -> str:
    """Return a text as a cell of HTML that reads back equal.

    A first sign that would make it a formula of a spreadsheet is written as a character reference: browsers and shops
    show the same.

    Examples
    --------
    >>> as_cell("=1+1 & more")
    '&#61;1+1 &amp; more'
    """
    cell = html.escape(text, quote=False).replace("\\n", "&#92;n")
    return f"&#{ord(cell[0])};{cell[1:]}" if cell[:1] in tuple("=+-@'") else cell


def write_shop_file(
    file: TextIO, shop: Shop, part: Part, texts: Iterable[tuple[Product, str]], older: bool = False
) -> None:
    """Write new texts of products with the columns that the shop needs to update them, and no other.

    Shopify needs handle and title, WooCommerce the ID or the SKU. Shopify's title is no HTML: it stands as it is, also
    where a spreadsheet would take it for a formula, for anything before it would show in the shop.
    """
    writer = csv.writer(file)
    if shop == "shopify":
        handle, description = ("Handle", "Body (HTML)") if older else ("URL handle", "Description")
        writer.writerow([handle, "Title"] if part == "title" else [handle, "Title", description])
        for product, text in texts:
            row = [text] if part == "title" else [product.text("title"), as_cell(text)]
            writer.writerow([product.id, *row])
        return
    writer.writerow(["ID", "SKU", {"title": "Name"}.get(part, part.capitalize())])
    for product, text in texts:
        writer.writerow(["" if product.id == product.sku else product.id, product.sku, as_cell(text)])
