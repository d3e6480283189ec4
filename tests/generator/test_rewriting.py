"""Rewritings keep a draft up to one place, change that place, and depend on nothing else."""

import pytest
import torch

from generator.decoding import MAX_TOKENS, decode
from generator.language_model import LanguageModel
from generator.rewriting import Rewriting, rewrite


@pytest.fixture(scope="module")
def model():
    return LanguageModel.load()


@pytest.fixture(scope="module")
def embeddings(model):
    return 0.5 * torch.randn(3, 8, model.hidden_size, generator=torch.Generator().manual_seed(1))


def test_forced_tokens_come_first_and_none_change_nothing(model, embeddings):
    plain = decode(model, embeddings)
    assert decode(model, embeddings, forced=[[], [], []]) == plain
    assert decode(model, embeddings, forced=[plain[0].ids[:3], [], plain[2].ids]) == plain
    given = model.tokenize("Our kettle")
    for one in decode(model, embeddings, forced=[given] * 3):
        assert one.ids[: len(given)] == tuple(given)
        assert one.text.startswith("Our kettle")
    (long,) = decode(model, embeddings[:1], forced=[[given[0]] * (MAX_TOKENS + 5)])
    assert not long.finished
    assert long.ids == (given[0],) * MAX_TOKENS


def test_a_rewriting_changes_one_place_at_the_start_of_a_word(model, embeddings):
    draft = tuple(model.tokenize("This quiet kettle pours well."))
    (found,) = rewrite(model, embeddings, [Rewriting(0, draft)], 12)
    assert 0 < len(found) <= 12
    for one in found:
        place = next(
            p for p, (a, b) in enumerate(zip((*draft, model.end), (*one.ids, model.end), strict=False)) if a != b
        )
        assert one.ids[:place] == draft[:place]
        own, new = ((*ids, model.end)[place] for ids in (draft, one.ids))
        assert place == 0 or bool(model.starts_word[own] & model.starts_word[new])


def test_drafts_do_not_depend_on_each_other(model, embeddings):
    texts = ["This quiet kettle pours well.", "You will love this tent.", "Headline without a stop"]
    drafts = [Rewriting(row, tuple(model.tokenize(text))) for row, text in enumerate(texts)]
    together = rewrite(model, embeddings, drafts, 5)
    for draft, found in zip(drafts, together, strict=True):
        assert rewrite(model, embeddings, [draft], 5) == [found]
    assert rewrite(model, embeddings, drafts[::-1], 5) == together[::-1]
    assert rewrite(model, embeddings, [], 5) == []


def test_favoured_tokens_are_tried_more(model, embeddings):
    draft = tuple(model.tokenize("This quiet kettle pours well."))
    wanted = frozenset(model.tokenize(" sturdy tent for guests"))

    def share(favour):
        (found,) = rewrite(model, embeddings, [Rewriting(0, draft, wanted)], 20, favour, least=-20.0)
        return sum(bool(wanted & set(one.ids) - set(draft)) for one in found) / len(found)

    assert share(8.0) > share(0.0)


def test_an_empty_draft_is_rewritten_from_its_start(model, embeddings):
    (found,) = rewrite(model, embeddings, [Rewriting(1, ())], 4)
    assert len({one.ids[0] for one in found}) == len(found) > 0


def test_words_and_marks_start_a_word_and_their_rests_do_not(model):
    ids = model.tokenize("A kettle, unputdownable")
    starts = [bool(model.starts_word[i]) for i in ids]
    words = [model.detokenize([i]) for i in ids]
    for word, start in zip(words[1:], starts[1:], strict=True):
        assert start == (not word[0].isalnum())
    assert bool(model.starts_word[model.end])
    assert not all(starts[1:])
