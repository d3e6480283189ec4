"""What is found out about a file, and what is refused because it could be read in two ways."""

import gzip
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from copyloom import InputError
from copyloom.tables import Reading, open_table
from copyloom.texts import gather_texts

LINES = ["A kettle that hums before it boils.", "Pack lighter, walk further.", "Quiet shoes for loud floors."]


def write(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def table_of(delimiter: str, *columns: list[str]) -> str:
    return "\n".join(delimiter.join(row) for row in zip(*columns, strict=True)) + "\n"


CLICKS = ["clicks", "1", "2", "3"]


@pytest.mark.parametrize(
    ("delimiter", "suffix"),
    [(";", "csv"), ("\t", "tsv"), ("\t", "csv"), ("|", "csv"), ("\t", "txt"), (";", "txt"), ("\t", "xls")],
)
def test_delimiters(tmp_path: Path, delimiter: str, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", table_of(delimiter, ["headline", *LINES], CLICKS))
    found = gather_texts(path)
    assert (found.texts, found.column, found.table.delimiter) == (LINES, "headline", delimiter)
    shown = "tab" if delimiter == "\t" else repr(delimiter)
    assert f"from column 'headline' (by its name), delimiter {shown}" in str(found)


def test_decimal_commas_do_not_hide_semicolons(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", table_of(";", ["headline", *LINES], ["ctr", "0,5", "1,5", "2,5"]))
    assert open_table(path).columns == ("headline", "ctr")


def test_two_delimiters_that_both_fit_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a one, b;c\nd two, e;f\n")
    with pytest.raises(InputError, match="--delimiter"):
        open_table(path)
    assert open_table(path, Reading(delimiter=";", header=False)).columns == ("1", "2")


def test_no_header_no_text_is_lost(tmp_path: Path) -> None:
    one = gather_texts(write(tmp_path / "a.csv", "\n".join(LINES[::2])))
    assert (one.texts, one.table.header) == (LINES[::2], False)
    two = gather_texts(write(tmp_path / "b.csv", table_of(";", LINES, CLICKS[1:])))
    assert (two.texts, two.why) == (LINES, "the only one of texts")
    assert "no header" in str(two)
    unsure = write(tmp_path / "c.csv", "Warm socks\nQuiet shoes\n")
    with pytest.raises(InputError, match=r"'Warm socks'.*--header or --no-header"):
        gather_texts(unsure)
    assert len(gather_texts(unsure, reading=Reading(header=False)).texts) == 2
    assert len(gather_texts(unsure, reading=Reading(header=True)).texts) == 1


@pytest.mark.parametrize("title", ["Ad report", '"Ad report, all"', "Ad report,,"])
@pytest.mark.parametrize("dates", ['"January 1, 2026 - March 1, 2026"', "January 1, 2026 - March 1, 2026"])
def test_lines_before_the_header(tmp_path: Path, title: str, dates: str) -> None:
    rows = 'Headline 1,Campaign,Clicks\n"Warm socks, cold floors",A,3\nQuiet shoes today,A,4\nTotal,,7\n'
    found = gather_texts(write(tmp_path / "a.csv", f"{title}\n{dates}\n\n{rows}"))
    assert found.texts == ["Warm socks, cold floors", "Quiet shoes today"]
    assert "left out: 1 sums at the end ('Total')" in str(found)
    assert len(found.table.preamble) == 2
    assert "Ad report" in str(found)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("suffix", ["csv", "txt"])
def test_encodings(tmp_path: Path, encoding: str, suffix: str) -> None:
    texts = ["Café “Brûlée” – now €5", "Warm socks for cold platforms", "Größe zählt"]
    content = table_of(";", ["headline", *texts], CLICKS) if suffix == "csv" else "\r\n".join(texts)
    marked = "\ufeff" + content if encoding in ("utf-16-le", "utf-16-be") else content
    for given in (content, marked):
        path = write(tmp_path / f"a.{suffix}", given, encoding)
        assert gather_texts(path).texts == texts
        assert gather_texts(path, reading=Reading(encoding=encoding)).texts == texts
    said = {"utf-16": "UTF-16", "cp1252": "Windows-1252", "utf-8": ""}.get(encoding, "")
    assert said in str(gather_texts(path))


@pytest.mark.parametrize("encoding", ["cp1251", "cp1253", "shift_jis", "cp437", "cp1250"])
def test_other_encodings_are_named_or_refused(tmp_path: Path, encoding: str) -> None:
    texts = {"cp1251": ["Кофе каждое утро", "Тихий чайник"], "cp1253": ["Καφές κάθε πρωί", "Ήσυχος βραστήρας"],
             "shift_jis": ["温かいコーヒー", "静かな靴"], "cp437": ["Café brûlée", "Crème"],
             "cp1250": ["Ciepłe skarpety", "Zażółć gęślą jaźń"]}[encoding]  # fmt: skip
    path = write(tmp_path / "a.txt", "\n".join(texts), encoding)
    with pytest.raises(InputError, match=r"not a text file in UTF-8 \(byte \d+\); .*--encoding"):
        gather_texts(path)
    assert gather_texts(path, reading=Reading(encoding=encoding)).texts == texts
    with pytest.raises(InputError, match="'klingon' is unknown"):
        gather_texts(path, reading=Reading(encoding="klingon"))


def test_one_text_a_line_ends_at_line_breaks_only(tmp_path: Path) -> None:
    for end in ("\n", "\r", "\r\n"):
        texts = ["one\u2028still one", "two\x0bstill two", "three\x0cstill", "four\x85still", "last"]
        assert gather_texts(write(tmp_path / "a.txt", end.join(texts))).texts == texts


def test_quotes(tmp_path: Path) -> None:
    doubled = write(tmp_path / "a.csv", 'headline,clicks\n"Say ""hello"", socks",3\n')
    escaped = write(tmp_path / "b.csv", 'headline,clicks\n"Say \\"hello\\", socks",3\n')
    assert gather_texts(doubled).texts == gather_texts(escaped).texts == ['Say "hello", socks']
    assert "backslashes" in str(gather_texts(escaped))
    path = write(tmp_path / "c.csv", 'headline,clicks\n"C:\\new, big",3\n')
    assert gather_texts(path).texts == ["C:\\new, big"]
    for bad in ('"Say "hello" now",3\n', '"never closed,3\n'):
        with pytest.raises(InputError, match=r"line \d.*double the quotes"):
            gather_texts(write(tmp_path / "d.csv", f"headline,clicks\n{bad}"))


def test_a_fault_far_down_is_named(tmp_path: Path) -> None:
    rows = "".join(f'"{"word " * 20}{number}",{number}\n' for number in range(20_000))
    path = write(tmp_path / "a.csv", f'headline,clicks\n{rows}"a "b" c",3\n')
    with pytest.raises(InputError, match="line 20002"):
        gather_texts(path)
    with pytest.raises(InputError, match="row 20001 has 3 cells, more cells than columns"):
        gather_texts(write(path, f"headline,clicks\n{rows}a,b,c\n"))


def test_large_cells_with_line_breaks(tmp_path: Path) -> None:
    body = "<p>It hums.</p>\r\n<p>Then &amp; there.</p>\r\n" * 4
    rows = "".join(f'k{number},Kettle {number},"{body}{number}",9\r\n' for number in range(12_000))
    path = write(tmp_path / "a.csv", f"Handle,Title,Body (HTML),Variant Price\r\n{rows}")
    assert path.stat().st_size > 2**20
    found = gather_texts(path)
    assert (len(found.texts), found.html, found.why) == (12_000, True, "of a Shopify export")
    assert found.texts[3] == " ".join(["It hums. Then & there."] * 4) + " 3"


def test_columns_of_one_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Headline,Clicks,Headline\nA kettle hums,3,Warm socks now\n")
    for column in (None, "Headline"):
        with pytest.raises(InputError, match="--column"):
            gather_texts(path, column)
    assert gather_texts(path, "3").texts == ["Warm socks now"]
    stored = pa.table([pa.array(["a b", "c d"]), pa.array(["e f", "g h"])], names=["text", "text"])
    pq.write_table(stored, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="more than one column 'text'"):
        gather_texts(tmp_path / "a.parquet", "text")
    assert gather_texts(tmp_path / "a.parquet", "2").texts == ["e f", "g h"]


@pytest.mark.parametrize(("header", "row", "column", "why"), [
    ("Handle,Title,Body (HTML),Vendor", "a,Kettle,Hums for you daily,Us", "Body (HTML)", "of a Shopify export"),
    ("ID,Type,SKU,Name,Published,Short description,Description", "1,simple,K-1,Kettle,1,It hums,It hums and boils",
     "Short description", "of a WooCommerce export"),
    ("Campaign,Ad group,Headline 1,Clicks,CTR", "Brand,Mugs,It hums for you,3,5%", "Headline 1", "by its name"),
    ("sku,product_line,price", "K-1,It hums for you,5", "product_line", "the only one of texts"),
])  # fmt: skip
def test_the_column_is_known(tmp_path: Path, header: str, row: str, column: str, why: str) -> None:
    found = gather_texts(write(tmp_path / "a.csv", f"{header}\n{row}\n{row}2\n"))
    assert (found.column, found.why) == (column, why)


def test_several_columns_that_could_be_it_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Headline 1,Headline 2,Clicks\nWarm socks now,Buy two today,3\n")
    with pytest.raises(InputError, match=r"'Headline 1', 'Headline 2' could hold the texts: .*--column"):
        gather_texts(path)
    path = write(tmp_path / "b.csv", "one_a,one_b,n\nWarm socks now,Buy two today,3\n")
    with pytest.raises(InputError, match="--column"):
        gather_texts(path)
    path = write(tmp_path / "c.csv", "sku,n\nK-1,3\n")
    with pytest.raises(InputError, match="none of them could hold"):
        gather_texts(path)


def test_what_is_left_out_is_counted_and_listed(tmp_path: Path) -> None:
    cells = [
        "Warm socks now",
        "",
        "00017",
        "Warm  socks now",
        " --",
        "K-1",
        "https://shop.example/a",
        "Buy 2 today",
        "50%",
    ]
    cells += ["Quiet shoes", "Loud floors", "Sale", "Tea time"]
    path = write(tmp_path / "a.csv", table_of(",", ["text", *cells], ["n", *map(str, range(len(cells)))]))
    found = gather_texts(path, distinct=True)
    assert found.texts == ["Warm socks now", "Buy 2 today", "Quiet shoes", "Loud floors", "Sale", "Tea time"]
    assert found.counts == {"empty": 2, "identifier": 4, "repeated": 1}
    assert [(one.row, one.why) for one in found.left_out][:3] == [(2, "empty"), (3, "identifier"), (4, "repeated")]
    assert "left out: 2 empty, 4 numbers or identifiers ('00017', 'K-1', 'https://shop.example/a', ...)" in str(found)
    ids = write(tmp_path / "b.csv", "sku\n00017\n00018\n")
    with pytest.raises(InputError, match=r"column 'sku' of .* holds identifiers such as '00017', .*name this one"):
        gather_texts(ids)


def test_a_named_column_keeps_all_but_empty_cells_and_sums(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "headline,clicks\n50 %,1\nWD-40,2\n,3\n--,4\nBuy now,5\nTotal: Ads,15\n")
    found = gather_texts(path, "headline")
    assert found.texts == ["50 %", "WD-40", "Buy now"]
    assert found.counts == {"empty": 2, "sum": 1}
    assert "2 of them numbers or identifiers ('50 %', 'WD-40')" in str(found)
    assert gather_texts(path, "2").texts == ["1", "2", "3", "4", "5", "15"]
    with pytest.raises(InputError, match="identifiers such as"):
        gather_texts(path)


@pytest.mark.parametrize("ends", [
    ["Total"], ["Totals"], ["grand total"], ["Total: Search", "--", "Total: Account"], [" --", ""],
    ["Results from 12 ads"],
])  # fmt: skip
def test_sums_at_the_end_of_a_report_are_no_texts(tmp_path: Path, ends: list[str]) -> None:
    lines = ["Total", "Warm socks now", "Total comfort"]
    clicks = map(str, range(len(lines + ends)))
    path = write(tmp_path / "a.csv", table_of(",", ["headline", *lines, *ends], ["clicks", *clicks]))
    for column in (None, "headline"):
        found = gather_texts(path, column, distinct=True)
        assert found.texts == lines
        assert sum(found.counts.values()) == len(ends)
    alone = write(tmp_path / "a.txt", "\n".join([*lines[1:], "Total"]))
    assert gather_texts(alone).texts == [*lines[1:], "Total"]


def test_html(tmp_path: Path) -> None:
    cells = ["<p>Warm &amp; <b>soft</b></p><ul><li>One</li><li>Two</li></ul>", "<script>x()</script>Tom &lt;3 <br>tea"]
    path = write(tmp_path / "a.csv", table_of(";", ["text", *cells], ["n", "1", "2"]), "utf-8")
    path.write_text("text|n\n" + "".join(f"{cell}|1\n" for cell in cells))
    assert gather_texts(path).texts == ["Warm & soft One Two", "Tom <3 tea"]
    assert gather_texts(path, reading=Reading(html=False)).texts == cells
    few = write(tmp_path / "b.txt", "Tom &amp; Jo\nTea\nSocks\n")
    assert gather_texts(few).texts[0] == "Tom &amp; Jo"
    assert "HTML in 1 of them (--html takes it out)" in str(gather_texts(few))
    assert gather_texts(few, reading=Reading(html=True)).texts[0] == "Tom & Jo"


def test_json_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl", '{"id": 7, "headline": "Warm\\u2028socks"}\n\n{"headline": "Tea time", "ok": true}\n'
    )
    assert gather_texts(path).texts == ["Warm\u2028socks", "Tea time"]
    assert open_table(path).columns == ("id", "headline", "ok")
    assert open_table(path).table(["id"])["id"].to_pylist() == ["7", None]
    assert (
        gather_texts(write(tmp_path / "a.json", '[{"text": "One mug"}, {"text": "Two mugs"}]')).texts[1] == "Two mugs"
    )
    for bad, says in (
        ('{"text": "a"}\n[1]', "line 2 .* no JSON object"),
        ('{"text": "a"}\n{"text"', "line 2"),
        ('{"text": "a", "text": "b"}', "names 'text' twice"),
        ('{"text": {"de": "a"}}', "'text' of object 1"),
        ('{"text": "\\ud800"}', "cannot be read"),
    ):
        with pytest.raises(InputError, match=says):
            gather_texts(write(tmp_path / "b.jsonl", bad))


def test_excel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["Ad report"], [], ["Headline 1", "Clicks"], ["Warm socks", 3], ["Tea time", 4.5], [None, 5]):
        book.active.append(row)
    book.create_sheet("Empty")
    book.save(tmp_path / "a.xlsx")
    found = gather_texts(tmp_path / "a.xlsx")
    assert (found.texts, found.column, found.counts) == (["Warm socks", "Tea time"], "Headline 1", {"empty": 1})
    assert "Excel, sheet 'Sheet'" in str(found)
    assert found.table.table(["Clicks"])["Clicks"].to_pylist() == ["3", "4.5", "5"]
    book["Empty"].append(["claim", "n"])
    book["Empty"].append(["Other text", 1])
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(InputError, match="has the sheets Sheet, Empty; say which with --sheet"):
        gather_texts(tmp_path / "a.xlsx")
    assert gather_texts(tmp_path / "a.xlsx", "claim").texts == ["Other text"]
    for sheet in ("Empty", "2"):
        assert gather_texts(tmp_path / "a.xlsx", reading=Reading(sheet=sheet)).texts == ["Other text"]
    assert gather_texts(tmp_path / "a.xlsx", reading=Reading(sheet="1")).texts == ["Warm socks", "Tea time"]
    for sheet in ("3", "0", "sheet"):
        with pytest.raises(InputError, match=f"has no sheet '{sheet}'; it has Sheet, Empty"):
            gather_texts(tmp_path / "a.xlsx", reading=Reading(sheet=sheet))
    with pytest.raises(InputError, match="no Excel workbook and has no sheets"):
        gather_texts(write(tmp_path / "a.csv", "text,n\nOther text,1\n"), reading=Reading(sheet="1"))
    book.create_sheet("2")
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(InputError, match="its sheet '2' is empty"):
        gather_texts(tmp_path / "a.xlsx", reading=Reading(sheet="2"))
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(InputError, match=r"pip install 'copyloom\[excel\]'"):
        gather_texts(tmp_path / "a.xlsx", "claim")
    for content in (b"\xd0\xcf\x11\xe0old", b"no zip", b"PK\x03\x04no zip"):
        with pytest.raises(InputError, match=r"a\.xlsx"):
            gather_texts(write(tmp_path / "a.xlsx", content))


def test_names_and_compression_do_not_matter(tmp_path: Path) -> None:
    content = table_of(",", ["text", "One mug", "Two mugs", "Tea"], CLICKS).encode()
    for name, stored in (
        ("A.CSV", content),
        ("a.csv.gz", gzip.compress(content)),
        ("b.CSV.GZ", gzip.compress(content)),
    ):
        assert open_table(write(tmp_path / name, stored)).columns == ("text", "clicks")
    pq.write_table(pa.table({"text": pa.array(["One mug", "Two mugs"]).dictionary_encode()}), tmp_path / "a.PARQUET")
    assert gather_texts(tmp_path / "a.PARQUET").texts == ["One mug", "Two mugs"]
    packed = gzip.compress(content)
    for damaged in (packed[:-9], packed[:20] + b"xxxx"):
        with pytest.raises(InputError, match="cannot be read as a table"):
            open_table(write(tmp_path / "c.csv.gz", damaged))


def test_a_pipe_is_read_once_and_may_be_looked_at_twice(tmp_path: Path) -> None:
    import os

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(b"headline;clicks\nWarm socks;3\nTea time;4\n"))
    writer.start()
    assert gather_texts(pipe).texts == ["Warm socks", "Tea time"]
    writer.join()
    assert open_table(pipe).delimiter == ";"


def test_what_is_binary_or_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        open_table(tmp_path)
    with pytest.raises(InputError, match="not a text file"):
        open_table(write(tmp_path / "a.txt", b"\x89PNG\r\n\x1a\n\x00\x00"))
    for name in ("a.csv", "a.txt", "a.jsonl"):
        with pytest.raises(InputError, match="is empty"):
            gather_texts(write(tmp_path / name, b""))


def test_a_column_that_is_named_needs_a_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a;b\nWarm, socks;x\nTea, time;y\n")
    assert gather_texts(path, "a").texts == ["Warm, socks", "Tea, time"]
    with pytest.raises(InputError, match="no column 'c'; it has a, b"):
        gather_texts(path, "c")
    titled = write(tmp_path / "b.csv", "Report\na;b\nWarm socks;x\nTea time;y\n")
    assert gather_texts(titled, "a").table.preamble == ("Report",)
    with pytest.raises(InputError, match=r"its first row has 1 cells \('Report'\), most others 2"):
        gather_texts(titled, reading=Reading(header=True))
    mixed = "headline\nPack lighter, walk further.\nWarm, soft.\nOne, two.\nTea.\n"
    with pytest.raises(InputError, match=r"most others 2; put texts with ',' in quotes, or name the file \.txt"):
        gather_texts(write(tmp_path / "c.csv", mixed))
    assert len(gather_texts(write(tmp_path / "c.txt", mixed)).texts) == 5
