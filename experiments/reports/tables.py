"""Results for further work and for a paper: tidy rows as CSV and Parquet, tables as Markdown and LaTeX, figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from embeddings.folders import replacing
from experiments.nested import numbers_in, tables_in

_BETWEEN = " | "
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "–": "--", "\u00a0": "~", "→": r"$\rightarrow$",
    "±": r"$\pm$", "<": "$<$", ">": "$>$",
}  # fmt: skip
_NUMBER = re.compile(r"[-−+<]?[\s\u00a0]?[\d.,]+[\s\u00a0]?%?|[–-]?")


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path, schema: pa.Schema | None = None) -> list[Path]:
    """Write tidy rows beside `path`, with the endings .parquet and .csv, and return both; lists become text in the CSV.

    Parameters
    ----------
    rows : sequence of mapping
        All with the same keys.
    path : Path
        Without ending.
    schema : pyarrow.Schema, optional
        Found out from the rows unless given.

    Raises
    ------
    InputError
        If they cannot be written.
    """
    table = pa.Table.from_pylist(list(rows), schema)
    flat = pa.table({name: _joined(column) for name, column in zip(table.column_names, table.columns, strict=True)})
    files = [path.with_name(f"{path.name}.{ending}") for ending in ("parquet", "csv")]
    for file, written, write in zip(files, (table, flat), (pq.write_table, pacsv.write_csv), strict=True):
        with replacing(file) as partial:
            write(written, partial)
    return files


def write_tables(found: Mapping[str, Any], place: Callable[[str], Path]) -> list[Path]:
    """Write each table of what was found, and its single numbers, as tidy rows, and return the files.

    Parameters
    ----------
    found : mapping
        Its lists of mappings are tables: see `experiments.nested.tables_in`.
    place : callable
        From a table's name to its path without ending.
    """
    numbers = [{"name": name, "value": value} for name, value in numbers_in(found).items()]
    tables = {**({"numbers": numbers} if numbers else {}), **tables_in(found)}
    files: list[Path] = []
    for name, rows in tables.items():
        columns = {key: _column([row.get(key) for row in rows]) for row in rows for key in row}
        schema = pa.schema([(key, column.type) for key, column in columns.items()])
        files += write_rows(pa.table(columns).to_pylist(), place(name), schema)
    return files


def _column(values: list[Any]) -> pa.Array:
    """Return values of one kind, or as text where they are of several."""
    try:
        found = pa.array(values)
    except pa.ArrowException:
        found = pa.array([None if value is None else str(value) for value in values])
    return found.cast(pa.string()) if pa.types.is_null(found.type) else found


def _joined(column: pa.ChunkedArray) -> Any:
    """Return a column with lists as text."""
    if not pa.types.is_list(column.type):
        return column
    return [None if some is None else _BETWEEN.join(map(str, some)) for some in column.to_pylist()]


def write_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], path: Path, caption: str, note: str = ""
) -> list[Path]:
    """Write a table for people beside `path`, with the endings .md and .tex, and return both.

    Parameters
    ----------
    columns : sequence of str
    rows : sequence
        Cells as they are to be read.
    path : Path
        Without ending.
    caption : str
    note : str
        What stands below it.
    """
    pages = {"md": f"{caption}\n\n{markdown(columns, rows)}\n" + (f"\n{note}\n" if note else ""),
             "tex": latex(columns, rows, caption, path.name, note)}  # fmt: skip
    files = [path.with_name(f"{path.name}.{ending}") for ending in pages]
    for file, page in zip(files, pages.values(), strict=True):
        with replacing(file) as partial:
            partial.write_text(page, encoding="utf-8")
    return files


def write_figure(figure: Figure, path: Path) -> list[Path]:
    """Write a figure beside `path`, with the endings .svg and .pdf, and return both."""
    files = [path.with_name(f"{path.name}.{kind}") for kind in ("svg", "pdf")]
    for file, about in zip(files, ({"Date": None}, {"CreationDate": None}), strict=True):
        with replacing(file) as partial:
            figure.savefig(partial, format=file.suffix[1:], metadata=about)
    return files


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""Return a table of Markdown; columns of numbers stand to the right.

    Examples
    --------
    >>> print(markdown(["level", "part-worth"], [["yes | no", "+0.10"]]))
    | level | part-worth |
    |---|--:|
    | yes \| no | +0.10 |
    """
    rules = ["--:" if right else "---" for right in _numeric(columns, rows)]
    cells = [[cell.replace("|", r"\|").replace("\n", " ") for cell in row] for row in (columns, *rows)]
    head, *body = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([head, f"|{'|'.join(rules)}|", *body])


def latex(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str, note: str = "") -> str:
    """Return a table of LaTeX that needs the package booktabs."""
    kinds = "".join("r" if right else "l" for right in _numeric(columns, rows))
    head, *body = [" & ".join(map(escaped, row)) + r" \\" for row in (columns, *rows)]
    below = [rf"\par\smallskip\footnotesize {escaped(note)}"] if note else []
    return "\n".join([
        r"\begin{table}", r"\centering", rf"\caption{{{escaped(caption)}}}", rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}",
        *below, r"\end{table}", "",
    ])  # fmt: skip


def escaped(text: str) -> str:
    r"""Return text as LaTeX prints it.

    Examples
    --------
    >>> escaped("5 % of $9_99")
    '5 \\% of \\$9\\_99'
    """
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _numeric(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[bool]:
    return [bool(rows) and all(_NUMBER.fullmatch(row[place]) for row in rows) for place in range(len(columns))]
