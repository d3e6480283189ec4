"""Which cells are texts, where a file could be read in two ways."""

from pathlib import Path

import pytest

from copyloom.texts import gather_texts


@pytest.mark.parametrize("lines", [
    "Copy, that works\nFresh, hot\nOld, new\n", "Claims; paid fast\nCover; made clear\nQuotes; in minutes\n",
    "Headlines, fast\nNews, now\nWeather, later\n",
])  # fmt: skip
def test_lines_that_all_hold_one_sign_are_texts(tmp_path: Path, lines: str) -> None:
    (tmp_path / "lines.txt").write_text(lines)
    assert gather_texts(tmp_path / "lines.txt").texts == lines.splitlines()
