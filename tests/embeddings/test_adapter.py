"""The adapter is a two-layer perceptron over sentence vectors of unit variance."""

import math
import shutil

import pytest
import torch

from copyloom import InputError
from embeddings.adapter import PACKED_ADAPTER, WRITER_FOLDER, Adapter, load_adapters, updates_beside
from embeddings.mixing import MIX_ROWS, adapt


def test_the_output_is_the_formula():
    torch.manual_seed(0)
    adapter = Adapter(sentence_size=6, vectors=3, hidden_size=4, width=5).double()
    z = torch.randn(7, 6, dtype=torch.float64)
    inner = z * math.sqrt(6) @ adapter.inner.weight.T + adapter.inner.bias
    hidden = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
    expected = (hidden @ adapter.outer.weight.T + adapter.outer.bias).reshape(7, 3, 4)
    torch.testing.assert_close(adapter(z), expected)


def test_the_shipped_adapter_fits_the_shipped_model(space):
    assert space.adapter.sentence_size == space.encoder.size
    assert space.adapter.hidden_size == space.model.hidden_size
    assert space.adapter.vectors == space.vectors
    assert not any(parameter.requires_grad for parameter in space.adapter.parameters())


def test_a_text_is_the_same_bytes_in_any_company(space):
    z = torch.nn.functional.normalize(torch.randn(MIX_ROWS + 5, 384, generator=torch.Generator().manual_seed(0)), dim=1)
    together = adapt(space.adapter, z)
    assert together.shape == (MIX_ROWS + 5, space.vectors, space.model.hidden_size)
    assert torch.equal(adapt(space.adapter, z.flip(0)).flip(0), together)
    assert torch.equal(adapt(space.adapter, z[9:10]), together[9:10])


def test_no_rows_give_no_rows(space):
    assert adapt(space.adapter, torch.zeros(0, 384)).shape == (0, space.vectors, space.model.hidden_size)


def test_a_writers_tensors_are_read_compressed_and_damage_is_named(tmp_path):
    for name in ("adapter.json", PACKED_ADAPTER):
        shutil.copy(WRITER_FOLDER / name, tmp_path / name)
    assert load_adapters(tmp_path)[0].state_dict().keys() == load_adapters(WRITER_FOLDER)[0].state_dict().keys()
    assert len(updates_beside(tmp_path)) > 100
    whole = (tmp_path / PACKED_ADAPTER).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"no such thing"):
        (tmp_path / PACKED_ADAPTER).write_bytes(damaged)
        for reading in (load_adapters, updates_beside):
            with pytest.raises(InputError, match="cannot be used"):
                reading(tmp_path)
