"""What a study keeps: made once, whole or not at all, and said so where it is something else."""

import pytest

from copyloom import InputError
from experiments.kept import kept


def test_it_is_made_once_and_comes_back_as_it_was(tmp_path):
    file, made = tmp_path / "a" / "found.json", []
    for _ in range(2):
        found = kept(file, lambda: made.append(1) or {"texts": ["“Grün” 🫖", None], "calls": 2.5})
        assert found == {"texts": ["“Grün” 🫖", None], "calls": 2.5}
    assert made == [1]


def test_what_fails_while_it_is_made_leaves_no_file(tmp_path):
    def fails():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path / "found.json", fails)
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "found.json").write_text('{"texts": ["A')
    with pytest.raises(InputError, match=r"found\.json holds no JSON.*remove it"):
        kept(tmp_path / "found.json", dict)
