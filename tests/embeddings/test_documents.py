"""A document comes back letter for letter from the vectors of its spans, or the first wrong character is named."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from copyloom import InputError, SpaceError
from embeddings.documents import (
    FORMAT,
    SPAN_TOKENS,
    DocumentEmbedding,
    invert_documents,
    load_documents,
    read_documents,
    save_documents,
)
from embeddings.exchange import load_embeddings, save_embeddings
from embeddings.inversion import most_tokens
from embeddings.inversion_config import InversionConfig
from embeddings.space import Space
from embeddings.summary import SpaceIdentity, SummaryEmbedding

LONG = "Tea time ☕\r\n\r\nA quiet kettle for cold days.  It keeps\ttea hot.\n\nGive travelers a leak-proof mug. "
SHORT = "A quiet kettle for cold days.  It keeps"
SPACE = SpaceIdentity("tiny", "a1", "b2", "minilm", "c3", vectors=2, hidden_size=3)


def synthetic(*texts, space=SPACE, exact=True):
    """A document of random vectors."""
    generator = torch.Generator().manual_seed(len(texts))
    return DocumentEmbedding(
        tuple(
            SummaryEmbedding(
                text, torch.randn(2, 3, generator=generator), torch.randn(5, generator=generator),
                space, exact, 1.5, 3, "adapter",
            )
            for text in texts
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def documents(space):
    return invert_documents(space, [LONG, SHORT, LONG], most=12)


def test_documents_come_back_letter_for_letter(space, documents):
    for document, text in zip(documents, [LONG, SHORT, LONG], strict=True):
        assert (document.text, len(document), document.exact) == (text, len(text), True)
        assert all(len(space.model.tokenize(span.text)) <= 12 for span in document.spans)
        assert [text[span.start : span.end] for span in document.spans] == [span.text for span in document.spans]
        (found,) = read_documents(space, [document])
        assert (found.text, found.exact, found.first_wrong, found.wrong_spans) == (text, True, None, ())
    assert len(documents[0].spans) > 3


def test_all_spans_are_inverted_in_one_call_and_equal_ones_once(space, monkeypatch):
    calls, heard = [], []

    def invert(texts, config, progress):
        calls.append(list(texts))
        progress(1, len(texts))
        return list(synthetic(*texts, space=space.identity).embeddings)

    monkeypatch.setattr(Space, "invert", lambda self, *rest: invert(*rest))
    found = invert_documents(space, ["One.\n\nTwo.\n\n", "Two.\n\n"], None, lambda *done: heard.append(done), most=4)
    assert calls == [["One.\n\n", "Two.\n\n"]]
    assert heard == [(1, 2)]
    assert found[0].embeddings[1] is found[1].embeddings[0]


def test_the_default_span_is_short_enough_for_the_model(space, random_model):
    assert most_tokens(space.model, InversionConfig()) >= SPAN_TOKENS
    bare = Space(random_model(max_position_embeddings=64), space.encoder)
    (document,) = invert_documents(bare, ["a" * 70], InversionConfig(start="token_mean", max_steps=1))
    assert [len(span.text) for span in document.spans] == [32, 32, 6]


def test_the_first_wrong_character_is_named(space, documents):
    spans = list(documents[0].embeddings)
    wrong = replace(spans[2], vectors=spans[0].vectors)  # decodes to the first span's text
    (found,) = read_documents(space, [DocumentEmbedding((*spans[:2], wrong, *spans[3:]))])
    start = documents[0].spans[2].start
    same = next(i for i, (a, b) in enumerate(zip(spans[2].text, spans[0].text, strict=False)) if a != b)
    assert (found.exact, found.first_wrong, found.wrong_spans) == (False, start + same, (2,))
    assert found.text == LONG[:start] + spans[0].text + LONG[start + len(spans[2].text) :]


@pytest.mark.parametrize(
    ("decoded", "first_wrong", "wrong"),
    [
        (["ab", "cd"], None, ()),
        (["ab", "cX"], 3, (1,)),
        (["ab", "c"], 3, (1,)),
        (["ab", "cde"], 4, (1,)),
        (["", "cd"], 0, (0,)),
        (["Xb", "Xd"], 0, (0, 1)),
    ],
)
def test_shorter_and_longer_reconstructions_have_a_first_wrong_position(
    space, monkeypatch, decoded, first_wrong, wrong
):
    monkeypatch.setattr(Space, "decode", lambda self, embeddings: decoded)
    (found,) = read_documents(space, [synthetic("ab", "cd", space=space.identity)])
    assert (found.text, found.exact, found.first_wrong) == ("".join(decoded), first_wrong is None, first_wrong)
    assert found.wrong_spans == wrong


def test_a_document_is_exact_if_all_its_spans_are():
    document = synthetic("a ", "b")
    assert document.exact
    assert not DocumentEmbedding((*document.embeddings, *synthetic("c", exact=False).embeddings)).exact


def test_no_documents_are_no_work(space):
    assert invert_documents(space, []) == []
    assert read_documents(space, []) == []


def test_documents_of_several_spaces_or_without_spans_are_refused(space):
    with pytest.raises(InputError, match="a document without spans is no document"):
        DocumentEmbedding(())
    other = synthetic("b", space=replace(SPACE, parameters="a9"))
    with pytest.raises(SpaceError, match="parameters: a1 and a9"):
        DocumentEmbedding((*synthetic("a").embeddings, *other.embeddings))
    with pytest.raises(SpaceError, match=r"this model works in copyloom-tiny.*'a' is stored in tiny"):
        read_documents(space, [synthetic("a")])


def test_what_cannot_be_a_document_is_refused(space):
    with pytest.raises(InputError, match="document 2: the document is empty"):
        invert_documents(space, ["fine", " \n"])
    with pytest.raises(InputError, match="spans of 161 tokens were asked for; a summary embedding holds at most 160"):
        invert_documents(space, ["fine"], most=161)
    with pytest.raises(InputError, match=r"document 1: .* at most 0 tokens"):
        invert_documents(space, ["fine"], most=0)
    with pytest.raises(InputError, match=r"one text was given for a list of texts; pass \[text\]"):
        invert_documents(space, "one text")
    with pytest.raises(InputError, match="half a surrogate pair"):
        invert_documents(space, ["a \ud800"])


def test_files_give_the_same_documents_back(tmp_path):
    path = tmp_path / "new" / "documents.safetensors"
    given = [synthetic("Zu spät?\r\n", "手机 ", "end\u0000"), synthetic("Zu spät?\r\n")]
    save_documents(given, path)
    for found, wanted in zip(load_documents(path), given, strict=True):
        assert (found.text, found.spans) == (wanted.text, wanted.spans)
        for one, other in zip(found.embeddings, wanted.embeddings, strict=True):
            assert torch.equal(one.vectors, other.vectors)
            assert torch.equal(one.sentence_vector, other.sentence_vector)
            assert one.space == other.space
    assert [file.name for file in path.parent.iterdir()] == ["documents.safetensors"]


def test_files_of_several_spaces_and_of_nothing_are_not_written(tmp_path):
    path = tmp_path / "documents.safetensors"
    with pytest.raises(InputError, match="there is nothing to write"):
        save_documents([], path)
    with pytest.raises(SpaceError, match="parameters: a1 and a9"):
        save_documents([synthetic("a"), synthetic("b", space=replace(SPACE, parameters="a9"))], path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        save_documents([synthetic("a")], tmp_path / "file" / "documents.safetensors")
    assert not path.exists()


def test_files_of_embeddings_and_of_documents_are_told_apart(tmp_path):
    embeddings, documents = tmp_path / "e.safetensors", tmp_path / "d.safetensors"
    save_embeddings(synthetic("a").embeddings, embeddings)
    save_documents([synthetic("a")], documents)
    with pytest.raises(
        InputError, match=r"is not a file of the format 'copyloom documents 1'; `copyloom document invert"
    ):
        load_documents(embeddings)
    with pytest.raises(
        InputError, match="is not a file of the format 'copyloom embeddings 1'; `copyloom invert --out`"
    ):
        load_embeddings(documents)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            ("spans", value)
            for value in ("[1]", "[3, -1]", "[2, 0]", "[1.0, 1.0]", "[true, 1]", "2", "{", "[[2]]", "[]")
        ),
        *(("space", value) for value in ("{}", "[]", "x")),
        *(("texts", value) for value in ("[]", "[1, 2]", '[{"text": "a"}]', "x")),
    ],
)
def test_damaged_files_are_refused(tmp_path, key, value):
    path = tmp_path / "documents.safetensors"
    save_documents([synthetic("a ", "b")], path)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, {**metadata, key: value})
    with pytest.raises(InputError, match=r"documents\.safetensors is damaged .*`copyloom document invert --out`"):
        load_documents(path)
    save_file(tensors, path, {name: text for name, text in metadata.items() if name != key})
    with pytest.raises(InputError, match=r"documents\.safetensors is damaged"):
        load_documents(path)


def test_truncated_missing_and_misshapen_files_are_refused(tmp_path):
    path = tmp_path / "documents.safetensors"
    with pytest.raises(InputError, match="there is no file"):
        load_documents(path)
    save_documents([synthetic("a ", "b")], path)
    whole = path.read_bytes()
    for content in (whole[:-8], whole[:40], b"", b"no safetensors at all"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is not a safetensors file of the format 'copyloom"):
            load_documents(path)
    metadata = {"format": FORMAT, "space": "{}", "texts": "[]", "spans": "[]"}
    save_file({"vectors": torch.zeros(1, 2, 3)}, path, metadata)
    with pytest.raises(InputError, match="is not a safetensors file of the format 'copyloom"):
        load_documents(path)
