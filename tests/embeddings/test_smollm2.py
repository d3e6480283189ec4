"""The shipped writer: what it stores comes back, what it mixes may be shown, and no pair depends on another."""

from typing import Any

import pytest
import torch

from copyloom import InputError
from embeddings.composing import Composer, best_of
from embeddings.effort import Effort
from embeddings.mixed import Mixed
from embeddings.mixing import adapt, wanted_point
from embeddings.space import Space
from experiments.commands.mix import _stored
from generator.models import WRITER, is_there
from generator.record import ProductRecord

pytestmark = pytest.mark.skipif(not is_there(WRITER), reason="the model is not here: copyloom models get smollm2")

TEXTS = (
    "Stay dry on every trail with our waterproof hiking backpack.",
    "The hiking backpack that carries camp on one shoulder.",
    "Sunny 2BR flat near the harbour, free wifi",
)
MUG = ProductRecord(name="trail mug", quality=["leak-proof"], feature=["a screw-on lid"], use=["frosty mornings"])


@pytest.fixture(scope="module")
def writer() -> Space:
    return Space.load(WRITER, "cpu")


@pytest.fixture(scope="module")
def stored(writer: Space) -> list[Any]:
    return writer.invert(TEXTS)


def _mixed(writer: Space, *parents: str, record: ProductRecord | None = None) -> Mixed:
    wanted = wanted_point(writer.encoder.encode(parents)[None], torch.tensor([[0.5, 0.5]]))
    return Mixed(adapt(writer.adapter, wanted)[0], wanted[0], parents, record)


def test_stored_texts_come_back_letter_for_letter(writer, stored):
    assert all(embedding.exact for embedding in stored)
    assert writer.decode(stored) == list(TEXTS)


def test_a_mixture_may_be_shown_and_repeats(writer, stored):
    mixture = writer.mix(stored[:2], [0.5, 0.5])
    assert mixture.new
    assert mixture.text not in TEXTS
    writer.mix(stored[1:], [0.5, 0.5])
    assert writer.mix(stored[:2], [0.5, 0.5]).text == mixture.text


@pytest.mark.parametrize("weights", [[1.0, 0.0], [0.0, 1.0]])
def test_ends_are_exact(writer, stored, weights):
    assert writer.mix(stored[:2], weights).text == TEXTS[weights.index(1.0)]


def test_what_is_only_mixed_is_not_refined(writer):
    loose, exact = _stored(writer, TEXTS, [TEXTS[1]], 4, lambda *_: None)
    assert {text: one.exact for text, one in loose.items()} == dict.fromkeys(TEXTS, False)
    assert {text: one.exact for text, one in exact.items()} == {TEXTS[1]: True}
    assert writer.mix([loose[text] for text in TEXTS[:2]], [0.5, 0.5]).new


def test_a_text_about_a_subject_names_it_and_nothing_else(writer):
    (best,) = best_of(*writer.composer.candidates([_mixed(writer, *TEXTS[:2], record=MUG)]), 1)
    assert "trail mug" in best.text
    assert not any(word in best.text for word in ("backpack", "waterproof", "shoulder"))


def test_where_nothing_is_fit_the_answer_says_so(writer, stored, monkeypatch):
    monkeypatch.setattr(
        Composer, "_written", lambda _, mixtures, *rest: [{"Stay dry dry the": -1.0, TEXTS[0]: -0.5} for _ in mixtures]
    )
    with pytest.raises(InputError, match="fit to print"):
        writer.mix(stored[:2], [0.5, 0.5])


def test_where_nothing_is_likely_enough_the_answer_says_how_likely_the_likeliest_is(writer, stored):
    with pytest.raises(InputError, match=r"the likeliest text has 0\.\d\d$"):
        writer.mix(stored[:2], [0.5, 0.5], effort=Effort(turns=1, printed=1.0))
