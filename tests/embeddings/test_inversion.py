"""Inversion finds vectors from which the frozen model writes the text, and says so only if it does."""

import pytest
import torch
from pydantic import ValidationError

from copyloom import InputError
from embeddings.inversion import Inverter, check_texts
from embeddings.inversion_config import InversionConfig
from embeddings.relational import relational_loss
from embeddings.slots import Target
from embeddings.space import Space
from embeddings.starts import token_mean_start
from generator.decoding import decode

TEXTS = [
    "You will fall in love with this balanced chef knife.",
    "Café ☕ or tea?",
    " x ",
    "Last chance: 20 percent off on our chef knives.",
    "You will fall in love with this balanced chef knife.",
    "The <name> is <|end|>",
]


@pytest.fixture(scope="module")
def found(space):
    """The texts inverted from the adapter's output."""
    return space.invert(TEXTS)


def leads(model, text, vectors):
    """Return by how much each token, end-of-text included, leads its best rival, the right tokens before it."""
    targets = torch.tensor([*model.tokenize(text), model.end])
    inputs = torch.cat([vectors, model.embed(targets[:-1])])[None]
    with torch.inference_mode():
        logits = model.model(inputs_embeds=inputs).logits[0, len(vectors) - 1 :].float()
    target = logits.gather(1, targets[:, None])[:, 0]
    return target - logits.scatter(1, targets[:, None], -torch.inf).amax(1)


def test_texts_decode_back_from_their_vectors_alone(space, found):
    """Plain, with marks of other scripts, white space at the ends, twice, and with names of special tokens."""
    assert [embedding.text for embedding in found] == TEXTS
    assert all(embedding.exact for embedding in found)
    decoded = decode(space.model, torch.stack([embedding.vectors for embedding in found]))
    assert [(result.text, result.finished) for result in decoded] == [(text, True) for text in TEXTS]


def test_the_margin_is_the_least_teacher_forced_lead(space, found):
    for embedding in found:
        least = float(leads(space.model, embedding.text, embedding.vectors).min())
        assert least == pytest.approx(embedding.margin, abs=2e-3)
        assert least >= 1 - 2e-3 or embedding.steps >= InversionConfig().max_steps


def test_equal_texts_have_equal_vectors_up_to_rounding(found):
    torch.testing.assert_close(found[0].vectors, found[4].vectors, rtol=1e-3, atol=1e-3)


def test_embeddings_say_where_they_come_from(space, found):
    for embedding in found:
        assert embedding.vectors.shape == (space.vectors, space.model.hidden_size)
        assert embedding.vectors.dtype == embedding.sentence_vector.dtype == torch.float32
        assert (embedding.space, embedding.start, embedding.lineage) == (space.identity, "adapter", None)
        assert not embedding.vectors.requires_grad


def test_starting_at_a_solution_takes_no_step(space, found):
    kept = [embedding for embedding in found if embedding.margin >= 1.01]
    starts = torch.stack([embedding.vectors for embedding in kept])
    again = Inverter(space.model, InversionConfig()).invert([embedding.text for embedding in kept], starts)
    assert [(result.steps, result.exact) for result in again] == [(0, True)] * len(kept)
    assert torch.equal(torch.stack([result.vectors for result in again]), starts)


def test_a_larger_margin_is_reached(space, found):
    start = found[0].vectors[None]
    (result,) = Inverter(space.model, InversionConfig(margin=2.0)).invert(TEXTS[:1], start)
    assert result.exact
    assert leads(space.model, TEXTS[0], result.vectors).min() >= 2 - 2e-3


def test_every_text_comes_out_whatever_the_number_of_rows(space):
    texts = [TEXTS[0], TEXTS[3], TEXTS[0]]
    heard = []
    results = space.invert(texts, InversionConfig(rows=2), lambda done, total: heard.append((done, total)))
    assert [(result.text, result.exact) for result in results] == [(text, True) for text in texts]
    assert heard == [(1, 3), (2, 3), (3, 3)]


def test_an_inexact_text_says_so(random_model):
    model = random_model(max_position_embeddings=256)
    before = [parameter.clone() for parameter in model.model.parameters()]
    config = InversionConfig(start="token_mean", max_steps=1)
    (result,) = Inverter(model, config).invert(["not to be had"], torch.ones(1, 2, 16))
    assert (result.exact, result.steps) == (False, 3)  # three attempts of one step
    assert result.margin < 1
    assert decode(model, result.vectors[None])[0].text != "not to be had"
    assert all(map(torch.equal, before, model.model.parameters()))  # the model stays frozen


def test_the_token_mean_start_points_where_the_mean_of_the_embedded_tokens_does(random_model):
    model = random_model()
    start = token_mean_start(model, "abca", 3)
    table = model.model.get_input_embeddings().weight
    a, b, c = (table[model.tokenize(letter)[0]] for letter in "abc")
    mean = (2 * a + b + c) / 4
    torch.testing.assert_close(start, (10 * table.norm() / len(table) ** 0.5 * mean / mean.norm()).expand(3, 16))


def test_a_foreign_model_is_inverted_from_the_token_mean(space, shared_data):
    """A third-party Llama of 656,000 parameters, with tokenizer and all, read from a folder."""
    foreign = Space.load(str(shared_data / "lm-tinystories-656k"), device="cpu")
    assert (foreign.adapter, foreign.model.hidden_size) == (None, 128)
    texts = ["The cat sat on the mat.", "Once upon a time."]
    found = foreign.invert(texts)
    assert [embedding.start for embedding in found] == ["token_mean"] * 2
    assert all(embedding.exact for embedding in found)
    decoded = decode(foreign.model, torch.stack([embedding.vectors for embedding in found]))
    assert [(result.text, result.finished) for result in decoded] == [(text, True) for text in texts]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([""], "text 1 is empty; remove it or write something"),
        (["fine", " \n\t"], "text 2 is empty"),
        (
            ["a" * 10_000],
            r"text 1 \('a{30}'...\) has 10,000 characters, about [\d,]+ tokens; a summary embedding holds at "
            "most 160",
        ),
        (["fine", "word " * 2000], "text 2 .* has 10,000 characters"),
        (["☕" * 170], "text 1 .* has 170 characters, about .* tokens"),
    ],
)
def test_texts_that_cannot_be_inverted_are_refused_before_any_work(space, texts, message):
    with pytest.raises(InputError, match=message):
        space.invert(texts)
    with pytest.raises(InputError, match=message):
        check_texts(space.model, texts, InversionConfig())


def test_the_model_limits_the_length_too(random_model):
    with pytest.raises(InputError, match="holds at most 128"):
        check_texts(random_model(max_position_embeddings=256), ["a" * 129], InversionConfig(start="token_mean"))


def test_the_adapter_start_needs_an_adapter(space, random_model):
    bare = Space(random_model(max_position_embeddings=256), space.encoder)
    with pytest.raises(InputError, match="'random LlamaConfig' has no adapter; use start='token_mean'"):
        bare.invert(["text"], InversionConfig(start="adapter"))


def test_a_relational_weight_brings_likeness_to_vectors_and_keeps_texts_exact(space):
    texts = ["Save on mugs now.", "Win a mug today!", "Café ☕ or tea?"]
    losses = []
    for weight in (0, 300):
        config = InversionConfig(start="token_mean", relational_weight=weight)
        found = space.invert(texts, config)
        assert all(embedding.exact for embedding in found)
        vectors, meanings = (
            torch.stack([getattr(embedding, name) for embedding in found]) for name in ("vectors", "sentence_vector")
        )
        losses.append(float(relational_loss(vectors, meanings)[0].mean()))
    assert losses[1] < 0.5 * losses[0]


def test_a_relational_weight_needs_sentence_vectors(random_model):
    config = InversionConfig(start="token_mean", relational_weight=1)
    with pytest.raises(InputError, match=r"no sentence vector, .*; use Space.invert, or set 0"):
        Inverter(random_model(), config).invert(["ab"], torch.ones(1, 2, 16))


def test_no_texts_give_no_embeddings(space):
    assert space.invert([]) == []


@pytest.mark.parametrize("key", ["margin", "max_steps", "rate", "rows", "max_tokens"])
def test_settings_must_be_positive_and_known(key):
    with pytest.raises(ValidationError, match=key):
        InversionConfig(**{key: 0})
    with pytest.raises(ValidationError, match="steps"):
        InversionConfig(steps=5)


def test_models_of_few_positions_hold_short_texts(random_model):
    Inverter(random_model(), InversionConfig(start="token_mean", max_steps=1)).invert(["ab"], torch.ones(1, 2, 16))


def test_the_longest_text_allowed_can_be_inverted(random_model):
    model = random_model(max_position_embeddings=256)
    Inverter(model, InversionConfig(start="token_mean", max_steps=1)).invert(["a" * 128], torch.ones(1, 2, 16))


def test_texts_beyond_the_last_length_are_refused(random_model):
    config = InversionConfig(start="token_mean", max_tokens=1000)
    with pytest.raises(InputError, match="holds at most 511"):
        check_texts(random_model(max_position_embeddings=4096), ["a" * 600], config)


def test_the_best_attempt_stands(random_model):
    model = random_model()
    inverter = Inverter(model, InversionConfig(start="token_mean"))
    target = Target(0, "ab", [*model.tokenize("ab"), model.end], torch.zeros(2, 16))
    for lead in (0.7, 0.2, -0.5):
        inverter._leave(target, torch.full((2, 16), lead), lead, ready=False, broken=False)
    ((_, vectors, lead),) = (one for finished in inverter._finished.values() for one in finished)
    assert lead == 0.7
    assert torch.equal(vectors, torch.full((2, 16), 0.7))
