"""What the shipped model must reach: see its card. Slow: inverts a thousand texts."""

import re
from typing import Any

import pytest

from experiments.corpora.real_texts import shared_data
from experiments.studies.tiny.quality import measure
from experiments.training.tiny.card import ROWS
from experiments.training.tiny.package import MAX_BYTES
from generator.language_model import SHIPPED_FOLDER


@pytest.fixture(scope="module")
def quality(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return measure(tmp_path_factory.mktemp("quality"), None, "cpu", lambda stage, done, total: None)


def test_package_is_small() -> None:
    assert sum(file.stat().st_size for file in SHIPPED_FOLDER.rglob("*") if file.is_file()) <= MAX_BYTES


@pytest.mark.slow
def test_shipped_and_held_out_claims_are_exact(quality: dict[str, Any]) -> None:
    assert quality["shipped_exact_share"] == 1.0
    assert quality["grammar_texts"] == 500
    assert quality["grammar_exact_share"] >= 0.995


@pytest.mark.slow
def test_held_out_real_texts_are_exact(quality: dict[str, Any]) -> None:
    if shared_data() is None:
        pytest.skip("no folder of real texts: set COPYLOOM_DATA or place ../shared/data beside the project")
    assert quality["real_texts"] == 500
    assert quality["real_exact_share"] >= 0.97


@pytest.mark.slow
def test_mixtures_keep_to_the_subject(quality: dict[str, Any]) -> None:
    assert quality["known_subject_mixtures"] == 200
    assert quality["known_subject_true_share"] >= 0.97
    assert quality["unseen_subject_mixtures"] == 200


@pytest.mark.slow
def test_mixtures_are_new(quality: dict[str, Any]) -> None:
    assert quality["mixtures_new_share"] >= 0.8


@pytest.mark.slow
def test_card_holds_what_was_measured(quality: dict[str, Any]) -> None:
    """Up to three points: another processor rounds otherwise, and a mixture near a tie may read otherwise."""
    card = (SHIPPED_FOLDER / "README.md").read_text(encoding="utf-8")
    for key in ("grammar_exact_share", "known_subject_true_share", "unseen_subject_true_share", "mixtures_new_share"):
        stated = re.search(rf"\| {re.escape(ROWS[key])} \| ([\d.]+)% \|", card)
        assert stated, key
        assert abs(float(stated[1]) / 100 - quality[key]) <= 0.03, key
