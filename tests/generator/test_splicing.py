"""Splicing: the new texts are what they are said to be."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from embeddings.mixing import adapt, wanted_point
from embeddings.space import Space
from generator.language_model import LanguageModel
from generator.splicing import LONGEST, materials, splices

ONE = "Choose the dutch oven made of cast iron and sleep well tonight."
OTHER = "Tired of a hybrid bike that lets you down? Ours carries you through any season."


@pytest.fixture(scope="module")
def space():
    return Space.load()


@pytest.fixture(scope="module")
def mixture(space):
    return adapt(space.adapter, wanted_point(space.encoder.encode([ONE, OTHER])[None], torch.full((1, 2), 0.5)))


@pytest.fixture(scope="module")
def read(space, mixture):
    return materials(space.model, mixture.expand(2, -1, -1), [ONE, OTHER])


def is_splice(words, text, other):
    """Say whether `words` are `text` with words of `other` in place of some of its own, or without some."""
    for start in range(len(text) + 1):
        for stop in range(start, len(text) + 1):
            inside = words[start : max(len(words) - (len(text) - stop), start)]
            if [*text[:start], *inside, *text[stop:]] != words:
                continue
            phrases = [other[k : k + len(inside)] for k in range(len(other) - len(inside) + 1)]
            crossing = stop == len(text) and bool(inside) and inside == other[-len(inside) :]
            if inside in phrases and (max(len(inside), stop - start) <= LONGEST or crossing):
                return True
    return False


def test_every_splice_is_the_text_with_a_phrase_of_the_other(read):
    one, other = read
    texts = splices(one, other, 200)
    assert len(texts) == len(set(texts)) == 200
    assert ONE not in texts
    for text in texts:
        assert is_splice(text.lower().split(), ONE.lower().split(), OTHER.lower().split()), text
        assert text[0].isupper()
    assert any(len(text.split()) < len(ONE.split()) - 1 for text in texts)


def test_few_are_the_first_of_many(read):
    assert splices(*read, 10) == splices(*read, 200)[:10]
    assert splices(*read, 0) == []


def test_a_text_too_long_or_without_words_is_no_material(space, mixture):
    long = " ".join(["kettle"] * 100)
    assert materials(space.model, mixture.expand(3, -1, -1), ["", " ", long]) == [None, None, None]
    assert materials(space.model, mixture[:0], []) == []


@pytest.mark.parametrize(
    ("first", "second"), [("Tee", "Kessel"), ("Füllung: 🫖 heiß", "die Küche  \n wartet"), ("A", "A")]
)
def test_short_and_foreign_texts(space, mixture, first, second):
    one, other = materials(space.model, mixture.expand(2, -1, -1), [first, second])
    for splice in splices(one, other, 30):
        assert splice != first
        assert set(splice.lower().split()) <= set(f"{first} {second}".lower().split())


@pytest.mark.parametrize("architecture", ["LlamaConfig", "GPT2Config", "MambaConfig"])
def test_any_model_whose_tokens_end_with_words(random_model, architecture):
    model = with_tokenizer(random_model(architecture), pre_tokenizers.Metaspace(), decoders.Metaspace())
    one, other = materials(model, torch.zeros(2, 3, model.hidden_size), ["blue kettle", "red mug"])
    assert len(one.likely) == len(one.words) + 1
    assert {"blue mug", "red kettle", "blue red mug"} <= set(splices(one, other, 100))


def test_no_splices_where_tokens_go_over_words_or_a_word_has_none(random_model):
    model = with_tokenizer(random_model(), None, decoders.Fuse(), normalizers.BertNormalizer())
    texts = ["blue kettle", "a \u200b b", "\u200b"]
    assert materials(model, torch.zeros(3, 3, model.hidden_size), texts) == [None, None, None]


def with_tokenizer(model, pre_tokenizer, decoder, normalizer=None):
    """Return the model with a tokenizer of 200 tokens, trained on words around kettles."""
    tokenizer = Tokenizer(models.BPE(unk_token="?"))
    tokenizer.decoder = decoder
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["<|end|>", "?"])
    tokenizer.train_from_iterator(["blue kettle", "red mug", "a red kettle", "a blue mug e k"] * 50, trainer)
    return LanguageModel(
        model.model, PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>"), "words", model.device
    )
