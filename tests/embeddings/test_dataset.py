"""A published dataset comes back bit for bit, says who may use it, and is refused when anything does not fit."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from copyloom import InputError, SpaceError
from embeddings import publishing
from embeddings.database import text_id
from embeddings.dataset import CARD, RECORD, TEXTS, file_hash, load_dataset
from embeddings.publishing import publish
from embeddings.space import Space
from embeddings.summary import Lineage, SpaceIdentity, SummaryEmbedding

SPACE = SpaceIdentity("tiny", "a1", "b2", "minilm", "c3", vectors=2, hidden_size=3)
ABOUT = {"title": "Claims | two lines\n", "licence": "CC BY 4.0", "source": "Written for a test by Zoë ☕"}
UNICODE = ["Zu spät?\r\n", "手机 👨\u200d👩\u200d👧", "a\u0000b", "\u2028e\u0301", '"quoted", | piped']


def synthetic(texts, exact=True, lineage=None):
    """Random vectors, as many as there are texts."""
    generator = torch.Generator().manual_seed(len(texts))
    return [
        SummaryEmbedding(
            text, torch.randn(2, 3, generator=generator), torch.randn(5, generator=generator), SPACE,
            exact, 1.1 + row / 3, row, "adapter", lineage,
        )
        for row, text in enumerate(texts)
    ]  # fmt: skip


def mixed():
    return [*synthetic(UNICODE), *synthetic(["mixed"], False, Lineage(("a 手", "b"), (0.1, 0.9)))]


def same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one.vectors, other.vectors)
        assert torch.equal(one.sentence_vector, other.sentence_vector)
        for name in ("text", "space", "exact", "margin", "steps", "start", "lineage"):
            assert getattr(one, name) == getattr(other, name)


@pytest.fixture
def folder(tmp_path):
    publish(mixed(), tmp_path / "new" / "dataset", **ABOUT)
    return tmp_path / "new" / "dataset"


def front_matter(folder):
    return yaml.safe_load((folder / CARD).read_text(encoding="utf-8").split("---\n")[1])


def rewritten(folder, **changes):
    """Change ``dataset.json``, and let it agree with the files that are there now."""
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    record["files"] = {name: file_hash(folder / name) for name in record["files"]}
    (folder / RECORD).write_text(json.dumps(record | changes))


def test_embeddings_come_back_bit_for_bit(folder):
    dataset = load_dataset(folder)
    same(dataset.embeddings(), mixed())
    assert torch.equal(dataset.vectors, torch.stack([e.vectors for e in mixed()]))
    assert dataset.sentence_vectors.shape == (6, 5)
    assert (dataset.record.rows, dataset.record.exact, dataset.record.title) == (6, 5, "Claims | two lines")
    assert {path.name for path in folder.iterdir()} == {CARD, RECORD, TEXTS, "embeddings-00001.safetensors"}
    assert [path.name for path in folder.parent.iterdir()] == ["dataset"]


def test_a_dataset_of_several_files_is_read_once_and_a_few_rows_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(publishing, "FILE_ROWS", 4)
    drawn, wanted = [], synthetic([f"text {row}" for row in range(11)])

    def stream():
        for embedding in wanted:
            written = tmp_path / ".dataset.partial" / f"embeddings-{len(drawn) // 4:05d}.safetensors"
            assert len(drawn) < 4 or len(drawn) % 4 or written.is_file()  # four are stored before a fifth is read
            drawn.append(embedding)
            yield embedding

    record = publish(stream(), tmp_path / "dataset", **ABOUT)
    assert sorted(record.files) == [*(f"embeddings-{n:05d}.safetensors" for n in (1, 2, 3)), TEXTS]
    same(load_dataset(tmp_path / "dataset").embeddings(), wanted)


def test_the_card_names_licence_model_revision_and_exactness(folder, tmp_path):
    text = (folder / CARD).read_text(encoding="utf-8")
    assert (front_matter(folder)["license"], front_matter(folder)["pretty_name"]) == ("cc-by-4.0", "Claims | two lines")
    for wanted in (
        "# Claims | two lines\n", "**Exact:** 5 of 6 (83.33%)", "**Licence of the texts:** CC BY 4.0.", ABOUT["source"],
        "| language model | `tiny` |", "| revision | not given", "parameters | `a1` |", "least, median | 1.10, 1.77 |",
    ):  # fmt: skip
        assert wanted in text
    other = {"title": "Mine: yes", "licence": "All rights reserved", "source": "me"}
    publish(synthetic(["a"], exact=False), tmp_path / "other", **other, revision="v2", texts_included=False)
    text = (tmp_path / "other" / CARD).read_text(encoding="utf-8")
    matter = front_matter(tmp_path / "other")
    assert (matter["license"], matter["license_name"], matter["pretty_name"]) == (
        "other", "All rights reserved", "Mine: yes",
    )  # fmt: skip
    assert "| revision | `v2` |" in text
    assert "no text is exact" in text
    assert "The texts themselves were left out" in text


def test_without_texts_no_text_is_written(tmp_path):
    parents = Lineage(("veiled parent", "b"), (0.5, 0.5))
    wanted = synthetic(["veiled text", "手机"], lineage=parents)
    publish(wanted, tmp_path / "dataset", **ABOUT, texts_included=False)
    for path in (tmp_path / "dataset").iterdir():
        assert b"veiled" not in path.read_bytes()
    dataset = load_dataset(tmp_path / "dataset")
    assert dataset.table["text_sha256"].to_pylist() == [text_id("veiled text"), text_id("手机")]
    assert dataset.table["parents_sha256"].to_pylist() == [[text_id("veiled parent"), text_id("b")]] * 2
    assert torch.equal(dataset.vectors[1], wanted[1].vectors)
    with pytest.raises(InputError, match="holds no texts, only their SHA-256"):
        dataset.embeddings()


@pytest.fixture(scope="module")
def inverted(space):
    """Three exact embeddings, and one that says that it is not."""
    *exact, last = space.invert(["A quiet kettle.", "Ünïcode", "Go.", "A quiet mug."])
    return [*exact, replace(last, text="A quiet mug that keeps tea hot. " * 8, exact=False)]


@pytest.mark.parametrize("texts_included", [True, False])
def test_exactness_is_verified_by_decoding(space, inverted, tmp_path, texts_included):
    publish(inverted, tmp_path / "sound", **ABOUT, texts_included=texts_included)
    found = load_dataset(tmp_path / "sound").verify(space)
    assert (found.decoded, found.exact, found.broken) == (4, 3, ())
    swapped = [inverted[0], replace(inverted[1], vectors=inverted[0].vectors), *inverted[2:]]
    publish(swapped, tmp_path / "swapped", **ABOUT, texts_included=texts_included)
    found = load_dataset(tmp_path / "swapped").verify(space, sample=100)
    assert (found.decoded, found.exact, found.broken) == (4, 2, (1,))


def test_a_sample_is_drawn_with_its_seed(space, inverted, tmp_path):
    broken = [replace(inverted[0], text=f"other {row}") for row in range(20)]
    publish(broken, tmp_path / "dataset", **ABOUT)
    dataset = load_dataset(tmp_path / "dataset")
    first = dataset.verify(space, sample=5, seed=1)
    assert (first.decoded, first.exact, len(set(first.broken))) == (5, 0, 5)
    assert dataset.verify(space, sample=5, seed=1) == first
    assert dataset.verify(space, sample=5, seed=2) != first
    with pytest.raises(InputError, match="a sample of 0 rows"):
        dataset.verify(space, sample=0)


def test_texts_in_a_context_are_verified_in_it(space, tmp_path):
    within = Space(space.model, space.encoder, space.adapter, context=("Tea: ", ""))
    publish(within.invert(["Go."]), tmp_path / "dataset", **ABOUT)
    dataset = load_dataset(tmp_path / "dataset")
    assert dataset.verify(within).exact == 1
    with pytest.raises(SpaceError, match="between 'Tea: ' and ''"):
        dataset.verify(space)


def test_another_model_is_refused(space, folder):
    with pytest.raises(SpaceError, match=r"is in tiny .*, this model works in copyloom-tiny .*parameters: a1 and"):
        load_dataset(folder).verify(space)


@pytest.mark.parametrize("name", ["embeddings-00001.safetensors", TEXTS])
def test_damaged_and_missing_data_is_refused(folder, name):
    whole = (folder / name).read_bytes()
    flipped = bytes([*whole[:-20], whole[-20] ^ 1, *whole[-19:]])
    for content in (whole[:-1], flipped, b""):
        (folder / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name} is damaged or of another dataset.*get the dataset again"):
            load_dataset(folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged or of another format"),
        ('{"format": "copyloom dataset 2"}', r"another format: format: Input should be 'copyloom dataset 1'"),
        ("[]", "is damaged or of another format"),
    ],
)
def test_a_damaged_or_foreign_record_is_refused(folder, content, message):
    (folder / RECORD).write_text(content)
    with pytest.raises(InputError, match=message):
        load_dataset(folder)


def test_a_folder_without_record_or_card_is_refused(folder, tmp_path):
    (folder / CARD).unlink()
    with pytest.raises(InputError, match=r"README\.md is missing"):
        load_dataset(folder)
    for nothing in (tmp_path, tmp_path / "nowhere", folder / RECORD):
        with pytest.raises(InputError, match=r"is no dataset, it has no dataset\.json"):
            load_dataset(nothing)


def test_an_edited_card_is_welcome(folder):
    (folder / CARD).write_text("mine")
    assert load_dataset(folder).record.rows == 6


@pytest.mark.parametrize("name", ["../texts.parquet", "/etc/hosts"])
def test_files_elsewhere_are_not_read(folder, name):
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    record["files"][name] = "0"
    (folder / RECORD).write_text(json.dumps(record))
    with pytest.raises(InputError, match="files of a dataset lie beside it"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {**t, "vectors": t["vectors"][:, :1].contiguous()}, r"vectors of shape \(6, 1, 3\)"),
        (lambda t: {**t, "vectors": t["vectors"][1:]}, r"vectors of shape \(5, 2, 3\)"),
        (lambda t: {**t, "vectors": t["vectors"].double()}, r"torch\.float64, not \(6, 2, 3\) and torch\.float32"),
        (lambda t: {**t, "sentence_vectors": t["sentence_vectors"] / 0}, "sentence_vectors with NaN or infinite"),
        (lambda t: {"vectors": t["vectors"]}, "cannot be read .*sentence_vectors"),
    ],
)
def test_vectors_that_others_wrote_wrong_are_refused(folder, change, message):
    path = folder / "embeddings-00001.safetensors"
    save_file(change(load_file(path)), path)
    rewritten(folder)
    with pytest.raises(InputError, match=message):
        load_dataset(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.slice(1),
        lambda table: table.drop_columns(["margin"]),
        lambda table: table.set_column(3, "steps", pa.array(["1"] * len(table))),
    ],
)
def test_tables_that_others_wrote_wrong_are_refused(folder, change):
    pq.write_table(change(pq.read_table(folder / TEXTS)), folder / TEXTS)
    rewritten(folder)
    with pytest.raises(InputError, match=r"texts\.parquet has . rows of .*wants 6 of text, exact"):
        load_dataset(folder)


def test_files_of_another_format_are_refused(folder):
    (folder / TEXTS).write_text("text\n")
    rewritten(folder)
    with pytest.raises(InputError, match="is not a Parquet file"):
        load_dataset(folder)
    (folder / "embeddings-00001.safetensors").write_text("no tensors")
    rewritten(folder)
    with pytest.raises(InputError, match=r"the vectors in .* cannot be read"):
        load_dataset(folder)


def test_what_is_there_stays_and_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("mine")
    (tmp_path / "file").touch()
    for name in ("taken", "file"):
        with pytest.raises(InputError, match="is there already; choose another --out"):
            publish(mixed(), tmp_path / name, **ABOUT)
    assert (tmp_path / "taken" / "mine").read_text() == "mine"
    with pytest.raises(InputError, match="cannot be written"):
        publish(mixed(), tmp_path / "file" / "dataset", **ABOUT)
    (tmp_path / "empty").mkdir()
    publish(mixed(), tmp_path / "empty", **ABOUT)
    assert load_dataset(tmp_path / "empty").record.rows == 6


@pytest.mark.parametrize(
    ("last", "error", "message"),
    [
        (lambda e: replace(e, space=replace(SPACE, parameters="a9")), SpaceError, "parameters: a1 and a9"),
        (lambda e: replace(e, vectors=e.vectors / 0), InputError, "'b' has vectors with NaN or infinite"),
        (lambda e: replace(e, vectors=e.vectors[:1]), InputError, r"shape \(1, 3\) and torch\.float32, not \(2, 3\)"),
        (lambda e: replace(e, sentence_vector=e.sentence_vector[:4]), InputError, r"sentence vector of shape \(4,\)"),
    ],
)
def test_embeddings_that_do_not_belong_together_leave_nothing_behind(tmp_path, last, error, message):
    first, second = synthetic(["a", "b"])
    with pytest.raises(error, match=message):
        publish([first, last(second)], tmp_path / "dataset", **ABOUT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["title", "licence", "source"])
def test_blank_facts_and_no_embeddings_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=f"^{name} of the texts is blank"):
        publish(mixed(), tmp_path / "dataset", **{**ABOUT, name: " \n"})
    with pytest.raises(InputError, match="there is nothing to publish"):
        publish([], tmp_path / "dataset", **ABOUT)


def test_what_a_killed_run_left_is_cleared_away(tmp_path):
    left = Path(tmp_path / ".dataset.partial")
    left.mkdir()
    (left / "junk").touch()
    publish(mixed(), tmp_path / "dataset", **ABOUT)
    assert not left.exists()
    assert not (tmp_path / "dataset" / "junk").exists()
