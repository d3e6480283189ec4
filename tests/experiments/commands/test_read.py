"""``copyloom read`` and what commands say of the files that they read; the shared cases, each with its outcome."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from experiments.commands.cli import app
from experiments.texts import name_subject, read_labelled, read_lines
from generator.record import ProductRecord
from tests.experiments.commands.test_cli import fails, run

CASES = Path(__file__).parents[4] / "shared" / "cases" / "tables"
shared = pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases lie beside a workplace's checkout only")

READ = {
    "01_bom_crlf.csv": ("CSV", "headline", 6, {}),
    "02_semicolon.csv": ("CSV", "headline", 6, {"delimiter": ";"}),
    "02b_semicolon_comma_inside.csv": ("CSV", "headline", 6, {"delimiter": ";"}),
    "03_utf16_tab.csv": ("CSV", "Headline 1", 6, {"delimiter": "\t", "encoding": "UTF-16"}),
    "03b_utf16.txt": ("text", "text", 6, {"encoding": "UTF-16"}),
    "04_shop.csv": ("CSV", "Body (HTML)", 3, {"html": True, "left_out": {"empty": 1}}),
    "05b_two_columns_of_one_name.csv": ("CSV", None, 0, {}),
    "07_tabs.tsv": ("CSV", "headline", 6, {"delimiter": "\t"}),
    "08b_separators.csv": ("CSV", "headline", 2, {"delimiter": None}),
    "09_cr.txt": ("text", "text", 6, {}),
    "09b_crlf.txt": ("text", "text", 6, {}),
    "10_backslash.csv": ("CSV", "headline", 2, {"backslash_escapes": True}),
    "13_unicode.txt": ("text", "text", 12, {}),
    "14_shortcodes.txt": ("text", "text", 4, {}),
    "33_log_latin1.csv": ("CSV", "text", 2, {"encoding": "Windows-1252"}),
    "50_two.txt": ("text", "text", 2, {}),
    "51_japanese.txt": ("text", "text", 4, {}),
    "52_same_but_marks.txt": ("text", "text", 4, {}),
    "53_nfd_claims.txt": ("text", "text", 3, {}),
    "55_mug_claims.txt": ("text", "text", 3, {}),
    "56_examples.csv": ("CSV", "text", 24, {}),
    "57_examples_one_label.csv": ("CSV", "text", 6, {}),
    "58_examples_semicolon.csv": ("CSV", "text", 12, {"delimiter": ";"}),
    "59_examples_rates.csv": ("CSV", "text", 12, {}),
    "61_lamp_ja.txt": ("text", "text", 3, {}),
    "62_doc.txt": ("text", "text", 2, {"left_out": {"empty": 3, "repeated": 4}}),
    "63_doc_bom.txt": ("text", "text", 2, {}),
    "65_long_word.txt": ("text", "text", 1, {}),
}
CHECKED = {
    "11_CAPITALS.CSV": None, "20_log.csv": None, "21_log_semicolon.csv": None, "22_log_percent.csv": None,
    "23_log_percent_number.csv": ("propensity", "is out of range"),
    "24_log_zero.csv": ("propensity", "is out of range"),
    "25_log_nan.csv": ("reward", "is missing or no number"),
    "26_log_no_clicks.csv": None, "27_log_one_arm.csv": None,
    "28_log_costs.csv": ("reward", "is out of range"),
    "29_log_float32.csv": ("propensity", "is out of range"),
    "30_log_repeated.csv": None,
    "32_log_forms.csv": ("text", "is nearly equal to another text"),
    "33_log_latin1.csv": None, "34_log_bom.csv": None,
}  # fmt: skip
OTHER = {"35_target_999999.csv", "36_target_percent.csv", "37_target_twice.csv"}


@shared
@pytest.mark.parametrize("name", READ)
def test_shared_case_is_read(name: str) -> None:
    form, column, texts, more = READ[name]
    result = run("read", str(CASES / name), "--json")
    assert result.exit_code == (0 if column else 1), result.output
    found = json.loads(result.stdout)
    assert (found["format"], found.get("column"), found.get("texts", 0)) == (form, column, texts)
    assert {key: found[key] for key in more} == more
    shown = run("read", str(CASES / name))
    assert (shown.exit_code, "Traceback" in shown.output) == (result.exit_code, False)


@shared
@pytest.mark.parametrize("name", CHECKED)
def test_shared_log_is_checked(name: str) -> None:
    result = run("evaluate", str(CASES / name), "--check", "--json")
    problems = [(one["column"], one["what"]) for one in json.loads(result.stdout)["problems"]]
    assert problems == ([] if CHECKED[name] is None else [CHECKED[name]])
    assert result.exit_code == len(problems)


@shared
def test_every_shared_table_has_an_outcome() -> None:
    names = {path.name for path in CASES.iterdir() if path.suffix != ".yaml"}
    assert names - set(READ) - set(CHECKED) - OTHER == set()
    log = str(CASES / "20_log.csv")
    assert "row 1 (30.0), row 2 (70.0)" in fails("evaluate", log, "--target", str(CASES / "36_target_percent.csv"))
    assert "given again in 1 row: row 2" in fails("evaluate", log, "--target", str(CASES / "37_target_twice.csv"))
    assert run("evaluate", log, "--target", str(CASES / "35_target_999999.csv"), "--json").exit_code == 0


@shared
def test_names_with_accents_in_two_parts_name_the_subject() -> None:
    record = ProductRecord.from_yaml(CASES / "54_record_nfc.yaml")
    assert len(name_subject(read_lines(CASES / "53_nfd_claims.txt"), record)) == 3


@shared
def test_rates_of_examples_are_numbers() -> None:
    assert read_labelled(CASES / "59_examples_rates.csv", "text", "ctr")[1][:3] == pytest.approx([0, 0.001, 0.002])


REPORT = "Ad report\n2026\n\nHeadline 1;CTR\nWarm socks now;0,5\nWarm socks now;1,5\n00017;2,5\n;3\nTea :fire: time;4\n"


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.csv"
    path.write_bytes(REPORT.encode("utf-16"))
    return path


def test_read_says_what_would_be_read(report: Path) -> None:
    found = json.loads(run("read", str(report), "--json").stdout)
    assert found["preamble"] == ["Ad report", "2026"]
    assert [(one["name"], one["holds"]) for one in found["columns"]] == [("Headline 1", "texts"), ("CTR", "numbers")]
    assert found["columns"][0]["first"] == ["Warm socks now", "Warm socks now", "00017"]
    assert found["first"] == ["Warm socks now", "Tea :fire: time"]
    assert [(one["row"], one["cell"], one["why"]) for one in found["left_out_cells"]] == [
        (2, "Warm socks now", "repeated"), (3, "00017", "identifier"), (4, "", "empty"),
    ]  # fmt: skip
    shown = run("read", str(report))
    for words in ("UTF-16", "Ad report / 2026", "Headline 1", "Left out: 3", "Warm socks now"):
        assert words in shown.stdout
    named = run("read", str(report), "--column", "2")
    assert "of them numbers or identifiers ('0,5', '1,5', '2,5', ...)" in named.stdout


def test_commands_say_it_on_standard_error_and_take_options(report: Path, tmp_path: Path) -> None:
    small = ("--model", "copyloom-tiny", "--device", "cpu", "--json")
    result = run("invert", "--texts", str(report), *small)
    assert json.loads(result.stdout)["texts"] == 3
    assert "read 3 texts from column 'Headline 1' (by its name), delimiter ';', UTF-16" in result.stderr
    assert "left out: 1 numbers or identifiers ('00017'), 1 empty" in result.stderr
    assert "read 3 texts" not in result.stdout
    path = tmp_path / "plain.csv"
    path.write_bytes("Чай днём/7\nКофе/8\n".encode("cp1251"))
    assert "--encoding" in fails("invert", "--texts", str(path), *small)
    given = ("--delimiter", "/", "--encoding", "cp1251", "--no-header", "--column", "1")
    assert json.loads(run("invert", "--texts", str(path), *given, *small).stdout)["texts"] == 2


def test_sheets_are_chosen(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for title, text in (("May", "Warm socks now"), ("June", "Quiet shoes now")):
        for row in (["headline", "clicks"], [text, 3]):
            (book[title] if title in book.sheetnames else book.create_sheet(title)).append(row)
    path = tmp_path / "ads.xlsx"
    book.save(path)
    assert "has the sheets Sheet, May, June; say which with --sheet" in run("read", str(path)).stderr
    for sheet, text in (("June", "Quiet shoes now"), ("2", "Warm socks now")):
        assert json.loads(run("read", str(path), "--sheet", sheet, "--json").stdout)["first"] == [text]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    from copyloom.sources import _piped

    for content, texts in ((b"Warm socks\nTea time\n", 2), (REPORT.encode("utf-16"), 2)):
        _piped.cache_clear()
        result = CliRunner().invoke(app, ["read", "-", "--json"], input=content)
        assert json.loads(result.stdout)["texts"] == texts, result.output
    _piped.cache_clear()
    small = ("--model", "copyloom-tiny", "--device", "cpu", "--json")
    result = CliRunner().invoke(app, ["invert", "--texts", "-", *small], input=b"Warm socks\nTea time\n")
    assert json.loads(result.stdout)["texts"] == 2
    _piped.cache_clear()


LOG = [("a", 1, "0.5"), ("b", 0, "0.5")] * 20


def test_logs_in_other_forms(tmp_path: Path) -> None:
    lines = [json.dumps({"arm": text, "clicked": reward, "prob": float(p), "site": "x"}) for text, reward, p in LOG]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    result = run("evaluate", str(tmp_path / "log.jsonl"), "--json")
    assert json.loads(result.stdout)["rounds"] == 40
    assert "text: column 'arm' of" in result.stderr
    assert "--propensity names another" in result.stderr
    rows = "".join(f'"{text}";"{1000 * reward:,}.50";{100 * float(p):g}%\n' for text, reward, p in LOG)
    (tmp_path / "log.CSV").write_text(f"text;reward;propensity\n{rows}")
    found = json.loads(run("evaluate", str(tmp_path / "log.CSV"), "--most", "2000", "--json").stdout)
    assert found["logger"]["value"] == 500.5
    (tmp_path / "log.CSV").write_text('text,reward,propensity\na,"1,234",0.5\nb,0,0.5\n')
    result = run("evaluate", str(tmp_path / "log.CSV"), "--check", "--most", "2000")
    assert result.exit_code == 1
    assert "row 1 (1,234)" in " ".join(result.stdout.split())


def test_columns_that_a_log_lacks_are_named_with_their_options(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("headline,arm,score\na,b,1\nb,a,0\n")
    said = fails("evaluate", str(tmp_path / "log.csv"))
    assert "no column 'text', it could be headline or arm; column 'reward'; column 'propensity'" in said
    assert "with --text and --reward and --propensity" in said


def test_labels_that_are_nearly_equal_are_named(tmp_path: Path) -> None:
    rows = ["a,1,0.5", "a ,0,0.5", "cafe\u0301,0,0.5", "caf\u00e9,0,0.5", "b,1,0.5"]
    (tmp_path / "log.csv").write_text("\n".join(["text,reward,propensity", *rows]), encoding="utf-8")
    (problem,) = json.loads(run("evaluate", str(tmp_path / "log.csv"), "--check", "--json").stdout)["problems"]
    assert (problem["what"], problem["rows"]) == ("is nearly equal to another text", [2, 3])
    assert problem["given"] == ["'a ' and 'a'", "'cafe\\u0301' and 'caf\\xe9'"]
    assert "nearly equal" in fails("evaluate", str(tmp_path / "log.csv"))
