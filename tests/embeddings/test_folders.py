"""Folders are held by one run at a time; a file in them is whole, readable as the user wishes, or not there."""

import os
import stat
import tempfile
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from copyloom import InputError
from embeddings.folders import check_output, held, keep_result, replacing


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


def _save(path, text="new"):
    with replacing(path) as partial:
        partial.write_text(text)


def test_a_link_stays_and_what_it_points_at_is_replaced(tmp_path):
    file, link, dangling = tmp_path / "deep" / "file", tmp_path / "link", tmp_path / "dangling"
    file.parent.mkdir()
    file.write_text("old")
    link.symlink_to("deep/file")
    dangling.symlink_to("deep/later")
    _save(link)
    _save(dangling)
    assert link.is_symlink()
    assert dangling.is_symlink()
    assert file.read_text() == (file.parent / "later").read_text() == "new"
    assert sorted(path.name for path in file.parent.iterdir()) == ["file", "later"]


def test_a_pipe_stays_and_is_written_into(tmp_path):
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    _save(pipe)
    reader.join()
    assert found == ["new"]
    assert pipe.is_fifo()
    _save(Path("/dev/null"))
    assert Path("/dev/null").is_char_device()


def test_two_may_write_to_one_path_at_once(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as mine:
        mine.write_text("mine")
        _save(path, "theirs")
        assert path.read_text() == "theirs"
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_ones_left_is_removed_after_a_day(tmp_path):
    old, young = tmp_path / ".file.aa.partial", tmp_path / ".file.bb.partial"
    for left in (old, young):
        left.touch()
    os.utime(old, (0, 0))
    _save(tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".file.bb.partial", "file"]


def test_whether_a_file_can_be_written_is_known_before(tmp_path):
    (tmp_path / "file").write_text("old")
    check_output(tmp_path / "file")
    check_output(tmp_path / "new" / "folder" / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    for path in (tmp_path, tmp_path / "file" / "below", Path("/proc/result")):
        with pytest.raises(InputError, match="cannot be written"):
            check_output(path)


def test_a_result_that_cannot_be_written_in_the_end_is_kept_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(InputError, match=r"No space left.*; the result is in .*full$"):
        keep_result(Path("/dev/full"), _save)
    (kept,) = tmp_path.glob("copyloom-*/full")
    assert kept.read_text() == "new"
