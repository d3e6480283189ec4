"""Inversion on every architecture: from the token mean to vectors whose free greedy decoding is the text."""

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from embeddings.context import Context, decode_vectors
from embeddings.inversion import Inverter, fault, most_tokens
from embeddings.inversion_config import InversionConfig
from embeddings.space import Space
from embeddings.starts import token_mean_start
from generator.language_model import LanguageModel

WIDTH = 64
HEADS = {"head_dim": 16}
GEMMA = HEADS | {"query_pre_attn_scalar": 16, "sliding_window": 24}
ARCHITECTURES = {
    "GPT2": {},
    "GPT2 untied": {"tie_word_embeddings": False},
    "OPT": {"word_embed_proj_dim": WIDTH, "ffn_dim": 128},
    "OPT projected": {"word_embed_proj_dim": 48, "ffn_dim": 128},
    "GPTNeoX": {},
    "Llama": {},
    "Llama tied": {"tie_word_embeddings": True},
    "Qwen2": {"num_key_value_heads": 1},
    "Qwen3": HEADS,
    "Mistral": {"sliding_window": 24},
    "Gemma": HEADS,
    "Gemma2": GEMMA | {"final_logit_softcapping": 30.0},
    "Gemma3Text": GEMMA,
    "Phi": {},
    "Mamba": {"num_hidden_layers": 1},
}
FAMILIES = ["GPT2", "OPT projected", "Llama tied", "Gemma", "Gemma3Text"]
"""With positions that are learnt, rotated and shifted; embeddings that are projected and scaled, in two places."""
NORMS_BEHIND = {"Gemma2", "Gemma3Text"}
"""A norm behind each layer fixes its share, which must be large where the head is tied, or tokens repeat themselves."""
VECTORS = 8
TEXTS = ["Tea?", "½ ☕", "Go.", "Tea?"]
TOKEN_MEAN = InversionConfig(start="token_mean", rows=8)


@pytest.fixture(scope="module")
def build(random_model):
    """A function from a name in `ARCHITECTURES` to a model, wide and calm enough to write any short text."""

    def build(name, **changes):
        sizes = {"hidden_size": WIDTH} | ARCHITECTURES[name] | changes
        model = random_model(f"{name.split()[0]}Config", **sizes)
        if name in NORMS_BEHIND:
            for part, parameter in model.model.base_model.layers.named_parameters():
                if parameter.ndim > 1:
                    parameter.mul_(2 / 3)
                elif "post" in part:
                    parameter.fill_(3.0)
        return model

    return build


def starts(model, texts, vectors=VECTORS):
    return torch.stack([token_mean_start(model, text, vectors) for text in texts])


@torch.inference_mode()
def recomputed(model, vectors, tokens):
    """Return the text that vectors (P, D) lead to, everything computed anew at each step, and whether it ended."""
    inputs, ids = vectors[None], []
    while len(ids) < tokens:
        ids.append(int(model.model(inputs_embeds=inputs, use_cache=False).logits[0, -1].argmax()))
        if ids[-1] == model.end:
            return model.detokenize(ids[:-1]), True
        inputs = torch.cat([inputs, model.embed(torch.tensor([[ids[-1]]]))], 1)
    return model.detokenize(ids), False


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_texts_are_exact_from_the_token_mean(build, name):
    model = build(name)
    before = [parameter.clone() for parameter in model.model.parameters()]
    found = Inverter(model, TOKEN_MEAN).invert(TEXTS, starts(model, TEXTS))
    assert [recomputed(model, result.vectors, 16) for result in found] == [(text, True) for text in TEXTS]
    assert all(result.exact and result.margin >= 1 and result.steps > 0 for result in found)
    assert all(map(torch.equal, before, model.model.parameters()))  # the model stays frozen


@pytest.mark.parametrize("name", FAMILIES)
def test_texts_are_exact_whatever_the_number_of_slots(build, name):
    model = build(name)
    for rows in (1, 3):
        found = Inverter(model, TOKEN_MEAN.model_copy(update={"rows": rows})).invert(TEXTS, starts(model, TEXTS))
        assert [(result.index, result.exact) for result in found] == [(n, True) for n in range(len(TEXTS))]


@pytest.mark.parametrize("name", [*FAMILIES, "Mamba"])
def test_vectors_stand_in_a_context(build, name):
    """Before and after them; without it the same vectors say something else."""
    model = build(name)
    context = Context(tuple(model.tokenize("On: ")), tuple(model.tokenize("->")))
    found = Inverter(model, TOKEN_MEAN, context).invert(TEXTS[:3], starts(model, TEXTS[:3]))
    for text, result in zip(TEXTS, found, strict=False):
        before, after = (model.embed(torch.tensor(ids)) for ids in (context.before, context.after))
        assert result.exact
        assert recomputed(model, torch.cat([before, result.vectors, after]), 16) == (text, True)
        assert recomputed(model, result.vectors, 16)[0] != text


@pytest.mark.parametrize("name", ["GPT2", "OPT projected", "Llama", "Gemma"])
def test_the_longest_text_is_exact(build, name):
    """Half of the positions, which are 32: from more vectors, as a random model has no rules to lean on."""
    model = build(name, max_position_embeddings=32)
    text = "A kettle of tea."
    assert len(model.tokenize(text)) == most_tokens(model, TOKEN_MEAN) == 16
    assert "holds at most 16" in fault(model, text + "!", TOKEN_MEAN)
    (result,) = Inverter(model, TOKEN_MEAN).invert([text], starts(model, [text], 12))
    assert result.exact
    (decoded,) = decode_vectors(model, result.vectors[None], 20)  # all positions
    assert (decoded.text, decoded.finished) == (text, True)


def test_the_configuration_may_name_the_end_that_the_tokenizer_does_not(build, byte_tokenizer):
    model = build("Llama")
    bare = PreTrainedTokenizerFast(tokenizer_object=byte_tokenizer.backend_tokenizer)
    assert (bare.eos_token, bare.pad_token) == (None, None)
    with_end = LanguageModel(model.model, bare, "no end in its tokenizer", model.device)
    found = Inverter(with_end, TOKEN_MEAN).invert(TEXTS, starts(with_end, TEXTS))
    assert [recomputed(model, result.vectors, 16) for result in found] == [(text, True) for text in TEXTS]


@pytest.mark.parametrize("rows", [1, 8])
def test_a_foreign_model_is_exact(shared_data, space, rows):
    """A third-party Llama of 656,000 parameters with a tokenizer of its own, in and out of a context."""
    foreign = Space.load(str(shared_data / "lm-tinystories-656k"), device="cpu")
    texts = ["The cat sat.", "A red ball!", "Tea? No, milk."]
    for context in (("", ""), ("Lily said: ", " ->")):
        inside = Space(foreign.model, space.encoder, context=context)
        found = inside.invert(texts, InversionConfig(start="token_mean", rows=rows))
        assert [(embedding.text, embedding.exact) for embedding in found] == [(text, True) for text in texts]
        assert inside.decode(found) == texts


def test_a_foreign_models_longest_text_is_refused_by_its_positions(shared_data):
    model = LanguageModel.load(str(shared_data / "lm-tinystories-656k"))
    assert most_tokens(model, InversionConfig(max_tokens=400)) == 256 == model.positions // 2
