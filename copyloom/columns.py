"""What a column holds, by its name and its first cells, and which one holds the texts."""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from copyloom import InputError
from copyloom.markup import is_mostly_tags, plain_text
from copyloom.numbers import is_value

Kind = Literal["empty", "numbers", "identifiers", "words", "texts"]

TEXT_NAMES = frozenset((
    "text", "texts", "copy", "claim", "claims", "headline", "headlines", "headline text", "ad headline", "ad text",
    "ad copy", "slogan", "tagline", "title", "body", "body html", "caption", "sentence", "subject line", "description",
    "short description", "product description", "long description", "post title", "post content", "post excerpt",
    "long headline",
    *(f"{name} {number}" for name in ("headline", "long headline", "description", "description line", "title")
      for number in range(1, 16)),
))  # fmt: skip
"""Names of columns that hold copy, as `plain_name` writes them."""
OTHER_NAMES = frozenset((
    "id", "sku", "handle", "url handle", "vendor", "type", "tags", "published", "price", "variant sku", "variant price",
    "name",
    "clicks", "click", "impressions", "impr", "ctr", "cost", "conversions", "conv rate", "avg cpc", "currency",
    "cost conv", "currency code", "campaign", "ad group", "ad type", "ad status", "final url", "url", "status", "date",
    "day", "label", "reward", "propensity", "probability", "position", "decision", "visitor", "cluster", "weight",
    "rating", "stars", "score", "category", "categories", "regular price", "sale price", "stock", "in stock", "product",
    "brand", "language", "path 1", "path 2",
))  # fmt: skip
"""Names of columns beside them, by which a first line of names is known."""
_SHOPIFY = (frozenset(("handle", "title", "body html")), ("body html",), "a Shopify export")
_SHOPIFY_NOW = (frozenset(("url handle", "title", "description")), ("description",), "a Shopify export")
_WOOCOMMERCE = (frozenset(("sku", "name", "short description", "description")), ("short description", "description"),
                "a WooCommerce export")  # fmt: skip
_IDENTIFIER = re.compile(r"(?=.*\d)[A-Za-z0-9]+([._/#:+-]+[A-Za-z0-9]+)*|#?\d+|(https?://|www\.)\S+|\S+@\S+\.\w+")
_SUM = re.compile(r"(grand |sub)?totals?(:.*)?|results from \d+ .*|-{1,3}|[–—]", re.IGNORECASE | re.DOTALL)
"""What ad tools write in the last rows of a report, which sum up the others."""
_MISSING = frozenset(("", "-", "--", "---", "\u2014", "\u2013", "n/a", "null", "none", "nan", "#n/a"))


@dataclass(frozen=True)
class Choice:
    """The column that holds the texts.

    Parameters
    ----------
    number : int
        Its place, from 0.
    why : str
        How it was found; "" if it was named, or is the only one.
    named : bool
        Whether a person named it.
    """

    number: int
    why: str = ""
    named: bool = False


def plain_name(name: str) -> str:
    """Return a column's name in lower case without signs: "Body (HTML)" and "body_html" are one."""
    return " ".join(re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", name).casefold()).split())


def is_known(name: str) -> bool:
    """Return whether a cell is the usual name of a column."""
    plain = plain_name(name)
    return plain in TEXT_NAMES or plain in OTHER_NAMES


def is_missing(cell: str | None) -> bool:
    """Return whether a cell holds nothing, as spreadsheets and ad tools write it."""
    return cell is None or cell.strip().lower() in _MISSING


def before_sums(cells: Sequence[str | None]) -> int:
    """Return how many rows of a report, by its column of texts, stand before those at its end that sum them up.

    Examples
    --------
    >>> before_sums(["Warm socks", "Total comfort", "Total: Ads", "--", "Total: Account"])
    2
    """
    end = len(cells)
    for row in reversed(range(len(cells))):
        cell = (cells[row] or "").strip()
        if _SUM.fullmatch(cell):
            end = row
        elif cell:
            break
    return end


def is_identifier(cell: str) -> bool:
    """Return whether a cell is a number, an id, an address, and no text.

    Examples
    --------
    >>> [is_identifier(cell) for cell in ("00017", "K-1", "https://shop.example/a", "Sale", "Save 5 today")]
    [True, True, True, False, False]
    """
    return bool(_IDENTIFIER.fullmatch(cell.strip())) or is_value(cell)


def kind_of(cells: Sequence[str | None]) -> Kind:
    """Return what the first cells of a column are, by most of them."""
    filled = [cell.strip() for cell in cells if cell is not None and not is_missing(cell)]
    if not filled:
        return "empty"
    if 2 * sum(map(is_value, filled)) > len(filled):
        return "numbers"
    if 2 * sum(map(is_identifier, filled)) > len(filled):
        return "identifiers"
    if is_mostly_tags(filled):
        filled = [plain_text(cell) for cell in filled]
    return "texts" if statistics.median(map(_words, filled)) > 1 else "words"


def choose_column(
    name: str, columns: Sequence[str], heads: Sequence[Sequence[str | None]], asked: str | None = None
) -> Choice:
    """Return the column of texts: the one that is asked for, the only one, or the only one that can be it.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    columns : sequence of str
    heads : sequence
        The first cells of each column.
    asked : str, optional
        A name, or the number of a column from 1 where no column has that name.

    Raises
    ------
    InputError
        If there is no such column, or several could be it.
    """
    if asked is not None:
        return Choice(find_column(name, columns, asked), named=True)
    if len(columns) == 1:
        return Choice(0)
    kinds = [kind_of(head) for head in heads]
    plain = [plain_name(column) for column in columns]
    for names, wanted, export in (_SHOPIFY, _SHOPIFY_NOW, _WOOCOMMERCE):
        filled = [column for column in wanted if names <= set(plain) and kinds[plain.index(column)] != "empty"]
        if filled and plain.count(filled[0]) == 1:
            return Choice(plain.index(filled[0]), f"of {export}")
    able = [number for number, kind in enumerate(kinds) if kind in ("texts", "words")]
    usual = [number for number in able if plain[number] in TEXT_NAMES]
    if len(usual) == 1:
        return Choice(usual[0], "by its name")
    if not usual and len(able) == 1 and kinds[able[0]] == "texts":
        return Choice(able[0], "the only one of texts")
    listed = ", ".join(columns)
    several = usual or able
    could = ", ".join(_called(columns, number) for number in several) or "none of them"
    raise InputError(f"{name} has the columns {listed}; {could} could hold the texts: say which does with --column")


def find_column(name: str, columns: Sequence[str], asked: str) -> int:
    """Return the place of a column, from 0.

    Raises
    ------
    InputError
        If there is none of that name or number, or more than one of that name.
    """
    places = [number for number, column in enumerate(columns) if column == asked]
    if len(places) > 1:
        numbers = " and ".join(str(place + 1) for place in places)
        raise InputError(
            f"{name} has more than one column {asked!r}; leave one or rename the others, or give the number of one "
            f"({numbers}) to --column"
        )
    if places:
        return places[0]
    if asked.isdigit() and 1 <= int(asked) <= len(columns):
        return int(asked) - 1
    raise InputError(f"{name} has no column {asked!r}; it has {', '.join(columns)}")


def _called(columns: Sequence[str], number: int) -> str:
    """A column's name, or its number where the name is not its own."""
    return f"number {number + 1} ({columns[number]!r})" if columns.count(columns[number]) > 1 else repr(columns[number])


def _words(cell: str) -> int:
    """Words of a cell; letters of scripts without spaces count for their length."""
    dense = sum("\u3040" <= letter <= "\u9fff" or "\u0e00" <= letter <= "\u0eff" for letter in cell)
    return len(cell.split()) + dense // 3
