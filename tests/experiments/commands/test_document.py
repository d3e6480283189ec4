"""``copyloom document`` gives files back byte for byte, or says from which character on they differ."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from embeddings.documents import DocumentEmbedding, load_documents, save_documents
from embeddings.space import Space
from experiments.commands.cli import app
from experiments.commands.document import read_document_file

LETTER = "A quiet kettle for cold days.\n\nIt keeps tea hot.\n"
NOTE = "Go."


def run(*arguments):
    return CliRunner().invoke(app, ["document", *map(str, arguments)])


@pytest.fixture(autouse=True)
def loaded(space, monkeypatch):
    """The shipped model is loaded once for all commands."""
    monkeypatch.setattr(Space, "load", lambda *arguments, **named: space)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, text in (("letter.txt", LETTER), ("note.txt", NOTE)):
        (folder / name).write_bytes(text.encode())
    return [folder / "letter.txt", folder / "note.txt"]


def test_files_are_inverted_and_read_back_byte_for_byte(files, tmp_path):
    out = tmp_path / "documents.safetensors"
    inverted = json.loads(run("invert", *files, "--out", out, "--span-tokens", 12, "--json").stdout)
    spans = len(load_documents(out)[0].embeddings)
    assert spans > 1
    assert inverted == {
        "documents": [
            {"file": str(files[0]), "characters": len(LETTER), "spans": spans, "exact": True},
            {"file": str(files[1]), "characters": 3, "spans": 1, "exact": True},
        ],
        "out": str(out),
    }
    read = json.loads(run("read", out, "--out", tmp_path / "texts", "--json").stdout)
    assert read["documents"] == [
        {"exact": True, "first_wrong": None, "wrong_spans": [], "text": text} for text in (LETTER, NOTE)
    ]
    for number, file in enumerate(files, start=1):
        assert (tmp_path / "texts" / f"{number}.txt").read_bytes() == file.read_bytes()

    first, second = load_documents(out)
    wrong = replace(second.embeddings[0], vectors=first.embeddings[0].vectors)
    save_documents([first, DocumentEmbedding((wrong,))], out)
    read = json.loads(run("read", out, "--json").stdout)["documents"]
    assert (read[0]["exact"], read[1]["exact"]) == (True, False)
    assert (read[1]["first_wrong"], read[1]["wrong_spans"]) == (0, [0])
    assert "NO, from character 0" in run("read", out).stdout


def test_files_are_read_letter_for_letter(tmp_path):
    text = "\ufeffTea time ☕\r\n\r\n  kettle\t\u2028手机\r"
    (tmp_path / "file.txt").write_bytes(text.encode())
    assert read_document_file(tmp_path / "file.txt") == text


@pytest.mark.parametrize(("encoding", "given"), [
    ("utf-8", None), ("utf-16", None), ("utf-16-le", None), ("cp1252", None), ("cp1251", "cp1251"), ("utf-8", "utf-8"),
])  # fmt: skip
def test_files_are_read_in_whatever_encoding_other_commands_read(tmp_path, encoding, given):
    text = "Кофе с утра,\r\nчай днём.\n" if given == "cp1251" else "Café crème\r\nfür zwei.\n"
    (tmp_path / "file.txt").write_bytes(text.encode(encoding))
    assert read_document_file(tmp_path / "file.txt", given) == text


def test_an_encoding_that_is_not_utf_8_is_said(tmp_path):
    (tmp_path / "note.txt").write_bytes("Tea time, tea time.".encode("utf-16"))
    result = run("invert", tmp_path / "note.txt", "--json")
    assert "UTF-16" in result.stderr
    assert json.loads(result.stdout)["documents"][0]["characters"] == len("Tea time, tea time.")
    assert "unknown" in run("invert", tmp_path / "note.txt", "--encoding", "abacus").stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; give a file with words in it"),
        (b" \n", "is empty; give a file with words in it"),
        (b"\xea\xef\xf4\xe5", "is not a text file in UTF-8 (byte 0)"),
        (b"a\x00b", "is a binary file"),
        (None, "there is no file"),
    ],
)
def test_files_that_are_no_documents_are_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "file.txt").write_bytes(content)
    result = run("invert", tmp_path / "file.txt")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert str(tmp_path / "file.txt") in result.stderr
    assert message in result.stderr


def test_spans_too_long_and_folders_in_the_way_are_refused(files, tmp_path):
    result = run("invert", files[1], "--span-tokens", 161)
    assert (result.exit_code, "holds at most 160" in result.stderr) == (2, True)
    out = tmp_path / "documents.safetensors"
    run("invert", files[1], "--out", out)
    result = run("read", out, "--out", out)
    assert (result.exit_code, "cannot be written" in result.stderr) == (2, True)
