"""Tokens that may be written: none that a rule would refuse at once, all of a record, all that need no source."""

import pytest

from generator.device import Device
from generator.language_model import LanguageModel
from generator.models import SHIPPED
from generator.permitted import Permitted, like_those_of


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel.load(SHIPPED, Device.choose("cpu"))


def test_numbers_and_words_that_would_be_refused_are_never_written(model):
    permitted = Permitted(model)

    def barred(*sources, about_record=False):
        flags = permitted.barred(sources, about_record).tolist()
        return {model.detokenize([token]) for token, flag in enumerate(flags) if flag}

    written = [model.detokenize([token]) for token in range(len(model.tokenizer))]
    parents, mug = ("A backpack rated 4.8.", "Kardashian knives"), ("mug", "rated 4.8")
    for foreign in (barred(*parents), barred(*mug, about_record=True)):
        assert {text for text in written if set(filter(str.isdigit, text)) - set("48") or "\n" in text} <= foreign
        assert {"4", "8", ".", " the", model.detokenize([model.end])}.isdisjoint(foreign)
    others = barred(*mug, about_record=True) - barred(*parents)
    words = sorted(text for text in others if text[1:].isalpha() and len(text) > 4)
    assert words
    for text in words[:20]:
        assert text not in barred("mug", f"a {text.strip()}", about_record=True)


def test_other_forms_of_a_records_words_may_be_written():
    like = like_those_of(("two handles", "bake bread", "a berry for your shop"))
    assert {"handle", "handles", "baking", "berries", "shopping", "bread"} <= set(like)
    assert "kettle" not in like
