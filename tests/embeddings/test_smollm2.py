"""The shipped writer: what it stores comes back, what it mixes may be shown, and no pair depends on another."""

from typing import Any

import pytest
import torch

from copyloom import InputError
from embeddings.composing import Composer, best_of
from embeddings.effort import Effort
from embeddings.inverting import unrefined
from embeddings.mixed import Mixed
from embeddings.mixing import adapt, wanted_point
from embeddings.space import Space
from embeddings.steering import steer
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
def space() -> Space:
    return Space.load(WRITER, "cpu")


@pytest.fixture(scope="module")
def stored(space: Space) -> list[Any]:
    return space.invert(TEXTS)


def _mixed(space: Space, *parents: str, record: ProductRecord | None = None) -> Mixed:
    wanted = wanted_point(space.encoder.encode(parents)[None], torch.tensor([[0.5, 0.5]]))
    return Mixed(adapt(space.adapter, wanted)[0], wanted[0], parents, record)


def test_stored_texts_come_back_letter_for_letter(space, stored):
    assert all(embedding.exact for embedding in stored)
    assert space.decode(stored) == list(TEXTS)


def test_a_mixture_may_be_shown_and_repeats(space, stored):
    mixture = space.mix(stored[:2], [0.5, 0.5])
    assert mixture.new
    assert mixture.text not in TEXTS
    space.mix(stored[1:], [0.5, 0.5])
    assert space.mix(stored[:2], [0.5, 0.5]).text == mixture.text


@pytest.mark.parametrize("weights", [[1.0, 0.0], [0.0, 1.0]])
def test_ends_are_exact(space, stored, weights):
    assert space.mix(stored[:2], weights).text == TEXTS[weights.index(1.0)]


def test_what_is_only_mixed_is_not_refined(space):
    loose, exact = _stored(space, TEXTS, [TEXTS[1]], 4, lambda *_: None)
    assert {text: one.exact for text, one in loose.items()} == dict.fromkeys(TEXTS, False)
    assert {text: one.exact for text, one in exact.items()} == {TEXTS[1]: True}
    assert space.mix([loose[text] for text in TEXTS[:2]], [0.5, 0.5]).new


def test_a_text_about_a_subject_names_it_and_nothing_else(space):
    (best,) = best_of(*space.writer.composer.candidates([_mixed(space, *TEXTS[:2], record=MUG)]), 1)
    assert "trail mug" in best.text
    assert not any(word in best.text for word in ("backpack", "waterproof", "shoulder"))


@pytest.mark.parametrize("text", ["Saturday, 8 o'clock: tickets £20.", "Tickets: 20 % off until Saturday."])
def test_words_thrown_together_are_no_steered_text(space, monkeypatch, text):
    said = {"Saturday until clock is tickets: 20.": -1.0}
    monkeypatch.setattr(Composer, "_written", lambda _, mixtures, *rest: [said for _ in mixtures])
    here = unrefined(space, [text])
    assert steer(space, here, here[0].sentence_vector[None]) == [None]


def test_where_nothing_is_fit_the_answer_says_so(space, stored, monkeypatch):
    monkeypatch.setattr(
        Composer, "_written", lambda _, mixtures, *rest: [{"Stay dry dry the": -1.0, TEXTS[0]: -0.5} for _ in mixtures]
    )
    with pytest.raises(InputError, match="fit to print"):
        space.mix(stored[:2], [0.5, 0.5])


def test_where_nothing_is_likely_enough_the_answer_says_how_likely_the_likeliest_is(space, stored):
    with pytest.raises(InputError, match=r"the likeliest text has 0\.\d\d$"):
        space.mix(stored[:2], [0.5, 0.5], effort=Effort(turns=1, printed=1.0))
