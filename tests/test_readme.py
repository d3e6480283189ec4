"""The README is true: its Python runs and prints what it says."""

import re
from pathlib import Path

import yaml

from experiments.simulation.config import RunConfig

README = Path(__file__).resolve().parents[1] / "README.md"


def test_python_example_prints_what_the_readme_says(capsys) -> None:  # type: ignore[no-untyped-def]
    text = README.read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```\n+prints\n+```\n(.*?)```", text, re.DOTALL)
    assert found
    exec(found[1], {})
    assert capsys.readouterr().out == found[2]


def test_every_file_that_the_readme_names_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (README.parent / link).exists(), link


def test_settings_that_the_readme_shows_are_taken() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    studies = [settings for settings in map(yaml.safe_load, blocks) if "policy" in settings]
    assert [len(RunConfig.checked(**settings).beside) for settings in studies] == [4]
