"""The page of settings, which a hook writes from the models that check them."""

import importlib.util
import re
from pathlib import Path

import pytest

HOOK = Path(__file__).resolve().parents[2] / "docs" / "hooks" / "settings.py"


@pytest.fixture(scope="module")
def page() -> str:
    spec = importlib.util.spec_from_file_location("settings_page", HOOK)
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    return str(hook.page())


def test_every_setting_has_a_meaning(page: str) -> None:
    sections = re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE)
    rows = [(title, row) for title, text in sections for row in re.findall(r"^\| (`\w+` .*) \|$", text, re.MULTILINE)]
    assert len(rows) > 150
    rows = [(title, row) for title, row in rows if len(re.split(r"(?<!\\)\|", row)) == 5]  # not of policies
    assert [f"{title} {row}" for title, row in rows if not re.split(r"(?<!\\)\|", row)[4].strip()] == []


def test_a_meaning_that_is_said_already_is_named(page: str) -> None:
    assert "| `subject_mixture_rows` | whole number | `24` |  | see `subject_rows` |" in page
