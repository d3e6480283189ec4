"""Vectors of texts come from files of numbers; what cannot be a direction is refused with its row."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import save_file

from copyloom import InputError
from embeddings.rows import read_rows, unit_rows

ROWS = np.arange(6, dtype=np.float32).reshape(3, 2) + 1


def test_every_kind_of_file_holds_the_same_rows(tmp_path):
    numbers = torch.from_numpy(ROWS)
    np.save(tmp_path / "a.npy", ROWS.astype(np.float64))
    save_file({"factors": numbers}, tmp_path / "b.safetensors")
    save_file({"vectors": numbers.half(), "other": torch.zeros(1)}, tmp_path / "c.safetensors")
    pq.write_table(pa.table({"x": ROWS[:, 0], "name": ["a", "b", "c"], "y": ROWS[:, 1]}), tmp_path / "d.parquet")
    pq.write_table(pa.table({"id": [7, 8, 9], "vectors": ROWS.tolist()}), tmp_path / "e.parquet")
    for path in sorted(tmp_path.iterdir()):
        assert torch.equal(read_rows(path), numbers), path.name


def test_files_that_hold_something_else(tmp_path):
    def refused(name, match):
        with pytest.raises(InputError, match=match):
            read_rows(tmp_path / name)

    refused("none.npy", "there are no vectors at")
    (tmp_path / "rows.txt").write_text("1 2")
    refused("rows.txt", "give a .npy, .safetensors or .parquet file")
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused("objects.npy", "cannot be read")
    np.save(tmp_path / "flat.npy", ROWS[0])
    refused("flat.npy", r"shape \(2,\)")
    for name in ("broken.npy", "broken.safetensors", "broken.parquet"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        refused(name, "cannot be read")
    save_file({"a": torch.zeros(1, 2), "b": torch.zeros(1, 2)}, tmp_path / "two.safetensors")
    refused("two.safetensors", "call the tensor 'vectors'")
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "text.parquet")
    refused("text.parquet", "none of its columns text holds numbers")
    pq.write_table(pa.table({"vectors": [[1.0, 2.0], [1.0]]}), tmp_path / "ragged.parquet")
    refused("ragged.parquet", "cannot be read")


@given(arrays(np.float32, (4, 3), elements=st.floats(-(2.0**99), 2.0**99, width=32)))
def test_rows_of_any_size_become_directions(values):
    rows = torch.from_numpy(values)
    if not bool(rows.abs().amax(1).all()):
        with pytest.raises(InputError, match="zero in"):
            unit_rows(rows)
        return
    found = unit_rows(rows)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4))
    assert torch.equal(found.sign() * rows.sign() >= 0, torch.ones(4, 3, dtype=torch.bool))
