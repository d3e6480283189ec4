"""The notebooks run from beginning to end, on settings as small as they are shown; what is stored holds no output."""

from pathlib import Path

import nbformat
import pytest

from docs.hooks.notebooks import FOLDER, executed

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_shows_something(path: Path) -> None:
    cells = [cell for cell in executed(path).cells if cell.cell_type == "code"]
    assert any(cell.outputs for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_the_five_notebooks_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "comparing-policies", "inspecting-a-text", "quickstart", "your-own-click-model", "your-own-model",
    ]  # fmt: skip
