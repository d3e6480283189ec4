"""The training recipe: stopped and resumed it makes the same model, and what it makes can be loaded."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from copyloom import InputError
from embeddings.adapter import ADAPTER_SETTINGS, load_adapters
from embeddings.encoder import SentenceEncoder
from embeddings.space import Space
from embeddings.training.config import read_settings, share_of_rate
from experiments.corpora.real_texts import real_texts
from experiments.held_out import is_held_out
from experiments.training.tiny.card import model_card
from experiments.training.tiny.package import write_package
from experiments.training.tiny.train import TinyConfig, TinyModel, train_tiny
from generator.device import Device
from generator.grammar import Grammar
from generator.language_model import SHIPPED_FOLDER, LanguageModel

SMALL = TinyConfig(
    vocabulary=600, hidden_size=32, layers=1, heads=2, feed_forward=64, vectors=2, adapter_width=32, grammar_texts=160,
    mixed_pairs=6, steps=4, real_rows=0, plain_rows=4, mixture_rows=4, subject_rows=4, subject_mixture_rows=4,
    checkpoint_seconds=0.0, warmup=1,
)  # fmt: skip


def quiet(stage: str, done: int, total: int) -> None:
    """Hear of progress and say nothing."""


def weights(model: TinyModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_equal(model: TinyModel, other: TinyModel) -> None:
    for name, value in weights(other).items():
        torch.testing.assert_close(weights(model)[name], value, rtol=0, atol=0, msg=name)


def test_stopped_and_resumed_makes_the_same_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: Space
) -> None:
    monkeypatch.setattr("experiments.training.tiny.train.SentenceEncoder", EncodesOnce)
    whole, corpus = train_tiny(SMALL, tmp_path / "whole", None, quiet)
    with monkeypatch.context() as patch:
        patch.setattr("experiments.training.tiny.train.share_of_rate", stop_at_third_step())
        with pytest.raises(KeyboardInterrupt):
            train_tiny(SMALL, tmp_path / "broken", None, quiet)
    resumed, _ = train_tiny(SMALL, tmp_path / "broken", None, quiet)
    assert_equal(resumed, whole)
    with pytest.raises(InputError, match="another configuration"):  # it has cooled down by now
        train_tiny(SMALL.model_copy(update={"steps": 5}), tmp_path / "broken", None, quiet)
    shutil.copy(tmp_path / "whole" / "level.safetensors", tmp_path / "broken" / "checkpoint.safetensors")
    longer = SMALL.model_copy(update={"steps": 6})
    went_on, _ = train_tiny(longer, tmp_path / "broken", None, quiet)
    assert_equal(went_on, train_tiny(longer, tmp_path / "longer", None, quiet)[0])

    folder = tmp_path / "model"
    assert write_package(whole, corpus.tokenizer, SMALL, folder) == sum(f.stat().st_size for f in folder.iterdir())
    settings = json.loads((folder / ADAPTER_SETTINGS).read_text())
    assert settings["grammar"]["claim_frames"] == len(Grammar.load().frames_of("claim"))
    model = LanguageModel.load(str(folder), Device.choose("cpu"))
    loaded = Space(model, space.encoder, *load_adapters(folder))
    assert loaded.identity.vectors == 2
    assert len(loaded.writer.write(torch.randn(3, 2, 32))) == 3
    shutil.rmtree(tmp_path)


class EncodesOnce(SentenceEncoder):
    """Knows the vectors of texts that were encoded together before."""

    known: ClassVar[dict[tuple[str, ...], torch.Tensor]] = {}

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        key = tuple(texts)
        if key not in self.known:
            self.known[key] = super().encode(texts)
        return self.known[key]


def stop_at_third_step() -> object:
    """Return a schedule, asked for once a step, that is interrupted."""
    calls = []

    def schedule(step: int, steps: int, warmup: int, cooldown: float) -> float:
        calls.append(step)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return share_of_rate(step, steps, warmup, cooldown)

    return schedule


def test_the_learning_rate_rises_stays_and_falls() -> None:
    shares = [share_of_rate(step, 100, warmup=10, cooldown=0.4) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert set(shares[9:61]) == {1.0}
    assert shares[80] == pytest.approx(0.5)
    assert shares[99] == pytest.approx(0.025)


def test_the_shipped_card_names_the_frames_of_its_training_however_the_grammar_grows() -> None:
    card = model_card({"parameters": 5_868_800, "device": "cpu"})
    line = next(line for line in card.splitlines() if " styles, " in line)
    assert line in (SHIPPED_FOLDER / "README.md").read_text(encoding="utf-8")


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="steps"):
        read_settings(TinyConfig, None, {"steps": 0})


def test_real_texts_are_short_distinct_and_two_percent_are_held_out(shared_data: Path) -> None:
    texts = real_texts(shared_data)
    assert len(texts) == len(set(texts)) > 100_000
    assert all(12 <= len(text) <= 110 for text in texts)
    share = sum(map(is_held_out, texts)) / len(texts)
    assert abs(share - 0.02) < 0.002  # five standard deviations are 0.002
    assert is_held_out(texts[0]) == is_held_out(texts[0].upper())
