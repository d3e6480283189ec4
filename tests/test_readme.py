"""The README and the documentation are true: their Python runs and prints what they say, and their files are there."""

import re
from pathlib import Path

import pytest
import yaml

from experiments.simulation.config import RunConfig

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [ROOT / name / "README.md" for name in ("generator", "embeddings", "bandits", "simulator", "experiments")]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PACKAGES, *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN_AT_BUILD = {"settings.md", "commands.md", *(f"{file.stem}.md" for file in (ROOT / "docs").rglob("*.ipynb"))}
"""By docs/hooks; `make docs` checks links to them."""
PRINTS = re.compile(r"```python\n(.*?)```\n+prints\n+```(?:text)?\n(.*?)```", re.DOTALL)
COPIED = re.compile(r"<!-- (\w+) of (\S+) -->\n(.*?)<!-- /\1 -->", re.DOTALL)
"""What a page repeats of a README, so that both read well wherever they are read."""
PROMISED = [(page, *example) for page in PAGES
            for example in PRINTS.findall(COPIED.sub("", page.read_text(encoding="utf-8")))]  # fmt: skip


def name(value: object) -> str | None:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else ""


@pytest.mark.parametrize(("page", "code", "printed"), PROMISED, ids=name)
def test_python_prints_what_the_page_says(
    page: Path, code: str, printed: str, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out == printed


def test_examples_are_found() -> None:
    assert [page.parent.name for page, _, _ in PROMISED] == [
        ROOT.name, ROOT.name, "generator", "embeddings", "simulator"
    ]  # fmt: skip


def test_what_pages_repeat_of_a_readme_is_what_stands_there() -> None:
    copies = [(page.name, *copy) for page in PAGES for copy in COPIED.findall(page.read_text(encoding="utf-8"))]
    assert len(copies) == 5
    for page, what, source, copied in copies:
        wanted = re.search(rf"<!-- {what} -->\n(.*?)<!-- /{what} -->", (ROOT / source).read_text("utf-8"), re.DOTALL)
        assert wanted, (page, what)
        assert copied == wanted[1], f"{page}: copy the part {what!r} of {source} anew"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_a_page_links_is_there(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists() or Path(link).name in WRITTEN_AT_BUILD, link


@pytest.mark.parametrize("page", PACKAGES, ids=name)
def test_a_package_has_a_readme_of_one_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert "**In come**" in text
    assert "**Out go**" in text


def test_settings_that_pages_show_are_taken() -> None:
    blocks = [block for page in PAGES for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)]
    studies = [settings for settings in map(yaml.safe_load, blocks) if "policy" in settings]
    assert [len(RunConfig.checked(**settings).beside) for settings in studies] == [2, 5, 8]
