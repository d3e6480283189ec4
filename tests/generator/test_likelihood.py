"""Likelihood: one pass says what reading token by token says, and each text for itself."""

import pytest
import torch

from generator.cache import CachedModel
from generator.decoding import MAX_TOKENS, decode
from generator.language_model import CRITIC, SHIPPED_FOLDER, LanguageModel
from generator.likelihood import expectations, surprisals, surprisals_alone

TEXTS = ["You will love this quiet kettle.", "Modern loft near the park", "Ein Kessel für die Küche 🫖", "a"]


@pytest.fixture(scope="module")
def model():
    return LanguageModel.load()


@pytest.fixture(scope="module")
def embeddings(model):
    return 0.5 * torch.randn(len(TEXTS), 8, model.hidden_size, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def ids(model):
    return [model.tokenize(text) for text in TEXTS]


@torch.no_grad()
def test_one_pass_says_what_reading_token_by_token_says(model, embeddings, ids):
    for number, likely in expectations(model, embeddings, ids):
        reader, inputs = CachedModel(model, 8 + MAX_TOKENS), embeddings[[number]]
        assert len(likely) == len(ids[number]) + 1
        for row, token in zip(likely, [*ids[number], model.end], strict=True):
            torch.testing.assert_close(row, reader.read(inputs)[0].log_softmax(-1), atol=1e-3, rtol=1e-4)
            inputs = model.embed(torch.tensor([[token]]))


def test_what_was_decoded_greedily_is_expected_at_every_place(model, embeddings):
    decoded = [list(one.ids) for one in decode(model, embeddings) if one.finished]
    found = dict(expectations(model, embeddings, decoded))
    for number, ids in enumerate(decoded):
        assert found[number].argmax(1).tolist() == [*ids, model.end]


def test_a_text_does_not_depend_on_the_others(model, embeddings, ids):
    together = surprisals(model, embeddings, ids)
    assert torch.equal(surprisals(model, embeddings.flip(0), ids[::-1]).flip(0), together)
    for number, text in enumerate(ids):
        assert torch.equal(surprisals(model, embeddings[[number]], [text])[0], together[number])


def test_a_text_of_no_token_is_only_its_end_and_a_long_one_is_cut(model, embeddings):
    long = [5] * (MAX_TOKENS + 10)
    found = dict(expectations(model, embeddings, [[], long, long[: MAX_TOKENS - 1]]))
    assert found[0].shape[0] == 1
    assert found[1].shape[0] == found[2].shape[0] == MAX_TOKENS
    assert surprisals(model, embeddings, [[]])[0] == -found[0][0, model.end]
    assert surprisals(model, embeddings, []).shape == (0,)
    cut = float(surprisals(model, embeddings[1:2], [long])[0])
    assert cut == pytest.approx(-float(found[1][:, 5].mean()), rel=1e-5)


def test_the_critic_prefers_a_sentence_to_its_words_shuffled_or_of_two_products(model):
    critic = LanguageModel.load(str(SHIPPED_FOLDER / CRITIC), tokenizer=model.tokenizer)
    for text, odd in (("This quiet kettle is made of steel.", "Steel of is kettle made quiet this."),
                      ("A stable cargo bike made of recycled aluminum.", "A stable beard cargo bike made of steel."),
                      ("Modern loft in the heart of the city", "Modern heart in the loft of the city")):  # fmt: skip
        likely, unlikely = surprisals_alone(critic, [text, odd]).tolist()
        assert likely < unlikely


def test_alone_means_after_the_token_for_a_beginning(model, ids):
    beginning = model.embed(torch.tensor([[model.beginning]]))
    expected = surprisals(model, beginning.expand(len(ids), -1, -1), ids)
    assert torch.equal(surprisals_alone(model, TEXTS), expected)
