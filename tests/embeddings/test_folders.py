"""Folders are held by one run at a time; a file in them is whole, readable as the user wishes, or not there."""

import os
import stat

import pytest
import torch
from safetensors.torch import save_file

from copyloom import InputError
from embeddings.folders import held, replacing


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    place = tmp_path / "new" / "run"
    second = held(place, "run", "--out")
    with held(place, "run", "--out"), pytest.raises(InputError, match="another run is writing to"):
        second.__enter__()
    with held(place, "run", "--out"):
        pass


def test_what_fails_half_way_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as partial:
        _stopped_half_way(partial)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _stopped_half_way(path):
    path.write_text("ne")
    raise KeyboardInterrupt


def test_a_full_disk_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be written"), replacing(tmp_path / "file"):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_users_mask_decides_who_may_read(tmp_path, mask):
    """safetensors alone would let nobody else read, so that workers of other users could not go on with a job."""
    path, before = tmp_path / "tensors", os.umask(mask)
    try:
        with replacing(path) as partial:
            save_file({"a": torch.zeros(2)}, partial)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
