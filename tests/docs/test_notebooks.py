"""What is stored of the notebooks holds no output; `make docs` runs them, and a cell that fails ends it."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert cells
    for cell in cells:
        assert not cell["outputs"]
        assert cell["execution_count"] is None


def test_the_six_notebooks_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "comparing-policies", "headlines", "inspecting-a-text", "quickstart", "your-own-click-model", "your-own-model",
    ]  # fmt: skip
