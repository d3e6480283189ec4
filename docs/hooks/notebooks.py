"""Runs the notebooks whenever the site is built, and makes a page of each: the repository holds no output."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "notebooks"
_SECONDS = 600
"""After which a cell that does not end is an error."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook; mkdocs copies the notebook itself beside it."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page(path)))
    return files


def page(path: Path) -> str:
    """Return a notebook, run, as Markdown."""
    parts = [_cell(cell) for cell in executed(path).cells]
    return "\n\n".join([*parts, f"[Download this notebook]({path.name})"]) + "\n"


def executed(path: Path) -> Any:
    """Return a notebook with its outputs, run by this checkout in an empty folder; a cell that fails is an error."""
    notebook = nbformat.read(path, as_version=4)
    searched = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=_SECONDS, resources={"metadata": {"path": folder}})
        return client.execute(env={**os.environ, "PYTHONPATH": searched})


def _cell(cell: Any) -> str:
    if cell.cell_type == "markdown":
        return str(cell.source)
    printed = "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
    shown = [*map(_output, cell.outputs), _text(printed)]
    return "\n\n".join(filter(None, [f"```python\n{cell.source}\n```", *shown]))


def _output(output: Any) -> str:
    """Return a picture, a table or the value of a cell's last line; nothing of what was printed."""
    data = output.get("data", {})
    if "image/png" in data:
        return f'<img src="data:image/png;base64,{data["image/png"].strip()}" alt="What the cell drew">'
    if "text/html" in data:
        return f'<div class="output">{data["text/html"]}</div>'
    return _text(data.get("text/plain", ""))


def _text(text: str) -> str:
    return f'```text title="Output"\n{text.rstrip()}\n```' if text else ""
