"""Rows and tables as files."""

from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from experiments.reports.tables import latex, write_figure, write_rows, write_table


def test_rows_come_back(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": 'x, "y"', "c": [1, 2]}, {"a": None, "b": "", "c": []}]
    parquet, flat = write_rows(rows, tmp_path / "rows.v1")
    assert (parquet.name, flat.name) == ("rows.v1.parquet", "rows.v1.csv")
    assert pq.read_table(parquet).to_pylist() == rows
    assert pacsv.read_csv(flat).to_pylist()[0] == {"a": 1, "b": 'x, "y"', "c": "1 | 2"}


def test_tables_for_a_paper(tmp_path: Path) -> None:
    markdown, tex = write_table(["what", "share"], [["50 % & more", "−0.10"]], tmp_path / "t", "Shares", "A note.")
    assert "| 50 % & more | −0.10 |" in markdown.read_text(encoding="utf-8")
    page = tex.read_text(encoding="utf-8")
    assert r"50 \% \& more & $-$0.10 \\" in page
    assert r"\begin{tabular}{lr}" in page
    assert r"\label{tab:t}" in page
    assert "{lr}" in latex(["a", "b"], [["x", "< 0.001"]], "c", "l")


def test_a_figure_in_both_kinds(tmp_path: Path) -> None:
    assert [file.read_bytes()[:4] for file in write_figure(Figure(), tmp_path / "f")] == [b"<?xm", b"%PDF"]
