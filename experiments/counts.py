"""How often texts were shown and clicked, from the exports of ad tools and experiment platforms.

Which tool a file is of, its columns tell; where their names come from:

- Google Ads, the asset report: "About campaign-level asset reporting for responsive search ads" (support.google.com/
  google-ads/answer/9781208: the column Asset has the content of each asset) and "About asset-level metrics"
  (answer/16259414: an impression counts for each asset that was in the ad, so their rates are hints).
- Google Ads, the ad report: Headline 1 to 15; its counts are of whole ads, not of one of their texts.
- Meta Ads Manager: Ad name, Impressions, Link clicks, Clicks (all) ("Ads Manager columns", sebotraining.com).
- GrowthBook: growthbook/growthbook, packages/front-end/components/Experiment/ResultsDownloadButton.tsx; by the names of
  variations, a row for each metric.
- PostHog, a funnel broken down by variant: PostHog/posthog, posthog/tasks/exports/csv_exporter.py; a row for each step.

Any other table has a column of texts and two of counts. Optimizely exports results as CSV too, but no page that we
found names its columns: a person must.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path

import numpy as np

from copyloom import InputError
from copyloom.columns import before_sums, choose_column, is_missing, plain_name
from copyloom.numbers import parse_numbers
from copyloom.problems import Problem, problems_where, raise_if_any
from copyloom.tables import Reading, TableFile, open_table, say

Counts = tuple[tuple[str, int, int], ...]
"""Texts with their impressions and clicks."""
_SHOWN = ("impressions", "impr", "exposures", "visitors", "users", "views")
_CLICKED = ("clicks", "link clicks", "conversions", "unique conversions")
_WHOLE = "a whole number from 0"


@dataclass(frozen=True)
class Tool:
    """How a tool writes counts.

    Parameters
    ----------
    name : str
    columns : tuple of str
        By which its files are known, as `copyloom.columns.plain_name` writes them.
    text, shown, clicked : str
        The columns of texts or their names, impressions and clicks; "" where a person must say.
    named : bool
        Whether texts are named only, so that a person must say what the names stand for.
    by : str
        The column that tells metrics, or steps, apart.
    """

    name: str
    columns: tuple[str, ...]
    text: str = ""
    shown: str = "impressions"
    clicked: str = "clicks"
    named: bool = False
    by: str = ""


_GROWTHBOOK = Tool("GrowthBook", ("metric", "variation", "users", "totalvalue"), "variation", "users", "totalvalue",
                   named=True, by="metric")  # fmt: skip
_POSTHOG = Tool("PostHog (a funnel)", ("name", "breakdown value", "action id", "count"), "breakdown value", "count",
                "count", named=True, by="name")  # fmt: skip
TOOLS = (
    _GROWTHBOOK, _POSTHOG,
    Tool("Google Ads (assets)", ("asset", "impr", "clicks"), "asset", "impr"),
    Tool("Google Ads (ads)", ("headline 1", "impr", "clicks"), "", "impr"),
    Tool("Meta Ads Manager", ("ad name", "impressions", "link clicks"), "ad name", clicked="link clicks", named=True),
)  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """What a person says of a file of counts; what is "" is found out.

    Parameters
    ----------
    text, shown, clicked : str
        Columns of texts or their names, impressions and clicks.
    metric : str
        Of several metrics, or steps of a funnel, the one that counts as a click.
    where : mapping of str to str
        Columns, and what stands in them in the rows that count.
    """

    text: str = ""
    shown: str = ""
    clicked: str = ""
    metric: str = ""
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """Counts of texts from a file.

    Parameters
    ----------
    name, tool : str
        Of the file, and whose it is; "" where it could be anyone's.
    columns : tuple of str
        Of texts, impressions and clicks.
    counts : tuple of (str, int, int)
        Each text once.
    rows : int
        That were counted.
    left_out : mapping of str to int
        Rows by why.
    """

    name: str
    tool: str
    columns: tuple[str, str, str]
    counts: Counts
    rows: int
    left_out: Mapping[str, int]


def read_results(
    path: Path | str, columns: Columns | None = None, names: Path | None = None, reading: Reading | None = None
) -> Results:
    """Return the counts of a file.

    Parameters
    ----------
    path : Path or str
        As for `copyloom.tables.open_table`.
    columns : Columns, optional
    names : Path, optional
        A table with the columns name and text: what variations or ads stand for.
    reading : Reading, optional

    Raises
    ------
    InputError
        If the file cannot be read, a column cannot be told, texts are named only and not said, or rows are wrong: all
        of them are named.
    """
    asked, given = columns or Columns(), reading or Reading()
    wanted = [one for one in (asked.text, asked.shown, asked.clicked, *asked.where) if one and not one.isdigit()]
    table = open_table(path, given, wanted, asked.text or None)
    tool = _tool(table, asked)
    cells = _Cells(table)
    text = cells.find(asked.text) if asked.text else _text_column(table, cells, tool)
    shown = cells.find(asked.shown or (tool.shown if tool else ""), _SHOWN, "--impressions")
    clicked = cells.find(asked.clicked or (tool.clicked if tool else ""), _CLICKED, "--clicks")
    rows, left = _kept(cells, text, (shown, clicked), asked.where)
    if tool is not None and tool.by:
        rows = _of_metric(cells, tool, rows, asked.metric)
    elif asked.metric:
        raise InputError(f"{table.name} tells no metrics apart; leave --metric out, or choose rows with --where")
    is_funnel = tool is _POSTHOG
    found = _funnel(cells, text, rows, asked.metric) if is_funnel else cells.counts(rows, text, shown, clicked)
    raise_if_any(cells.problems, table.name)
    if (tool is not None and tool.named and text == cells.places[tool.text]) or names is not None:
        found = _said(table.name, tool, found, names)
    together: dict[str, tuple[int, int]] = {}
    for one, many, clicks in found:
        before = together.get(one, (0, 0))
        together[one] = before[0] + many, before[1] + clicks
    chosen = table.columns[text], table.columns[shown], table.columns[clicked]
    return Results(table.name, tool.name if tool else "", chosen,
                   tuple((one, *counts) for one, counts in together.items()), len(rows), left)  # fmt: skip


def read_past(path: Path) -> Counts:
    """Return earlier texts with their impressions and clicks, from columns of those names in a table.

    Rows at the end that sum up the others are left out, which is said.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a column, a row has no text or counts that cannot be, or there is no click.
    """
    table = open_table(path, None, ("text", "impressions", "clicks"))
    if missing := [name for name in ("text", "impressions", "clicks") if name not in table.columns]:
        there = ", ".join(table.columns) or "none"
        raise InputError(f"{table.name} has no column {missing[0]!r}; it has {there}; give text, impressions and "
                         "clicks (copyloom import writes them from exports of other tools)")  # fmt: skip
    cells = _Cells(table)
    text, *counts = (table.columns.index(name) for name in ("text", "impressions", "clicks"))
    end = before_sums(cells.column(text))
    if sums := cells.column(text)[end:]:
        say(f"left out at the end of {path}, as sums: {', '.join(map(repr, sums))}")
    found = cells.counts(range(end), text, counts[0], counts[1])
    raise_if_any(cells.problems, table.name)
    if not any(clicked for _, _, clicked in found):
        raise InputError(f"{path} holds no click in {len(found)} rows; a prior opinion needs texts that were clicked")
    return tuple(found)


class _Cells:
    """The columns of a file, read once, and what is wrong with their rows."""

    def __init__(self, table: TableFile) -> None:
        self.table = table
        self.places = {plain_name(column): place for place, column in reversed(list(enumerate(table.columns)))}
        self._columns: dict[int, list[str]] = {}
        self.problems: list[Problem] = []

    def column(self, place: int) -> list[str]:
        """Return the cells of a column; "" where nothing stands."""
        if place not in self._columns:
            self._columns[place] = ["" if cell is None else str(cell) for batch in self.table.batches([place])
                                    for cell in batch.column(0).to_pylist()]  # fmt: skip
        return self._columns[place]

    def find(self, name: str, usual: Sequence[str] = (), option: str = "--column") -> int:
        """Return the place of a column: of that name or number or, without one, the only one of usual names."""
        columns, there = self.table.columns, ", ".join(self.table.columns)
        if name:
            if name in columns:
                return columns.index(name)
            if plain_name(name) in self.places:
                return self.places[plain_name(name)]
            if name.isdigit() and 1 <= int(name) <= len(columns):
                return int(name) - 1
            raise InputError(f"{self.table.name} has no column {name!r}; it has {there}: name another with {option}")
        able = [self.places[one] for one in usual if one in self.places]
        if len(able) != 1:
            which = " or ".join(repr(columns[place]) for place in able) or "none that is known"
            raise InputError(f"{self.table.name} has the columns {there}; {which} could be it: say which with {option}")
        return able[0]

    def counts(self, rows: Iterable[int], text: int, shown: int, clicked: int) -> list[tuple[str, int, int]]:
        """Return texts with their counts, and note rows without text, or with counts that cannot be."""
        rows = list(rows)
        texts = [" ".join(self.column(text)[row].split()) for row in rows]
        self._refuse([is_missing(one) for one in texts], rows, text, "is missing", "a text")
        numbers = [self.numbers(rows, place) for place in (shown, clicked)]
        self._refuse([clicks > many for many, clicks in zip(*numbers, strict=True)], rows, clicked,
                     "is more than the impressions", f"0 to what {self.table.columns[shown]!r} holds",
                     beside=shown)  # fmt: skip
        if self.problems:
            return []
        return [(one, int(many), int(clicks)) for one, many, clicks in zip(texts, *numbers, strict=True)]

    def numbers(self, rows: Sequence[int], place: int) -> list[float]:
        """Return whole numbers, and note what is none."""
        given = [self.column(place)[row] for row in rows]
        found = parse_numbers([cell or None for cell in given], whole=True)
        wrong = [isnan(value) or value < 0 or value % 1 != 0 or value >= 2**53 for value in found]
        self._refuse(wrong, rows, place, "is no whole number", _WHOLE)
        return found

    def _refuse(
        self, wrong: Sequence[bool], rows: Sequence[int], place: int, what: str, allowed: str, beside: int | None = None
    ) -> None:
        bad = np.zeros(len(self.column(place)), bool)
        bad[[row for row, is_wrong in zip(rows, wrong, strict=True) if is_wrong]] = True
        given = self.column(place)
        if beside is not None:
            given = [f"{cell} of {other}" for cell, other in zip(given, self.column(beside), strict=True)]
        self.problems += problems_where(bad, given, self.table.columns[place], what, allowed)


def _tool(table: TableFile, asked: Columns) -> Tool | None:
    names = {plain_name(column) for column in table.columns}
    tool = next((one for one in TOOLS if names.issuperset(one.columns)), None)
    return None if tool is not None and asked.shown and asked.clicked else tool


def _text_column(table: TableFile, cells: _Cells, tool: Tool | None) -> int:
    if tool is None:
        return choose_column(table.name, table.columns, table.head()).number
    if not tool.text:
        raise InputError(
            f"the counts of {table.name} are of whole ads, which show several texts at once: download the report of "
            "assets, which has them for each text; or say which column shall stand for the ad, as --column 'Headline 1'"
        )
    return cells.places[tool.text]


def _kept(
    cells: _Cells, text: int, counts: tuple[int, int], where: Mapping[str, str]
) -> tuple[list[int], dict[str, int]]:
    """Return the rows that count, and how many do not: sums at the end, others than asked for, without any count."""
    texts = cells.column(text)
    end, left = before_sums(texts), {"sums at the end": 0, "other rows than --where": 0, "without counts": 0}
    left["sums at the end"] = len(texts) - end
    wanted = [(cells.column(cells.find(name, (), "--where")), value) for name, value in where.items()]
    rows = []
    for row in range(end):
        if any(column[row].strip() != value for column, value in wanted):
            left["other rows than --where"] += 1
        elif all(cells.column(place)[row].strip() in ("--", "-", "—") for place in counts):
            left["without counts"] += 1
        else:
            rows.append(row)
    if not rows:
        raise InputError(f"{cells.table.name} holds no row that counts; left out: "
                         + ", ".join(f"{many} {why}" for why, many in left.items() if many))  # fmt: skip
    return rows, {why: many for why, many in left.items() if many}


def _of_metric(cells: _Cells, tool: Tool, rows: Sequence[int], metric: str) -> list[int]:
    """Return the rows of a metric; of a funnel, all of them."""
    column = cells.column(cells.places[tool.by])
    there = list(dict.fromkeys(column[row].strip() for row in rows))
    if metric and metric not in there:
        raise InputError(f"{cells.table.name} has no metric {metric!r}; it has {', '.join(there)}")
    if tool is _POSTHOG:
        return list(rows)
    if not metric and len(there) > 1:
        raise InputError(f"{cells.table.name} has the metrics {', '.join(there)}; say with --metric which is the click")
    return [row for row in rows if column[row].strip() == (metric or there[0])]


def _funnel(cells: _Cells, text: int, rows: Sequence[int], step: str) -> list[tuple[str, int, int]]:
    """Return how many entered a funnel, and how many reached its last step or the one that is named, by variant."""
    names, variants = cells.column(cells.places["name"]), cells.column(text)
    counts = dict(zip(rows, cells.numbers(rows, cells.places["count"]), strict=True))
    if cells.problems:
        return []
    groups: dict[str, list[int]] = {}
    for row in rows:
        groups.setdefault(" ".join(variants[row].split()), []).append(row)
    found = []
    for variant, mine in groups.items():
        last = next((row for row in mine if names[row].strip() == step), None) if step else mine[-1]
        if last is None or len(mine) < 2:
            raise InputError(f"{cells.table.name} has no second step of {variant!r}; export the funnel with all steps")
        found.append((variant, int(counts[mine[0]]), int(counts[last])))
    return found


def _said(
    name: str, tool: Tool | None, found: Sequence[tuple[str, int, int]], names: Path | None
) -> list[tuple[str, int, int]]:
    """Return counts with the texts that their names stand for."""
    whose = f"{tool.name} names" if tool else "it names"
    if names is None:
        raise InputError(
            f"{name} has no texts: {whose} variations or ads only, {', '.join(repr(one) for one, _, _ in found[:3])}. "
            "Give a table with the columns name and text that says what each stands for: --names FILE"
        )
    table = open_table(names, None, ("name", "text"))
    if missing := [one for one in ("name", "text") if one not in table.columns]:
        raise InputError(f"{table.name} has no column {missing[0]!r}; give the columns name and text")
    cells = _Cells(table)
    pairs = zip(*(cells.column(table.columns.index(one)) for one in ("name", "text")), strict=True)
    texts = {" ".join(key.split()): " ".join(text.split()) for key, text in pairs}
    if unknown := [one for one, _, _ in found if not texts.get(one)]:
        listed = ", ".join(map(repr, unknown[:5]))
        raise InputError(f"{table.name} does not say what {listed} of {name} stands for; add a row for each")
    return [(texts[one], many, clicks) for one, many, clicks in found]
